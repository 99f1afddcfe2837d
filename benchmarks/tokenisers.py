"""Does a teacher with another tokenizer teach more than its absence? Against SFT on the same text.

    python -m benchmarks.tokenisers --json --data ../data

SmolLM2 learns GSM8K solutions from the same start, with the same rows in the same order, by plain
cross-entropy (`sft`), from a Qwen teacher whose tokens are aligned with its own by characters
(`kd`), or by both in equal shares (`both`). Each seed draws other training rows. On the first test
problems, which nobody trains on, for `before` and each arm (means over seeds; 95% intervals over
problems):

- nll: cross-entropy of the reference solution, nats per token of the student;
- divergence: aligned KL(teacher || student), nats per token of the student;
- right: share of greedy answers that are right;
- `minus_sft`: paired differences to `sft`.

`mass` is the teacher's probability on common tokens at paired positions, `characters` the share of
the solutions' characters that stand in pairs.
"""

import copy
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cyclopts
import numpy as np
import torch
from torch import Tensor

from benchmarks._gsm_ic import MODELS
from benchmarks.common import AsJson, Measure, measure, out_console, print_json, start
from leaf.distill import Distiller, Plan, Sample, encode_rows, original_rows, train
from leaf.distill.align import Aligner
from leaf.distill.aligned import AlignedTeacher
from leaf.distill.buckets import Buckets
from leaf.distill.teacher import OnlineStates
from leaf.errors import UsageError
from leaf.generate import HuggingFaceEngine
from leaf.grade import open_graders
from leaf.models import load
from leaf.models.load import Loaded
from leaf.models.output_head import output_head
from leaf.models.prompt_format import EncodedExample, PromptFormat
from leaf.models.vocabulary import common_tokens
from leaf.progress import progress, say, table
from leaf.recipe import DataSection, DistillSection, GenerateSection, GradeSection, ModelSection
from leaf.records import Problem
from leaf.statistics import mean
from leaf.tasks import load_problems

ARMS = {"sft": 1.0, "kd": 0.0, "both": 0.5}
"""The share of cross-entropy in the loss of each arm."""

MEASURES = ("nll", "divergence", "right")
"""Fields of `Scores` that are compared."""

app = cyclopts.App(help=__doc__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """One student on the test problems, a value each."""

    nll: list[float]
    divergence: list[float]
    right: list[float]
    """1 or 0; of the problems that were answered."""
    mass: list[float]
    """The same for every student: the teacher's chance of common tokens."""
    characters: list[float]


@dataclass(kw_only=True)
class Bench:
    """Both models, their chats, and how they are measured."""

    student: Loaded
    chat: PromptFormat
    teacher: AlignedTeacher
    aligner: Aligner
    section: DistillSection
    generate: GenerateSection
    measured: list[Sample] = field(default_factory=list)
    """Test solutions."""
    asked: list[Problem] = field(default_factory=list)
    """Test questions."""

    def samples(self, problems: Sequence[Problem]) -> list[Sample]:
        """Return solutions as samples; those over the cutoff are left out."""
        solutions = {problem.id: problem.solution for problem in problems}
        rows = original_rows(problems, solutions, {}, self.section)
        return encode_rows(self.chat, rows, self.section.cutoff, self.aligner)[0]

    def trained(self, samples: Sequence[Sample], arm: str) -> Loaded:
        """Return a student trained by one arm from the same start, one pass over the samples."""
        student = self.untrained()
        section = self.section.model_copy(update={"cross_entropy": ARMS[arm]})
        distiller = Distiller(student, None if arm == "sft" else self.teacher, section)
        size = section.batch_size
        steps = [range(at, at + size) for at in range(0, len(samples) - size + 1, size)]
        with TemporaryDirectory() as folder:
            train(distiller, Plan(samples=samples, steps=steps), Path(folder), label=arm)
        return student

    def score(self, student: Loaded, label: str) -> Scores:
        """Measure a student on the test problems."""
        section = self.section.model_copy(update={"cross_entropy": 0.5})
        distiller = Distiller(student, self.teacher, section)
        found = []
        with progress(f"{label}: solutions", len(self.measured), unit="problems") as tick:
            for sample in self.measured:
                found.append(distiller.validate([sample], 1.0))
                tick()
        student.model.eval().requires_grad_(False)
        with progress(f"{label}: answers", len(self.asked), unit="problems") as tick:
            engine = HuggingFaceEngine(student, self.chat, self.generate, tick)
            answers = engine.answer(self.asked)
        with open_graders(GradeSection()) as grader:
            scores = grader.grade(self.asked, answers)
        made = Scores(
            nll=[loss.cross_entropy or 0.0 for loss in found],
            divergence=[loss.kl_original or 0.0 for loss in found],
            right=[float(score.right) for score in scores],
            mass=[loss.aligned_mass or 0.0 for loss in found],
            characters=[loss.aligned_characters or 0.0 for loss in found],
        )
        means = {name: np.mean(getattr(made, name)) for name in MEASURES if getattr(made, name)}
        say(f"{label}: " + ", ".join(f"{name} {value:.4f}" for name, value in means.items()))
        return made

    def untrained(self) -> Loaded:
        """Return a copy of the student as it came."""
        return replace(self.student, model=copy.deepcopy(self.student.model))


class Remembered:
    """The teacher's hidden states, computed once a conversation: it does not change."""

    def __init__(self, states: OnlineStates) -> None:
        self._states = states
        self._known: dict[EncodedExample, Tensor] = {}

    def __call__(self, items: Sequence[EncodedExample]) -> Tensor:
        """Return the last hidden states before each response token [R, D]."""
        for item in items:
            if item not in self._known:
                self._known[item] = self._states([item])
        return torch.cat([self._known[item] for item in items])


@app.default
def main(  # noqa: D417 - `AsJson` says what it is
    *,
    data: Path = Path("data"),
    student: str = "smollm2-135m",
    teacher: str = "qwen2.5-coder-0.5b",
    arms: str = ",".join(ARMS),
    seeds: int = 2,
    rows: int = 64,
    batch: int = 8,
    learning_rate: float = 5e-5,
    solutions: int = 32,
    questions: int = 16,
    max_new_tokens: int = 256,
    json_: AsJson = False,
) -> None:
    """Train every arm for every seed and print the comparison.

    Args:
        data: The folder with gsm8k/train.jsonl and gsm8k/test.jsonl.
        student: An offline model, by the name of its GGUF file.
        teacher: Another, with another tokenizer.
        arms: Which of sft, kd, both; sft is what the others are held against.
        seeds: How many draws of training rows.
        rows: Training rows, one pass.
        batch: Rows in a step.
        learning_rate: Peak learning rate.
        solutions: Test solutions on which nll and divergence are measured.
        questions: Test questions that are answered; 0 leaves `right` out.
        max_new_tokens: Longest answer.
    """
    chosen = arms.split(",")
    if "sft" not in chosen or not set(chosen) <= ARMS.keys():
        raise UsageError(f"--arms {arms}: must be some of {', '.join(ARMS)}, sft among them")
    pools = {
        split: load_problems(DataSection(task="gsm8k", path=str(data / "gsm8k" / f"{split}.jsonl")))
        for split in ("train", "test")
    }
    section = DistillSection(
        batch_size=batch, learning_rate=learning_rate, warmup_steps=3, cutoff=768, token_budget=2048
    )
    bench = open_bench(student, teacher, section, GenerateSection(max_new_tokens=max_new_tokens))
    bench.measured = bench.samples(pools["test"][:solutions])
    bench.asked = pools["test"][:questions]
    found = {"before": [bench.score(bench.untrained(), "before")]}
    for seed in range(seeds):
        drawn = random.Random(seed).sample(pools["train"], rows)
        samples = bench.samples(drawn)
        for arm in chosen:
            trained = bench.trained(samples, arm)
            found.setdefault(arm, []).append(bench.score(trained, f"{arm}, seed {seed}"))
            del trained
            load.release_memory()
    figures = summarise(found)
    show(figures, ["before", *chosen])
    if json_:
        setting = {
            "student": student,
            "teacher": teacher,
            "seeds": seeds,
            "rows": rows,
            "batch": batch,
            "learning_rate": learning_rate,
            "solutions": len(bench.measured),
            "questions": len(bench.asked),
        }
        print_json("tokenisers", setting, figures)


def open_bench(
    student: str, teacher: str, section: DistillSection, generate: GenerateSection
) -> Bench:
    """Load both models; raises `UsageError` where one is not here."""
    for name in (student, teacher):
        if not (MODELS / f"{name}.gguf").is_file():
            raise UsageError(f"no {name}.gguf in {MODELS}: run tools/offline_models.py {name}")
    own = load.load(ModelSection(model=str(MODELS / f"{student}.gguf")), dtype=torch.float32)
    other = load.load(ModelSection(model=str(MODELS / f"{teacher}.gguf")))
    chats = PromptFormat(own.tokenizer, name=student), PromptFormat(other.tokenizer, name=teacher)
    common = common_tokens(*chats)
    say(f"{len(common.student)} of {common.student_size} tokens of {student} are common")
    head, entries = output_head(other.model), len(output_head(own.model).weight)
    return Bench(
        student=own,
        chat=chats[0],
        teacher=AlignedTeacher(
            states=Remembered(OnlineStates(other)),
            head=head,
            buckets=Buckets(common, entries, len(head.weight), own.device),
            vocabulary=entries,
            chunk=section.chunk_tokens,
        ),
        aligner=Aligner(*chats, common),
        section=section,
        generate=generate,
    )


def summarise(found: Mapping[str, Sequence[Scores]]) -> dict[str, float]:
    """Return means over problems with their intervals, and differences to `sft`."""
    means = {
        arm: {name: np.mean([getattr(one, name) for one in scores], axis=0) for name in MEASURES}
        for arm, scores in found.items()
    }
    figures: dict[str, float] = {}
    for arm, values in means.items():
        for name, value in values.items():
            figures |= _figures(f"{arm}.{name}", measure(mean, value, seed=0))
            if arm != "sft":
                apart = measure(mean, value - means["sft"][name], seed=0)
                figures |= _figures(f"{arm}.{name}.minus_sft", apart)
    (before,) = found["before"]
    return figures | {
        "mass": float(np.mean(before.mass)),
        "characters": float(np.mean(before.characters)),
    }


def show(figures: Mapping[str, float], arms: Sequence[str]) -> None:
    """Print the comparison for people."""
    rows = table("on problems that nobody trained on", *MEASURES)
    for arm in arms:
        rows.add_row(arm, *(_cell(figures, f"{arm}.{name}") for name in MEASURES))
        if arm not in {"before", "sft"}:
            cells = (_cell(figures, f"{arm}.{name}.minus_sft", "+") for name in MEASURES)
            rows.add_row(f"{arm} - sft", *cells)
    out_console.print(rows)
    out_console.print(
        f"the teacher's mass on common tokens {figures['mass']:.3f}, "
        f"characters in pairs {figures['characters']:.3f}"
    )


def _figures(name: str, found: Measure | None) -> dict[str, float]:
    return found.figures(name) if found else {}


def _cell(figures: Mapping[str, float], name: str, sign: str = "") -> str:
    ends = (figures.get(f"{name}.{end}") for end in ("low", "high"))
    between = " to ".join(f"{end:{sign}.3f}" for end in ends if end is not None)
    if name not in figures:
        return "-"
    return f"{figures[name]:{sign}.3f}" + f" ({between})" * bool(between)


if __name__ == "__main__":
    start(app)
