"""What the chunked linear KL costs: LeaF's, the naive way and Liger's, in the same run.

    .venv/bin/python -m benchmarks.kl --json

From last hidden states and output heads of a student and a teacher (random, shaped as SmolLM2 at V
= 49,152 and as Qwen2.5 0.5B and 1.5B at V = 151,936) to the forward KL and its gradients for the
student's states and head. The ways take turns, each in a process of its own. For each V

- seconds, peak_bytes: of ours; bytes are growth over the inputs, so both gradients count;
- seconds_ratio_to_naive, peak_ratio_to_naive: ours over those of full logits under autograd;
- seconds_ratio_to_liger, peak_ratio_to_liger: ours over those of LigerFusedLinearJSDLoss with its
  own defaults (compiled where there is a compiler, which is not timed);
- share_of_floor: seconds of the bare products with both heads (student and teacher forward, back
  to states and to head; chunks of the size that suits products best) over ours;
- max_relative_error: the largest difference from the naive way in float64 over its largest value,
  of the value and of both gradients, in fewer positions.

Ratios are ours / theirs, below 1 is better, the median over rounds; share_of_floor is best at 1.
"""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Literal

import cyclopts
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from benchmarks._measure import alone, peak_growth, timed
from benchmarks._rivals import liger_jsd, rivals_python
from benchmarks.common import AsJson, out_console, print_json, start
from leaf.distill.objective import Objective
from leaf.distill.targets import HiddenTargets
from leaf.errors import UsageError
from leaf.losses import LOSSES
from leaf.models.fused_loss import linear_loss
from leaf.models.load import DTYPES, best_device
from leaf.models.output_head import Head
from leaf.progress import progress, table
from leaf.recipe import DistillSection
from leaf.store.memory import memory_of, size_of

WIDTHS = {49152: (576, 576), 151936: (896, 1536)}
"""Vocabulary to the widths of student and teacher."""

WAYS = ("ours", "naive", "liger")
FLOOR_CHUNK = 512
"""Positions in a product of the floor: more or fewer are slower."""
LIGER_CHUNK = 1024
"""Liger's own default."""
CHECKED = 256
"""Positions that are compared with float64."""

Found = tuple[Tensor, Tensor, Tensor]
"""The mean KL in nats, and its gradients for the student's states [T, D] and head [V, D]."""

app = cyclopts.App(help=__doc__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """What is computed; T positions, V entries, D and E widths of student and teacher."""

    vocabulary: int
    positions: int
    dtype: Literal["float32", "bfloat16"]
    chunk: int
    """Positions whose logits exist at the same time, ours."""

    @property
    def naive_bytes(self) -> int:
        """What the naive way needs: seven tensors [T, V] of float32, and the heads twice."""
        widths = sum(WIDTHS[self.vocabulary])
        return 4 * self.vocabulary * (7 * self.positions + 2 * widths)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a way is given."""

    student_TD: Tensor
    student_head_VD: Tensor
    teacher_TE: Tensor
    teacher_head_VE: Tensor

    @classmethod
    def random(cls, case: Case, positions: int | None = None) -> "Inputs":
        """Draw inputs whose logits have a standard deviation of 2, about that of real ones."""
        generator = torch.Generator().manual_seed(0)
        count = positions or case.positions
        made = []
        for width in WIDTHS[case.vocabulary]:
            made.append(torch.randn(count, width, generator=generator))
            head = torch.randn(case.vocabulary, width, generator=generator)
            made.append(head.mul_(2.0 / width**0.5))
        return cls(*(tensor.to(best_device(), DTYPES[case.dtype]) for tensor in made)).learning()

    def learning(self) -> "Inputs":
        """Let the student's tensors want gradients."""
        self.student_TD.requires_grad_()
        self.student_head_VD.requires_grad_()
        return self

    def wide(self) -> "Inputs":
        """Return the same numbers in float64."""
        parts = (self.student_TD, self.student_head_VD, self.teacher_TE, self.teacher_head_VE)
        return Inputs(*(tensor.detach().double() for tensor in parts)).learning()

    def found(self, value: Tensor) -> Found:
        """Run the backward and return what came of it."""
        value.backward()  # type: ignore[no-untyped-call]
        hidden, head = self.student_TD.grad, self.student_head_VD.grad
        assert hidden is not None
        assert head is not None
        return value.detach(), hidden, head


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One way, once."""

    seconds: float
    peak_bytes: int
    floor: float
    """Seconds of the bare products, measured just before; 0 but for ours."""


@app.default
def main(
    *,
    json_: AsJson = False,
    positions: int = 4096,
    vocabularies: str = ",".join(map(str, WIDTHS)),
    repeats: int = 3,
    dtype: Literal["float32", "bfloat16"] = "float32",
    chunk: int = DistillSection().chunk_tokens,
) -> None:
    """Measure seconds and bytes of the chunked linear KL.

    Args:
        json_: End with one line of JSON for a program.
        positions: T, response positions.
        vocabularies: V, some of 49152 and 151936.
        repeats: Rounds in which every way has a turn.
        dtype: Of states and heads.
        chunk: Positions whose logits exist at the same time, ours.
    """
    sizes = [int(word) for word in vocabularies.split(",") if word.strip().isdecimal()]
    if not sizes or set(sizes) - set(WIDTHS):
        raise UsageError(f"--vocabularies {vocabularies}: must name some of {list(WIDTHS)}")
    if min(positions, repeats, chunk) < 1:
        raise UsageError("--positions, --repeats and --chunk: must be at least 1")
    cases = [Case(vocabulary=size, positions=positions, dtype=dtype, chunk=chunk) for size in sizes]
    _check_memory(cases)
    figures: dict[str, float] = {}
    for case in cases:
        found = measure(case, repeats)
        figures |= {f"{case.vocabulary}.{key}": value for key, value in found.items()}
    show(figures)
    if json_:
        setting = {
            "positions": positions,
            "repeats": repeats,
            "dtype": dtype,
            "chunk": chunk,
            "liger_compiled": _compiles(),
            "threads": torch.get_num_threads(),
            "device": str(best_device()),
        }
        print_json("kl", setting, figures)


def measure(case: Case, repeats: int) -> dict[str, float]:
    """Return every figure of one vocabulary."""
    turns: dict[str, list[Turn]] = {way: [] for way in WAYS}
    python = rivals_python()
    label = f"V = {case.vocabulary:,}"
    with progress(label, repeats * len(WAYS), unit="turns") as tick:
        for _ in range(repeats):
            for way in WAYS:
                turns[way].append(alone(turn, way, case, python))
                tick()
    ours = turns["ours"]
    figures = {
        "seconds": median(each.seconds for each in ours),
        "peak_bytes": median(each.peak_bytes for each in ours),
        "share_of_floor": median(each.floor / each.seconds for each in ours),
        "max_relative_error": alone(relative_error, case),
    }
    for way in WAYS[1:]:
        pairs = list(zip(ours, turns[way], strict=True))
        figures[f"seconds_ratio_to_{way}"] = median(a.seconds / b.seconds for a, b in pairs)
        figures[f"peak_ratio_to_{way}"] = median(a.peak_bytes / b.peak_bytes for a, b in pairs)
    return figures


def turn(way: str, case: Case, python: Path) -> Turn:
    """Let one way compute once, warmed up; for a process of its own."""
    device = best_device()
    ways: dict[str, Callable[[Inputs], Found]] = {
        "ours": partial(ours, chunk=case.chunk),
        "naive": naive,
        "liger": partial(liger, python=python),
    }
    work = ways[way]
    # What Liger compiles is of the shape of its chunks.
    few = min(case.positions, LIGER_CHUNK if way == "liger" else 64)
    work(Inputs.random(case, few))
    inputs = Inputs.random(case)
    floor = timed(lambda: bare_products(inputs))[0] if way == "ours" else 0.0
    grown, (seconds, _) = peak_growth(lambda: timed(lambda: work(inputs)), device)
    return Turn(seconds=seconds, peak_bytes=grown, floor=floor)


def ours(inputs: Inputs, *, chunk: int) -> Found:
    """Compute it as training does."""
    teacher = HiddenTargets(
        hidden_RD=inputs.teacher_TE,
        head=Head(inputs.teacher_head_VE),
        loss=LOSSES["kl"],
        temperature=1.0,
    )
    count, device = len(inputs.student_TD), inputs.student_TD.device
    labels = torch.zeros(count, dtype=torch.long, device=device)
    objective = Objective(teacher, labels, share=0.0, temperature=1.0)
    weights = torch.full((count,), 1.0 / count, device=device)
    head = Head(inputs.student_head_VD)
    value, _ = linear_loss(inputs.student_TD, head, objective, weights, chunk=chunk)
    return inputs.found(value)


def naive(inputs: Inputs) -> Found:
    """Compute it from the full logits of both models, under autograd."""
    # Logits stay: in a trainer they are part of what both models returned.
    student_TV = inputs.student_TD @ inputs.student_head_VD.T
    with torch.no_grad():
        teacher_TV = inputs.teacher_TE @ inputs.teacher_head_VE.T
    log_TV = F.log_softmax(student_TV.to(_wide(inputs)), dim=-1)
    log_teacher_TV = F.log_softmax(teacher_TV.to(_wide(inputs)), dim=-1)
    return inputs.found(F.kl_div(log_TV, log_teacher_TV, reduction="batchmean", log_target=True))


def liger(inputs: Inputs, *, python: Path) -> Found:
    """Compute it by Liger's chunked loss."""
    loss = liger_jsd(python)(
        weight_hard_loss=0.0,
        weight_soft_loss=1.0,
        beta=0.0,
        compiled=_compiles(),
        chunk_size=LIGER_CHUNK,
    )
    labels = torch.zeros(len(inputs.student_TD), dtype=torch.long, device=best_device())
    heads = inputs.student_head_VD, inputs.teacher_head_VE
    return inputs.found(loss(inputs.student_TD, heads[0], inputs.teacher_TE, heads[1], labels))


@torch.no_grad()
def bare_products(inputs: Inputs) -> None:
    """Compute what no exact way can do without: four products, chunk by chunk in one buffer."""
    head_VD = inputs.student_head_VD
    buffer = head_VD.new_empty(FLOOR_CHUNK, len(head_VD))
    grad_VD = torch.zeros_like(head_VD)
    for first in range(0, len(inputs.student_TD), FLOOR_CHUNK):
        student_CD = inputs.student_TD[first : first + FLOOR_CHUNK]
        raw_CV = buffer[: len(student_CD)]
        teacher_CE = inputs.teacher_TE[first : first + FLOOR_CHUNK]
        torch.mm(teacher_CE, inputs.teacher_head_VE.T, out=raw_CV)
        torch.mm(student_CD, head_VD.T, out=raw_CV)
        torch.mm(raw_CV, head_VD)
        grad_VD.addmm_(raw_CV.T, student_CD)


def relative_error(case: Case) -> float:
    """Return the largest relative error of ours: of the value and of both gradients."""
    inputs = Inputs.random(case, min(case.positions, CHECKED))
    exact = naive(inputs.wide())
    found = ours(inputs, chunk=case.chunk)
    return max(furthest(one, other) for one, other in zip(found, exact, strict=True))


def furthest(found: Tensor, exact: Tensor) -> float:
    """Return max |found - exact| / max |exact|."""
    return float((found.double() - exact).abs().max() / exact.abs().max())


def show(figures: Mapping[str, float]) -> None:
    """Print the figures for people, a row a figure and a column a vocabulary."""
    names = list(dict.fromkeys(key.partition(".")[0] for key in figures))
    rows = table("", *(f"V = {int(name):,}" for name in names))
    for key in dict.fromkeys(key.partition(".")[2] for key in figures):
        rows.add_row(key, *(_cell(key, figures[f"{name}.{key}"]) for name in names))
    out_console.print(rows)


def _cell(key: str, value: float) -> str:
    if key.endswith("bytes"):
        return f"{value / 2**20:,.0f} MiB"
    return f"{value:.1e}" if "error" in key else f"{value:.3f}"


def _wide(inputs: Inputs) -> torch.dtype:
    return torch.promote_types(inputs.student_TD.dtype, torch.float32)


def _compiles() -> bool:
    """Whether PyTorch finds what it compiles with: Triton on an accelerator, else a compiler."""
    return best_device().type == "cuda" or shutil.which(os.environ.get("CXX", "g++")) is not None


def _check_memory(cases: Sequence[Case]) -> None:
    """Raise `UsageError` where the naive way would not fit in this machine's free memory."""
    _, free = memory_of(best_device())
    need = max(case.naive_bytes for case in cases)
    if need > free:
        raise UsageError(
            f"--positions {cases[0].positions}: the naive way needs {size_of(need)}, but "
            f"{size_of(free)} are free; choose fewer positions"
        )


if __name__ == "__main__":
    start(app)
