"""Makes the embedded models again: tokenizer, student and teacher, from a seed.

The student learns from a corpus in which the cue agrees with the operation 97% of the time, so it
leans on the cue; the teacher's cues say nothing, and half its problems have a numeric distractor.

    .venv/bin/python tools/train_playground.py --out /tmp/models

About a quarter of an hour on two cores. With `--out src/leaf/playground/models` the bundled models
are replaced; sums.json beside them guards them. Recipes make their problems from other seeds.
"""

import hashlib
import itertools
import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from leaf.errors import UsageError
from leaf.generate import HuggingFaceEngine
from leaf.grade import open_graders
from leaf.models.files import SUMS
from leaf.models.load import load
from leaf.models.prompt_format import EncodedExample, PromptFormat
from leaf.playground import SPLITS, Mixture, puzzles
from leaf.recipe import DataSection, GenerateSection, GradeSection, ModelSection, WorldSection
from leaf.statistics import accuracy
from leaf.tasks import load_problems

app = cyclopts.App(help=__doc__)

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
END = "<|end|>"
SPECIAL = [END, "<|system|>", "<|user|>", "<|assistant|>"]
CONTEXT = 256
"""Tokens; the longest problem has about 60."""

QUESTION_WEIGHT = 0.1
"""Of the loss on the question beside that on the answer: a language model reads as well."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """A model and the corpus that made it what it is."""

    layers: int
    width: int
    heads: int
    steps: int
    cycle: int
    """Steps of the learning rate's whole cycle; training may stop before its end."""
    mixture: Mixture
    seed: int
    """Of weights and corpus, beside the seed of the command."""


DESIGNS = {
    # With other seeds it never found out who gives to whom, or found out before it trusted the cue
    # and then lost that trust. This one trusts it first, and finds out between steps 600 and 660.
    "student": Design(
        layers=2,
        width=64,
        heads=4,
        steps=660,
        cycle=1000,
        mixture=Mixture(cues=0.3, agreement=0.97, asides=0.05),
        seed=2,
    ),
    "teacher": Design(
        layers=4,
        width=128,
        heads=4,
        steps=900,
        cycle=900,
        mixture=Mixture(cues=0.6, agreement=0.5, asides=0.5),
        seed=0,
    ),
}
BATCH, LEARNING_RATE, WARMUP = 256, 3e-3, 0.1
"""Problems of a step; peak of one cosine cycle; share of the steps that lead up to it."""


@app.default
def main(
    *,
    out: Path,
    seed: int = 0,
    only: Annotated[list[str] | None, cyclopts.Parameter(consume_multiple=True)] = None,
    threads: int | None = None,
) -> None:
    """Train both models and print how often each answers right on every split.

    Args:
        out: Folder for `student`, `teacher` and sums.json.
        seed: Of weights, corpora and order.
        only: `student` or `teacher`; default both.
        threads: Of torch; default all cores.
    """
    names = only or list(DESIGNS)
    for name in names:
        if name not in DESIGNS:
            raise UsageError(f"--only {name}: must be one of {', '.join(DESIGNS)}")
    if threads:
        torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(seed)
    for name in names:
        model = train(DESIGNS[name], tokenizer, seed + DESIGNS[name].seed, name)
        shutil.rmtree(out / name, ignore_errors=True)
        model.save_pretrained(out / name)
        tokenizer.save_pretrained(out / name)
        for file in (out / name).iterdir():
            file.chmod(0o644)
    write_sums(out)
    for name in names:
        print(f"{name}: {figures(out / name)}")


def make_tokenizer(seed: int) -> Any:
    """Train a byte-level tokenizer that has every word of the world as one token."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=1000,
        special_tokens=SPECIAL,
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    everything = Mixture(cues=1, agreement=0.5, asides=1)
    made = itertools.islice(puzzles(everything, test=False, seed=seed), 20_000)
    tokenizer.train_from_iterator(
        (text for one in made for text in (one.question, one.solution)), trainer
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=END,
        chat_template=TEMPLATE,
        additional_special_tokens=SPECIAL[1:],
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def train(design: Design, tokenizer: Any, seed: int, name: str) -> Any:
    """Train one model from random weights on fresh problems in every step."""
    torch.manual_seed(seed)
    model: Any = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=design.width,
            intermediate_size=design.width * 8 // 3 // 4 * 4,
            num_hidden_layers=design.layers,
            num_attention_heads=design.heads,
            num_key_value_heads=design.heads,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    size = sum(parameter.numel() for parameter in model.parameters())
    print(f"{name}: {size / 1e6:.2f} M parameters, {design.steps} steps of {BATCH} problems")
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=design.cycle, pct_start=WARMUP
    )
    corpus = conversations(design.mixture, PromptFormat(tokenizer, name=name), seed)
    begun = time.monotonic()
    for step in range(1, design.steps + 1):
        loss, answer_loss = batch_loss(model, list(itertools.islice(corpus, BATCH)))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == design.steps:
            seconds = time.monotonic() - begun
            print(f"  step {step}: {answer_loss:.4f} nats an answer token, {seconds:.0f} s")
            sys.stdout.flush()
    return model.eval()


def conversations(mixture: Mixture, chat: PromptFormat, seed: int) -> Iterator[EncodedExample]:
    """Yield the training problems with their answers as tokens."""
    for puzzle in puzzles(mixture, test=False, seed=seed):
        yield chat.encode(puzzle.question, puzzle.solution)


def batch_loss(model: Any, items: list[EncodedExample]) -> tuple[torch.Tensor, float]:
    """Return the loss of a batch (B rows, T tokens) and the part of it on the answers."""
    longest = max(len(item.ids) for item in items)
    ids_BT = torch.zeros(len(items), longest, dtype=torch.long)
    kind_BT = torch.zeros_like(ids_BT)  # 0 padding, 1 question, 2 answer
    for row, item in enumerate(items):
        ids_BT[row, : len(item.ids)] = torch.tensor(item.ids)
        kind_BT[row, : item.prompt_length] = 1
        kind_BT[row, item.prompt_length : len(item.ids)] = 2
    # Right-padded and causal: no real token sees the padding.
    logits = model(input_ids=ids_BT).logits[:, :-1]
    losses_BT = F.cross_entropy(logits.transpose(1, 2), ids_BT[:, 1:], reduction="none")
    question, answer = (losses_BT[kind_BT[:, 1:] == kind].mean() for kind in (1, 2))
    return answer + QUESTION_WEIGHT * question, float(answer.detach())


def figures(folder: Path) -> str:
    """Return the share of right answers on each test split, by the same code as a run."""
    section = ModelSection(model=str(folder), dtype="float32")
    loaded = load(section)
    chat = PromptFormat(loaded.tokenizer, name=section.model)
    generate = GenerateSection(max_new_tokens=16, max_batch=512)
    engine = HuggingFaceEngine(loaded, chat, generate, None)
    parts = []
    with open_graders(GradeSection()) as grader:
        for split in SPLITS:
            problems = load_problems(
                DataSection(task="playground", split=split, world=WorldSection(size=1000, seed=1))
            )
            scores = grader.grade(problems, engine.answer(problems))
            parts.append(f"{split} {accuracy(scores).mean:.1%}")
    return ", ".join(parts)


def write_sums(out: Path) -> None:
    """Write the SHA-256 of every model file, which a bundled model must have when it is used."""
    files = sorted(path for path in out.glob("*/*") if path.is_file())
    sums = {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
    (out / SUMS).write_text(json.dumps(sums, indent=1) + "\n")


if __name__ == "__main__":
    app()
