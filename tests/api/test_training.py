"""Training from Python, held against full logits in float64."""

import copy
import doctest
import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

import leaf
from leaf.api import pair as pair_module
from leaf.api import training
from leaf.api.model import source_of
from leaf.errors import DataError, ModelError, RecipeError, UsageError
from leaf.models.prompt_format import PromptFormat

ROWS: list[dict[str, Any]] = [
    {"question": "Ann has 2 pens. How many?", "response": "2", "problem_id": "a"},
    {"question": "Bo has 7 cups. How many?", "response": "7 cups", "problem_id": "b"},
    {"question": "Ann has 2 red pens. How many?", "response": "2", "problem_id": "a", "changed": 1},
]
TWO_CONTEXTS: list[dict[str, Any]] = [
    *ROWS[:2],
    {
        "question": "Ann has 2 pens. Bo is 7. How many?",
        "teacher_question": "Ann has 2 pens. How many?",
        "response": "2",
    },
]
"""The last is a changed one: its teacher sees another question."""


@pytest.fixture(scope="module")
def prompt_format(byte_level: Callable[..., PromptFormat]) -> PromptFormat:
    return byte_level([("a", "n"), ("Ġ", "h")], "<end>")


@pytest.fixture
def pair(tiny_model: Any, prompt_format: PromptFormat) -> tuple[leaf.Model, leaf.Model]:
    size = {"vocab_size": 270, "dtype": torch.float64}
    student, teacher = tiny_model("llama", seed=1, **size), tiny_model("llama", seed=2, **size)
    student.requires_grad_(True)
    return leaf.Model(student, prompt_format.tokenizer), leaf.Model(
        teacher, prompt_format.tokenizer
    )


def naive(
    student: leaf.Model,
    teacher: leaf.Model | None,
    prompt_format: PromptFormat,
    lambda_: float,
    rows: list[dict[str, Any]],
) -> torch.Tensor:
    """The loss from full logits, one row at a time."""
    kinds: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for row in rows:
        item = prompt_format.encode(row["question"], row["response"])
        log_q = student.model(input_ids=torch.tensor([item.ids])).logits[0].log_softmax(-1)
        other = prompt_format.encode(row.get("teacher_question", row["question"]), row["response"])
        for at in range(item.prompt_length - 1, len(item.ids) - 1):
            if teacher is None:
                loss = -log_q[at, item.ids[at + 1]]
            else:
                place = at - item.prompt_length + other.prompt_length
                logits = teacher.model(input_ids=torch.tensor([other.ids])).logits[0, place]
                log_p = logits.log_softmax(-1)
                loss = (log_p.exp() * (log_p - log_q[at])).sum()
            kinds["changed" in row or "teacher_question" in row].append(loss)
    means = [torch.stack(kind).mean() for kind in kinds]
    return lambda_ * means[0] + (1 - lambda_) * means[1]


def gradients(model: Any) -> torch.Tensor:
    return torch.cat([each.grad.flatten() for each in model.parameters()])


@pytest.mark.parametrize("rows", [ROWS, TWO_CONTEXTS], ids=["one context", "two"])
@pytest.mark.parametrize("taught", [True, False])
def test_loss_and_gradient_equal_those_of_full_logits(
    pair: tuple[leaf.Model, leaf.Model],
    prompt_format: PromptFormat,
    taught: bool,
    rows: list[dict[str, Any]],
) -> None:
    student, teacher = pair
    source = teacher if taught else None
    loss = leaf.distillation_loss(student, source, rows, lambda_=0.3)
    loss.backward()
    found = gradients(student.model)
    student.model.zero_grad()
    expected = naive(student, source, prompt_format, 0.3, rows)
    expected.backward()
    assert loss.shape == ()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    torch.testing.assert_close(found, gradients(student.model), rtol=1e-7, atol=1e-11)


def test_both_models_stay_as_they_were(pair: tuple[leaf.Model, leaf.Model]) -> None:
    student, teacher = pair
    student.model.train()
    student.model.model.layers[0].eval()
    student.model.lm_head.requires_grad_(False)
    teacher.model.train()
    teacher.model.requires_grad_(True)

    def state(model: Any) -> list[Any]:
        flags = [each.requires_grad for each in model.parameters()]
        hooks = [len(part._forward_hooks) for part in model.modules()]
        modes = [part.training for part in model.modules()]
        return [flags, hooks, modes, model.config._attn_implementation]

    before = state(student.model), state(teacher.model)
    random = torch.get_rng_state()
    leaf.distillation_loss(student, teacher, ROWS).backward()
    assert (state(student.model), state(teacher.model)) == before
    assert student.model.lm_head.weight.grad is None
    assert student.model.model.embed_tokens.weight.grad is not None
    assert all(each.grad is None for each in teacher.model.parameters())
    assert torch.get_rng_state().equal(random)


def test_gradient_checkpointing_of_the_users_changes_nothing(
    pair: tuple[leaf.Model, leaf.Model],
) -> None:
    student, teacher = pair
    leaf.distillation_loss(student, teacher, ROWS).backward()
    expected = gradients(student.model)
    student.model.zero_grad()
    student.model.train()
    student.model.gradient_checkpointing_enable({"use_reentrant": False})
    leaf.distillation_loss(student, teacher, ROWS).backward()
    torch.testing.assert_close(gradients(student.model), expected, rtol=1e-8, atol=1e-12)


def test_a_teacher_of_another_tokenizer_teaches(
    pair: tuple[leaf.Model, leaf.Model], tiny_model: Any, byte_level: Callable[..., PromptFormat]
) -> None:
    other = byte_level([("e", "n"), ("p", "en")], "</s>")
    model = tiny_model("qwen2", seed=3, vocab_size=270, dtype=torch.float64)
    teacher = leaf.Model(model, other.tokenizer)
    loss = leaf.distillation_loss(pair[0], teacher, ROWS)
    loss.backward()
    assert loss.item() > 0
    assert torch.isfinite(gradients(pair[0].model)).all()


@pytest.mark.parametrize(
    ("rows", "options", "kind", "words"),
    [
        ([], {}, DataError, "there is no row to train on"),
        (
            [{"question": "x"}],
            {},
            DataError,
            r"`response` must be a text, but is None \(a row has `question` and `response`, it has",
        ),
        ([{**ROWS[0], "weight": -1}], {}, DataError, "row 0: `weight` must be a number from 0"),
        (ROWS, {"lambda_": "row"}, RecipeError, "must be from 0 to 1, rows or add, but is 'row'"),
        (
            [{**ROWS[0], "teacher_question": 3}],
            {},
            DataError,
            "row 0: `teacher_question` must be a text, but is 3",
        ),
        ([{**ROWS[0], "kind": "new"}], {}, DataError, "`kind` must be original or changed"),
        (ROWS, {"cutoff": 3}, DataError, "3 of 3 rows are longer than cutoff"),
        (ROWS, {"temprature": 2.0}, RecipeError, "did you mean `temperature`"),
        (ROWS, {"learning_rate": 1.0}, RecipeError, "does not decide a loss"),
        (ROWS, {"loss": "kll"}, RecipeError, "must be 'kl'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    pair: tuple[leaf.Model, leaf.Model],
    rows: Any,
    options: dict[str, Any],
    kind: type[Exception],
    words: str,
) -> None:
    with pytest.raises(kind, match=words) as error:
        leaf.distillation_loss(*pair, rows, **options)
    assert "\n" not in str(error.value)


def test_a_row_beyond_the_students_context_is_refused_and_left_out(
    pair: tuple[leaf.Model, leaf.Model], capfd: pytest.CaptureFixture[str]
) -> None:
    student, teacher = pair
    long = {"question": "Zoe " * student.model.config.max_position_embeddings, "response": "2"}
    with pytest.raises(DataError, match=r"1 of 4 rows are longer than the student's .* 'Zoe Zoe"):
        leaf.distillation_loss(student, teacher, [*ROWS, long])
    leaf.distill(student, teacher, [*ROWS, long], **FEW)
    assert "1 of 4 rows are longer than the student's" in capfd.readouterr().err


def test_what_is_kept_of_a_pair_never_goes_stale() -> None:
    folder = "package:playground/models/"
    pair = [leaf.Model.load(folder + name, dtype="float32") for name in ("student", "teacher")]
    student, teacher = pair

    def kept_and_fresh() -> tuple[float, float]:
        with torch.no_grad():
            kept = leaf.distillation_loss(student, teacher, ROWS).item()
            copies = [leaf.Model(m.model, m.tokenizer, system=m.system) for m in pair]
            return kept, leaf.distillation_loss(*copies, ROWS).item()

    seen = [kept_and_fresh()]
    student.system = "Be brief."
    seen.append(kept_and_fresh())
    head = torch.nn.Linear(*teacher.model.lm_head.weight.shape[::-1], bias=False)
    teacher.model.set_output_embeddings(head)
    seen.append(kept_and_fresh())
    with torch.no_grad():
        teacher.model.get_output_embeddings().weight.mul_(3.0)
    seen.append(kept_and_fresh())
    assert all(kept == pytest.approx(fresh, rel=1e-6) for kept, fresh in seen)
    assert len({kept for kept, _ in seen}) == len(seen)


def test_models_are_let_go_with_their_owner(pair: tuple[leaf.Model, leaf.Model]) -> None:
    student, teacher = (leaf.Model(each.model, each.tokenizer) for each in pair)
    leaf.distillation_loss(student, student, ROWS)
    for temperature in range(1, 10):
        leaf.distillation_loss(student, teacher, ROWS, temperature=float(temperature))
    pairs = pair_module._PAIRS[student]
    assert 1 < len(pairs) <= pair_module._MOST_PAIRS
    del teacher
    gc.collect()
    assert not pairs
    leaf.distillation_loss(student, student, ROWS)
    gone = weakref.ref(student)
    del student
    gc.collect()
    assert gone() is None


FEW = {"learning_rate": 1e-2, "max_steps": 3, "batch_size": 2, "warmup_steps": 0}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"teacher_as": "hidden", "hidden": {"cosine": 0.5}},
        {"tuning": "lora", "lora": {"rank": 2}, "gradient_checkpointing": True},
        {"validation": {"share": 0.5, "every": 1}},
    ],
    ids=str,
)
def test_a_trained_copy_comes_back_and_the_student_stays(
    pair: tuple[leaf.Model, leaf.Model], options: dict[str, Any]
) -> None:
    student, teacher = pair
    before = copy.deepcopy(student.model.state_dict())
    trained = leaf.distill(student, teacher, ROWS, **FEW, **options)
    assert [line["step"] for line in trained.metrics] == [1, 2, 3]
    after, made = student.model.state_dict(), trained.model.state_dict()
    assert after.keys() == before.keys() == made.keys()
    assert all(after[name].equal(before[name]) for name in before)
    assert any(not made[name].equal(before[name]) for name in before)
    assert trained.dtype is student.dtype
    assert trained.model.config._attn_implementation == student.model.config._attn_implementation
    assert all(each.requires_grad for each in student.model.parameters())
    assert ("hidden" in trained.metrics[0]) == ("hidden" in options)


def test_training_lowers_the_loss_and_the_first_is_that_of_distillation_loss(
    pair: tuple[leaf.Model, leaf.Model],
) -> None:
    student, teacher = pair
    settings = {**FEW, "batch_size": 3, "max_steps": 10, "lambda_": 0.3}
    trained = leaf.distill(student, teacher, ROWS, **settings)
    first = leaf.distillation_loss(student, teacher, ROWS, lambda_=0.3).item()
    with torch.no_grad():
        last = leaf.distillation_loss(trained, teacher, ROWS, lambda_=0.3).item()
    # Masters and computation are float32 and less; the loss is float64.
    assert trained.metrics[0]["loss"] == pytest.approx(first, rel=2e-2)
    assert last < 0.8 * first


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_a_student_teaches_itself_in_another_context(
    pair: tuple[leaf.Model, leaf.Model], tuning: str
) -> None:
    student, _ = pair
    settings = {**FEW, "batch_size": 3, "max_steps": 12, "tuning": tuning, "lambda_": 0.5}
    trained = leaf.distill(student, "self", TWO_CONTEXTS, **settings)
    first, last = trained.metrics[0], trained.metrics[-1]
    # On the same prompts it is what it is; with Bo's cups before it, it is to say what it would.
    assert first["kl_original"] == pytest.approx(0.0, abs=1e-3)
    assert first["kl_counterfactual"] > 0.05
    assert last["kl_counterfactual"] < 0.5 * first["kl_counterfactual"]


def test_in_a_loop_of_ones_own_self_is_the_model_without_its_adapters(
    pair: tuple[leaf.Model, leaf.Model],
) -> None:
    frozen = leaf.Model(copy.deepcopy(pair[0].model).requires_grad_(False), pair[0].tokenizer)
    config = LoraConfig(r=2, target_modules=["q_proj"], lora_dropout=0.5, init_lora_weights=False)
    model: Any = get_peft_model(pair[0].model.float(), config).double()
    student = leaf.Model(model, pair[0].tokenizer)
    model.train()
    model.base_model.model.lm_head.eval()
    before = [(each.training, getattr(each, "_disable_adapters", None)) for each in model.modules()]

    def found(teacher: Any) -> tuple[float, torch.Tensor]:
        model.zero_grad()
        torch.manual_seed(0)  # of dropout
        loss = leaf.distillation_loss(student, teacher, TWO_CONTEXTS)
        loss.backward()
        learning = [each.grad.flatten() for each in model.parameters() if each.requires_grad]
        return loss.item(), torch.cat(learning)

    (ours, mine), (expected, theirs) = found("self"), found(frozen)
    assert ours == pytest.approx(expected, rel=1e-6)
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-9)
    assert before == [
        (each.training, getattr(each, "_disable_adapters", None)) for each in model.modules()
    ]


def test_none_is_cross_entropy_and_self_needs_adapters(
    pair: tuple[leaf.Model, leaf.Model],
) -> None:
    student, _ = pair
    trained = leaf.distill(student, None, ROWS, **FEW)
    assert trained.metrics[0]["loss"] == trained.metrics[0]["cross_entropy"]
    assert trained.metrics[0]["kl_original"] is None
    with pytest.raises(UsageError, match="pass a copy") as error:
        leaf.distillation_loss(student, "self", ROWS)
    assert "\n" not in str(error.value)


def test_a_frozen_student_is_said_and_not_silently_without_a_gradient(
    pair: tuple[leaf.Model, leaf.Model],
) -> None:
    student, teacher = pair
    student.model.requires_grad_(False)
    with pytest.raises(
        UsageError, match=r"nothing in .* learns; call student\.model\.requires"
    ) as e:
        leaf.distillation_loss(student, teacher, ROWS)
    assert "\n" not in str(e.value)
    with torch.no_grad():
        assert leaf.distillation_loss(student, teacher, ROWS).item() > 0


def test_a_rows_weight_is_as_if_it_were_there_so_often(
    pair: tuple[leaf.Model, leaf.Model],
) -> None:
    heavy = [{**ROWS[0], "weight": 3}, *ROWS[1:]]
    often = [ROWS[0]] * 3 + ROWS[1:]
    losses = [leaf.distillation_loss(*pair, rows).item() for rows in (heavy, often, ROWS)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)
    assert losses[0] != pytest.approx(losses[2], rel=1e-3)


def test_anchored_rows_stay_where_they_were(pair: tuple[leaf.Model, leaf.Model]) -> None:
    rows = [{**ROWS[0], "anchored": True}, {**ROWS[1], "anchored": True}, ROWS[2]]
    settings = {**FEW, "batch_size": 3, "max_steps": 12, "lambda_": 0.0}
    moved, held = (
        leaf.distill(*pair, rows, anchor=anchor, **settings).metrics for anchor in (1e-6, 1e3)
    )
    assert moved[0]["anchor"] == pytest.approx(0.0, abs=1e-3)
    assert held[-1]["anchor"] < 0.2 * moved[-1]["anchor"]


def test_out_keeps_a_folder_that_transformers_loads(
    pair: tuple[leaf.Model, leaf.Model], tmp_path: Path
) -> None:
    student, _ = pair
    trained = leaf.distill(student, None, ROWS, out=tmp_path / "kept", **FEW)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "kept" / "model")
    for name, value in trained.model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name].to(value), value)
    assert (tmp_path / "kept" / "metrics.jsonl").is_file()


@pytest.mark.parametrize("switched_off", [torch.no_grad, torch.inference_mode])
def test_gradients_that_the_caller_switched_off_are_taken_all_the_same(
    pair: tuple[leaf.Model, leaf.Model], switched_off: Callable[[], Any]
) -> None:
    look = leaf.explain(*pair, ROWS[0]["question"], "2", detector="gradient")
    trained = leaf.distill(*pair, ROWS, **FEW)
    with switched_off():
        again = leaf.explain(*pair, ROWS[0]["question"], "2", detector="gradient")
        other = leaf.distill(*pair, ROWS, **FEW)
        assert not torch.is_grad_enabled()
    assert again.scores == look.scores
    assert [line["loss"] for line in other.metrics] == [line["loss"] for line in trained.metrics]


def test_weights_that_are_no_numbers_are_named_in_one_line(
    pair: tuple[leaf.Model, leaf.Model],
) -> None:
    student, teacher = pair
    with torch.no_grad():
        teacher.model.lm_head.weight[0] = torch.nan
    for call in (
        lambda: leaf.explain(student, teacher, ROWS[0]["question"], "2"),
        lambda: leaf.distill(student, teacher, ROWS, **FEW),
        lambda: leaf.distillation_loss(student, teacher, ROWS),
    ):
        with pytest.raises(ModelError, match="its logits are not finite") as error:
            call()
        assert "\n" not in str(error.value)


def _in_memory(folder: Path) -> leaf.Model:
    del folder
    loaded = leaf.Model.load(PACKAGE, dtype="float32")
    return leaf.Model(loaded.model, loaded.tokenizer)


def _with_adapters(folder: Path) -> leaf.Model:
    model = _in_memory(folder)
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    return leaf.Model(get_peft_model(model.model, config), model.tokenizer)


def _of_folder(folder: Path) -> leaf.Model:
    model = _in_memory(folder)
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return leaf.Model.load(folder, dtype="float32")


def _in_bfloat16(folder: Path) -> leaf.Model:
    del folder
    return leaf.Model.load(PACKAGE, dtype="bfloat16")


PACKAGE = "package:playground/models/student"


@pytest.mark.parametrize("tuning", ["full", "lora"])
@pytest.mark.parametrize("foreign", [False, True], ids=["empty_cwd", "foreign_config"])
@pytest.mark.parametrize("make", [_of_folder, _in_memory, _with_adapters, _in_bfloat16])
def test_out_keeps_the_model_that_is_returned_whatever_the_current_folder_holds(
    make: Callable[[Path], leaf.Model],
    foreign: bool,
    tuning: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    student = make(tmp_path / "student")
    if foreign:
        Path("config.json").write_text('{"model_type": "gpt2", "dtype": "float16"}')
    capfd.readouterr()
    trained = leaf.distill(student, None, ROWS[:2], out="kept", tuning=tuning, **FEW)
    assert "Writing model shards" not in capfd.readouterr().err
    kept, info = AutoModelForCausalLM.from_pretrained(
        "kept/model", dtype="auto", output_loading_info=True
    )
    assert not any(info.values())
    assert kept.dtype is trained.dtype is student.dtype
    ids = torch.tensor([[5, 9, 22, 7]])
    with torch.no_grad():
        assert kept(input_ids=ids).logits.equal(trained.model(input_ids=ids).logits)


def test_a_model_in_memory_has_no_folder_that_could_be_read(
    pair: tuple[leaf.Model, leaf.Model],
) -> None:
    with pytest.raises(ModelError, match="is in memory or on a server, and has no files here"):
        _ = source_of(pair[0]).folder


def test_a_wrong_option_of_training_is_refused_with_the_nearest(
    pair: tuple[leaf.Model, leaf.Model],
) -> None:
    with pytest.raises(RecipeError, match="did you mean `learning_rate`"):
        leaf.distill(*pair, ROWS, learning_rat=1e-3)


def test_the_examples_of_docstrings_are_as_they_say() -> None:
    failed, tried = doctest.testmod(training)
    assert tried
    assert not failed
