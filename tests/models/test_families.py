"""Families of transformers, each by the paths that its rehearsal chose, against the plain forward.

The numbers to hold against come from the family's own forward of one row at a time, written out
here; the tiny models have other weights than those that were rehearsed.
"""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from leaf.attribute.embedding_gradient import sensitivity
from leaf.attribute.surprise import surprisal
from leaf.attribute.tail_losses import tail_losses
from leaf.distill.export import Card, export
from leaf.distill.student import Student
from leaf.generate import HuggingFaceEngine
from leaf.generate.decoding import Request, decode
from leaf.models.fused_loss import cross_entropy, linear_loss
from leaf.models.load import load
from leaf.models.output_head import output_head
from leaf.models.packing import Packer
from leaf.models.padding import pad
from leaf.models.paths import paths_of
from leaf.models.prompt_format import EncodedExample, PromptFormat
from leaf.models.tiny import tiny_model
from leaf.recipe import DataSection, DistillSection, GenerateSection, ModelSection
from leaf.tasks import load_problems
from tests.marks import OFFLINE
from tools.models_table import KEPT, config_of, families

SUMS = Path(__file__).parents[1] / "data" / "sums" / "train.jsonl"

TABLE = json.loads(KEPT.read_text(encoding="utf-8"))["families"]
"""What docs/models.md says of each family: no other is passed over here than it leaves out."""

SAMPLE = (
    "llama", "qwen2", "qwen3", "qwen3_moe", "qwen3_next", "gemma", "gemma2", "gemma3_text",
    "gemma3n_text", "gemma4_text", "mistral", "mixtral", "phi", "phi3", "gpt2", "gptj", "gpt_neox",
    "gpt_oss", "bloom", "falcon", "opt", "olmo2", "cohere2", "granite", "smollm3", "deepseek_v3",
    "glm4_moe", "diffllama", "mamba", "mamba2", "rwkv", "minimax", "lfm2", "jamba",
)  # fmt: skip


def rows() -> list[EncodedExample]:
    """Rows that begin alike; one reaches past the copies' windows and stretched rotation."""
    drawn = torch.randint(4, 140, (3, 48), generator=torch.Generator().manual_seed(7)).tolist()
    first = drawn[0][:5]
    return [
        EncodedExample(ids=(*first, *row[5:length]), prompt_length=6 + length // 4)
        for row, length in zip(drawn, (41, 11, 19), strict=True)
    ]


def own(model, item):
    """Losses of a response and the gradient of their mean, by the model alone."""
    seen = []

    def keep(_module, _inputs, output):
        seen.append(output.detach().requires_grad_())
        return seen[0]

    hook = model.get_input_embeddings().register_forward_hook(keep)
    losses_R = own_losses(model, item)
    hook.remove()
    (gradient_1TD,) = torch.autograd.grad(losses_R.mean(), seen[0])
    return losses_R, gradient_1TD[0]


def own_losses(model, item):
    logits_TV = model(input_ids=torch.tensor([item.ids]), use_cache=False).logits[0].float()
    return F.cross_entropy(
        logits_TV[item.prompt_length - 1 : -1],
        torch.tensor(item.ids[item.prompt_length :]),
        reduction="none",
    )


def assert_near(found, wanted):
    """Equal to 1e-4 of the norm."""
    assert float((found - wanted).norm()) <= 1e-4 * float(wanted.norm())


def made(family):
    """A tiny model of a family, or what its default configuration lacks."""
    try:
        model = tiny_model(config_of(family), seed=3)
        with torch.no_grad():
            model(input_ids=torch.tensor([rows()[1].ids]), use_cache=False)
    except Exception as error:
        if "left_out" not in TABLE[family]:
            raise
        pytest.skip(f"no model of its defaults runs on text: {error!r:.80}")
    return model


def check(family):
    model = made(family)
    if "ablation" in paths_of(model).refused:
        assert TABLE[family].get("ablation", "refused") == "refused"
        pytest.skip(paths_of(model).line)
    check_model(model, rows())


def check_model(model, items, learns=lambda name: True):
    paths, head = paths_of(model), output_head(model)
    plain = [own(model, item) for item in items]
    nats_BT, losses_B = surprisal(model, head, items)
    tails = tail_losses(model, head, [items], token_budget=999, share=paths.shares)[0]
    for row, (item, (losses_R, _)) in enumerate(zip(items, plain, strict=True)):
        wanted_R = losses_R.detach()
        assert_near(nats_BT[row, item.prompt_length : len(item.ids)], wanted_R)
        assert_near(losses_B[row], wanted_R.mean())
        assert_near(tails[row], wanted_R)
    if "sensitivity" not in paths.refused:
        norms_BT, _ = sensitivity(Packer(model), head, items, 3)
        for row, (item, (_, gradient_TD)) in enumerate(zip(items, plain, strict=True)):
            # The first 3 begin all rows, and are left out where they are computed once.
            assert_near(norms_BT[row, 3 : len(item.ids)], gradient_TD.norm(dim=-1)[3:])
    if "training" not in paths.refused:
        check_training(model, items, learns)
    if paths.shares:
        check_tokens(model, head, items)


def check_training(model, items, learns):
    """Gradients of the weights that learn, dropout switched off: a student in training has it."""
    student = Student(model, torch.float32)
    student.head = output_head(model)
    learning = [each for name, each in model.named_parameters() if learns(name)]
    for each in learning:
        each.requires_grad_(True)
    batch = pad(items)
    targets_R = batch.ids_BT[batch.rows_R, batch.positions_R + 1]
    weights_R = (1 / torch.tensor(batch.lengths, dtype=torch.float32))[batch.rows_R]
    total = student(
        batch,
        lambda hidden_RD: linear_loss(
            hidden_RD, student._head(model.get_output_embeddings().weight.shape[0]),
            cross_entropy(targets_R), weights_R, chunk=7,
        )[0],
    )  # fmt: skip
    found = torch.autograd.grad(total, learning, allow_unused=True)
    summed = torch.stack([own_losses(model, item).mean() for item in items]).sum()
    wanted = torch.autograd.grad(summed, learning, allow_unused=True)
    model.requires_grad_(False)
    pairs = [(one, other) for one, other in zip(found, wanted, strict=True) if other is not None]
    # One at a time: all in one would be several times the memory of a real model.
    gap = sum(float((one - other).square().sum()) for one, other in pairs)
    assert gap <= 1e-8 * sum(float(other.square().sum()) for _, other in pairs)


def check_tokens(model, head, items):
    """The likeliest tokens, by whole forwards."""
    asked = [(at, Request(prompt=item.ids, limit=5)) for at, item in enumerate(items)]
    found = dict(decode(model, head, asked, stops=set(), token_budget=999, max_rows=3))
    for at, item in enumerate(items):
        ids = list(item.ids)
        for _ in range(5):
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits
            ids.append(int(logits[0, -1].argmax()))
        assert found[at] == ids[len(item.ids) :]


@pytest.mark.parametrize("family", SAMPLE)
def test_a_family_gives_what_its_plain_forward_gives(family):
    check(family)


@pytest.mark.long
@pytest.mark.parametrize("family", [each for each in families() if each not in SAMPLE])
def test_every_family_gives_what_its_plain_forward_gives(family):
    check(family)


def test_the_sample_is_of_families_that_transformers_has():
    assert len(SAMPLE) >= 25
    assert set(SAMPLE) <= set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    assert not [family for family in SAMPLE if "left_out" in TABLE[family]]


def test_the_table_has_every_family_that_transformers_has():
    assert set(TABLE) == set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    assert sum("left_out" not in row for row in TABLE.values()) >= 120


REAL = ("smollm2-135m", "qwen2.5-coder-0.5b", "gemma3-270m")


@pytest.mark.real
@pytest.mark.long
@pytest.mark.parametrize("name", REAL)
def test_real_weights_give_what_plain_transformers_gives(name, tmp_path):
    file = OFFLINE / f"{name}.gguf"
    if not file.is_file():
        pytest.skip(f"{name} is not here: tools/offline_models.py {name}")
    loaded = load(ModelSection(model=str(file), dtype="float32"))
    model, chat = loaded.model, PromptFormat(loaded.tokenizer, name=name)
    problems = load_problems(DataSection(task="table", path=str(SUMS), limit=3))
    items = [chat.encode(each.content, each.solution) for each in problems]
    assert "training" not in paths_of(model).refused
    # One layer, what comes before and what comes after: all would take several times the memory.
    apart = ("layers.1.", "embed", "head")
    check_model(model, items, lambda weight: any(part in weight for part in apart))
    section = GenerateSection(max_new_tokens=12)
    answers = HuggingFaceEngine(loaded, chat, section).answer(problems)
    for answer, problem in zip(answers, problems, strict=True):
        ids = torch.tensor([chat.prompt_ids(problem.content)])
        made = model.generate(ids, max_new_tokens=12, do_sample=False, pad_token_id=0)[0]
        said = loaded.tokenizer.decode(made[ids.shape[1] :], skip_special_tokens=True)
        assert answer.text == said
        assert answer.response_tokens > 2
    with torch.no_grad():
        wanted = model(ids).logits
    card = Card(student=name, teacher=name, task="", originals=0, counterfactuals=0, steps=0)
    export(tmp_path / "out", model, loaded.tokenizer, own=torch.float32, card=card,
           section=DistillSection(), end_of_turn=chat.end_of_turn[-1])  # fmt: skip
    del model, loaded
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    with torch.no_grad():
        assert again(ids).logits.equal(wanted)
    assert chat.end_of_turn[-1] in torch.tensor(again.generation_config.eos_token_id).flatten()
