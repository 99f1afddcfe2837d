"""What a training step costs: LeaF's, the published way and TRL's, in the same run.

    .venv/bin/python -m benchmarks.distill --json

A step is the forward of teacher and student, the backward and AdamW, on the first questions of
GSM8K's training set with their solutions; forward KL at the response positions. Everybody computes
in the recipe's dtype with float32 master weights, without checkpointing, on the same tokens:

- ours: `leaf.distill`, rows side by side without padding, the teacher in memory;
- published: rows padded to the cutoff of 1,024, full logits of both models, a few rows at a time;
- trl and trl_distillation: TRL in an environment of its own, all rows at once, padded to the
  longest: GKDTrainer, its off-policy trainer, and DistillationTrainer, the on-policy one of today,
  with a chunked loss, given the responses.

They take turns, each in a process of its own, after one step that does not count; the published
way, by far the slowest, has one turn, after the first of ours. For each pair

- seconds, tokens_per_second: of our step; padding is no token;
- ratio_to_published, ratio_to_trl, ratio_to_trl_distillation: their seconds over ours (above 1 is
  better), for TRL the median over rounds;
- cached_step_over_student_only: our step with a warm cache of the teacher's hidden states over our
  step without a teacher, on cross-entropy, both in the process of ours (1 is best);
- share_of_bound: how near ours is to the machine's limit, the seconds that 6 operations a student
  parameter and token and 2 a teacher parameter and token take at the rate of a bare matrix product
  measured beside it; the heads count at response positions alone, input embeddings and attention
  not at all (1 is best);
- peak_bytes, and published_, trl_ and trl_distillation_ before it: growth of memory over the two
  loaded models: gradients and the optimiser's state count, for all alike.

`<pair>.lora.` begins the same with adapters of rank 16 on every linear layer beside frozen weights
in the dtype that computes; of the student's operations 4 a parameter and token are the bound then.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import cyclopts
import torch

from benchmarks import _steps
from benchmarks._gsm_ic import MODELS
from benchmarks._measure import alone, peak_growth, timed
from benchmarks._rivals import rivals_python
from benchmarks._steps import Pair, Trainer, bound_seconds, open_pair, read_samples
from benchmarks._trl import Job
from benchmarks.common import ROOT, AsJson, out_console, print_json, start
from leaf.errors import LeafError, UsageError
from leaf.models import load
from leaf.models.files import find
from leaf.models.load import best_device, dtype_name, resolve_dtype
from leaf.models.prompt_format import PromptFormat
from leaf.progress import progress, table
from leaf.recipe import DistillSection, LoraSection, ModelSection

TRAINERS = {"trl": "gkd", "trl_distillation": "distillation"}
"""How the figures of TRL's trainers are named."""

PAIRS = {
    # The teacher has the student's weights: what a step costs does not depend on them.
    "smollm2": ("smollm2-135m", "smollm2-135m", 8, 2),
    "qwen": ("qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b", 2, 1),
}
"""Name to student, teacher, rows of a step, rows that the published way takes at once."""

app = cyclopts.App(help=__doc__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ours:
    """Our ways in one process."""

    seconds: float
    cached: float
    """Seconds with the teacher's states read from a cache."""
    student_only: float
    """Seconds without a teacher."""
    bound: float
    """Seconds that the machine cannot beat."""
    peak_bytes: int
    tokens: int
    """Of one step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Theirs:
    """A rival in a process of its own."""

    seconds: float
    peak_bytes: int


@app.default
def main(
    *,
    json_: AsJson = False,
    pairs: str = ",".join(PAIRS),
    rows: int | None = None,
    repeats: int = 3,
    lora: bool = True,
    data: Path = ROOT.parent / "shared" / "data" / "gsm8k" / "train.jsonl",
) -> None:
    """Measure seconds and bytes of a training step.

    Args:
        json_: End with one line of JSON for a program.
        pairs: Some of smollm2 and qwen, models made by tools/offline_models.py.
        rows: Rows in a step; 8 for smollm2 and 2 for qwen if left out.
        repeats: Rounds in which every way has a turn.
        lora: Also with adapters.
        data: GSM8K's train.jsonl, or records like it.
    """
    names = pairs.split(",")
    if set(names) - set(PAIRS):
        raise UsageError(f"--pairs {pairs}: must name some of {', '.join(PAIRS)}")
    if min(repeats, rows or 1) < 1:
        raise UsageError("--repeats and --rows: must be at least 1")
    figures: dict[str, float] = {}
    chosen = {name: _pair(name, rows, data) for name in names}
    for name, pair in chosen.items():
        figures |= {f"{name}.{key}": value for key, value in measure(pair, repeats).items()}
        if lora:
            found = measure(replace(pair, lora=True), repeats)
            figures |= {f"{name}.lora.{key}": value for key, value in found.items()}
    show(figures)
    if json_:
        setting = {
            "rows": {name: pair.rows for name, pair in chosen.items()},
            "repeats": repeats,
            "trl": list(TRAINERS.values()),
            "dtype": dtype_name(_compute_dtype()),
            "threads": torch.get_num_threads(),
            "device": str(best_device()),
        }
        print_json("distill", setting, figures)


def measure(pair: Pair, repeats: int) -> dict[str, float]:
    """Return every figure of one pair; the published way has no adapters."""
    ours: list[Ours] = []
    theirs: dict[str, list[Theirs]] = {name: [] for name in TRAINERS}
    turns = (1 + len(TRAINERS)) * repeats + (not pair.lora)
    with progress(Path(pair.student).stem, turns, unit="turns") as tick:
        for number in range(repeats):
            ours.append(alone(our_turn, pair))
            tick()
            if number == 0 and not pair.lora:
                theirs["published"] = [alone(published_turn, pair)]
                tick()
            for name, trainer in TRAINERS.items():
                theirs[name].append(trl_turn(pair, trainer))
                tick()
    figures = {
        "seconds": median(turn.seconds for turn in ours),
        "tokens_per_second": median(turn.tokens / turn.seconds for turn in ours),
        "cached_step_over_student_only": median(turn.cached / turn.student_only for turn in ours),
        "share_of_bound": median(turn.bound / turn.seconds for turn in ours),
        "peak_bytes": median(turn.peak_bytes for turn in ours),
    }
    for way, taken in theirs.items():
        both = list(zip(taken, ours, strict=False))
        figures[f"ratio_to_{way}"] = median(one.seconds / other.seconds for one, other in both)
        figures[f"{way}_peak_bytes"] = median(turn.peak_bytes for turn in taken)
    return figures


def our_turn(pair: Pair) -> Ours:
    """Make steps our way, with and without a cache and a teacher; for a process of its own."""
    opened = open_pair(pair)
    trainer = Trainer(opened)
    online = _steps.ours(opened)

    def measured() -> float:
        trainer.step(online, opened.samples[:1])
        return timed(partial(trainer.step, online))[0]

    peak_bytes, seconds = peak_growth(measured, opened.student.device)
    with TemporaryDirectory() as folder:
        cached, student_only = _steps.cached(opened, Path(folder)), _steps.student_only(opened)
        # Twice in turns, the faster counts: a busy moment must not hit one of them alone.
        found = [timed(partial(trainer.step, way))[0] for way in (cached, student_only) * 2]
    return Ours(
        seconds=seconds,
        cached=min(found[0::2]),
        student_only=min(found[1::2]),
        bound=bound_seconds(opened, _compute_dtype()),
        peak_bytes=peak_bytes,
        tokens=opened.tokens,
    )


def published_turn(pair: Pair) -> Theirs:
    """Make a step the published way; for a process of its own."""
    opened = open_pair(pair)
    trainer = Trainer(opened)
    backward = _steps.published(opened, pair.micro, dtype=_compute_dtype())

    def measured() -> float:
        trainer.step(backward, opened.samples[:1])
        return timed(partial(trainer.step, backward))[0]

    peak_bytes, seconds = peak_growth(measured, opened.student.device)
    return Theirs(seconds=seconds, peak_bytes=peak_bytes)


def trl_turn(pair: Pair, trainer: str) -> Theirs:
    """Let TRL make a step on the same tokens.

    Raises:
        LeafError: TRL failed.
    """
    student = find(ModelSection(model=pair.student))
    samples = read_samples(pair, PromptFormat(load.load_tokenizer(student), name=pair.student))
    job = Job(
        trainer=trainer,
        student=str(student.folder),
        teacher=str(find(ModelSection(model=pair.teacher)).folder),
        ids=[list(sample.tokens.ids) for sample in samples],
        prompt_lengths=[sample.tokens.prompt_length for sample in samples],
        dtype=dtype_name(_compute_dtype()),
        steps=1,
        learning_rate=DistillSection().learning_rate,
        lora={"r": LoraSection().rank, "lora_alpha": LoraSection().alpha} if pair.lora else None,
    )
    found = run_trl(job)
    return Theirs(seconds=median(found["seconds"]), peak_bytes=int(found["peak_bytes"]))


def run_trl(job: Job) -> dict[str, Any]:
    """Let TRL train in its own environment; return what `benchmarks._trl` prints.

    Raises:
        LeafError: it failed; its last words are in the message.
    """
    done = subprocess.run(  # noqa: S603
        [str(rivals_python()), "-m", "benchmarks._trl"],
        input=json.dumps(asdict(job)),
        env=os.environ | {"TRL_EXPERIMENTAL_SILENCE": "1", "HF_HUB_OFFLINE": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LeafError(f"TRL failed ({done.returncode}): {done.stderr.strip()[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def show(figures: Mapping[str, float]) -> None:
    """Print the figures for people, a row a figure and a column a pair."""
    names = list(dict.fromkeys(key.rpartition(".")[0] for key in figures))
    rows = table("", *names)
    for key in dict.fromkeys(key.rpartition(".")[2] for key in figures):
        values = (figures.get(f"{name}.{key}") for name in names)
        rows.add_row(key, *("" if value is None else _cell(key, value) for value in values))
    out_console.print(rows)


def _cell(key: str, value: float) -> str:
    return f"{value / 2**20:,.0f} MiB" if key.endswith("bytes") else f"{value:.2f}"


def _pair(name: str, rows: int | None, data: Path) -> Pair:
    student, teacher, usual, micro = PAIRS[name]
    paths = [str(MODELS / f"{model}.gguf") for model in (student, teacher)]
    return Pair(student=paths[0], teacher=paths[1], rows=rows or usual, micro=micro, data=data)


def _compute_dtype() -> torch.dtype:
    """Return what a recipe computes in on this machine."""
    dtype = resolve_dtype("auto", best_device())
    return torch.float32 if dtype is torch.float16 else dtype


if __name__ == "__main__":
    start(app)
