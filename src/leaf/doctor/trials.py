"""A recipe run on a few problems, and what that took scaled up to all of them.

Nothing is modelled: engines, detectors, arms and this machine are those of the run. Two sizes show
what comes once (models that are loaded) and what comes with every problem.
"""

import math
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leaf.models import load
from leaf.models.files import find
from leaf.pipeline.run import metrics_of
from leaf.pipeline.stages import Pipeline
from leaf.progress import console
from leaf.recipe import ModelSection, Recipe
from leaf.report.training import before_training
from leaf.store.store import Store
from leaf.tasks import read_problems

SIZES = (4, 16, 64, 256, 1024)
"""Problems of each trial, at least the first two."""

SECONDS = 60.0
"""After a trial that took a quarter of it there is no greater one."""

_GROWTH = 4

_BY_MODELS = ("answers", "sensitivities")
"""Kinds of results for which a model is loaded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One thing that was computed in a trial."""

    group: str
    """`stage 1`, `needed` (stage 1, by the baseline as well), `arms` (stage 1 of those that the
    recipe names), `evaluation`, or an arm."""
    amount: float
    """How much there was: items, or the tokens that an arm learnt from."""
    seconds: float
    by_waves: bool = False
    """Whether what comes once comes again with every full batch: answers, beside the load."""
    load: float = 0.0
    """Seconds of it that loaded a model."""
    stage: str = ""
    """Of a run, by its name in `leaf.report.cost.STAGES`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What a run on a few problems took."""

    problems: int
    parts: Mapping[str, Part]
    tokens: Mapping[tuple[str, str], int]
    """`student` or `teacher` and a stage before training to the tokens read and written."""
    bytes: int
    """On disk."""
    peak: int
    """Most memory."""
    rows: Mapping[str, int]
    """Arm to its rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Total:
    """What a run will take; seconds, bytes and tokens."""

    stage_1: Mapping[str, float]
    """Stage before training to its seconds."""
    needed: float
    """Seconds of the training problems' answers that the baseline needs, too."""
    arms: float
    """Seconds of stage 1 of the arms that the recipe names."""
    training: Mapping[str, float]
    """Arm to its training."""
    evaluation: float
    tokens: Mapping[tuple[str, str], int]
    disk: int
    peak: int
    """Of the greatest trial: it grows with the batches."""
    tried: int
    """Problems that the greatest trial had."""

    @property
    def whole(self) -> float:
        """Seconds of the whole command."""
        return (
            sum(self.stage_1.values()) + self.arms + sum(self.training.values()) + self.evaluation
        )


def estimate(recipe: Recipe) -> Total:
    """Run a recipe on a few problems, and on some more; scale up what that took.

    Raises:
        LeafError: the recipe cannot be run.
    """
    problems, _ = read_problems(recipe.data)
    asked = sum(
        len(read_problems(one)[0]) * one.samples for one in recipe.evaluate.benchmarks.values()
    )
    loads = {"student": _load(recipe.student)}
    if not recipe.alone:
        loads["teacher"] = _load(recipe.teacher)
    trials: list[Trial] = []
    for size in SIZES:
        begun = time.monotonic()
        tried = min(size, len(problems))
        console.print(f"total: the whole recipe on {tried} problems, to see what that takes")
        trials.append(_try(recipe, tried, len(problems), loads))
        took = time.monotonic() - begun
        if size >= len(problems) or (len(trials) > 1 and _GROWTH * took > SECONDS):
            break
    return scale_up(recipe, trials[-2:], problems=len(problems), asked=asked)


def _load(section: ModelSection) -> float:
    """Return the seconds that it takes to load a model which this process answers with."""
    source = find(section)
    if section.engine not in (None, "hf") or source.held is not None:
        return 0.0
    begun = time.monotonic()
    with console.capture(), load.loaded(section, source):
        return time.monotonic() - begun


def _try(recipe: Recipe, size: int, whole: int, loads: Mapping[str, float]) -> Trial:
    """Run all stages on so many of the problems."""
    inject = recipe.prune.inject
    looked_at = max(1, math.ceil(inject.looked_at * size / whole))
    small = recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update={"limit": size}),
            "prune": recipe.prune.model_copy(
                update={"inject": inject.model_copy(update={"looked_at": looked_at})}
            ),
            "distill": recipe.distill.model_copy(
                update={"max_steps": _steps(size), "max_tokens": None, "rounds": 1}
            ),
            "evaluate": recipe.evaluate.model_copy(
                update={
                    "benchmarks": {
                        name: one.model_copy(update={"limit": size})
                        for name, one in recipe.evaluate.benchmarks.items()
                    },
                    "resamples": 100,
                }
            ),
        }
    )
    with tempfile.TemporaryDirectory() as folder, console.capture():
        pipeline = Pipeline(small, Store(folder))
        results = pipeline.run(until="evaluate", after_stage=lambda: None)
        parts = _parts(pipeline, metrics_of(results.students), loads)
        stored = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    tokens: dict[tuple[str, str], int] = defaultdict(int)
    for log in before_training(pipeline.logs):
        if log.tokens:
            tokens[log.about.role, log.stage] += log.tokens.read + log.tokens.written
    return Trial(
        problems=len(results.problems or ()),
        parts=parts,
        tokens=tokens,
        bytes=stored,
        peak=max((log.peak_bytes or 0 for log in pipeline.logs), default=0),
        rows={log.about.role: log.items for log in pipeline.logs if log.kind == "students"},
    )


def _steps(size: int) -> int:
    """Return the optimiser steps of a trial on so many problems."""
    return 1 + size // 4


def _parts(
    pipeline: Pipeline,
    metrics: Mapping[str, Sequence[Mapping[str, float]]],
    loads: Mapping[str, float],
) -> dict[str, Part]:
    """Return everything that was computed; `metrics` are the steps of each arm."""
    recipe, found, titles = pipeline.recipe, dict[str, Part](), Counter[str]()
    author = "teacher" if recipe.attribute.reference == "teacher" else None
    author = "student" if recipe.baseline == "rft" else author
    first = len(list(before_training(pipeline.logs)))
    for number, log in enumerate(pipeline.logs):
        role = log.about.role
        if log.kind == "students":
            learnt = sum(line["seconds"] for line in metrics[role])
            tokens = sum(line["tokens"] for line in metrics[role])
            found[f"{role} learns"] = Part(group=role, amount=tokens, seconds=learnt)
            rest = max(0.0, log.seconds - learnt)
            found[f"{role} is prepared"] = Part(group=role, amount=log.items, seconds=rest)
            continue
        group = "stage 1" if number < first else "arms"
        if log.stage == "evaluate":
            group = "evaluation"
        elif number < first and role == author and not log.about.changed:
            group = "needed"
        loaded = loads.get(role, loads["student"]) if log.kind in _BY_MODELS else 0.0
        part = Part(
            group=group,
            amount=log.items,
            seconds=log.seconds,
            by_waves=log.kind == "answers",
            load=min(loaded, log.seconds),
            stage=log.stage,
        )
        # A title may come again: an arm that the recipe names has stages of its own.
        titles[log.title] += 1
        found[f"{log.title} {titles[log.title]}"] = part
    return found


def scale_up(recipe: Recipe, trials: Sequence[Trial], *, problems: int, asked: int) -> Total:
    """Return what a run on all problems takes, from two trials or one.

    Args:
        recipe: What is run.
        trials: The smaller one first.
        problems: Of the whole training data.
        asked: Questions of all benchmarks.
    """
    section, last = recipe.distill, trials[-1]
    share = problems / last.problems
    most = problems * (1 + (math.inf if recipe.prune.share is None else recipe.prune.share))
    rows = {arm: min(count * share, most) for arm, count in last.rows.items()}
    steps = section.max_steps or math.ceil(
        section.epochs * rows.get("leaf", problems) / section.batch_size
    )
    benchmarks = max(1, len(recipe.evaluate.benchmarks))
    seconds: dict[str, float] = defaultdict(float)
    stages: dict[str, float] = defaultdict(float)
    for name, part in last.parts.items():
        amount = part.amount * share
        if part.group == "evaluation":
            amount = part.amount * asked / (last.problems * benchmarks)
        elif name.endswith(" learns"):
            # A trial may have fewer rows than a batch.
            few = min(last.rows[part.group], section.batch_size)
            a_step = part.amount / _steps(last.problems) * section.batch_size / max(1, few)
            amount = float(section.max_tokens or steps * a_step)
        elif part.group in rows:
            amount = rows[part.group]
        before = trials[0].parts.get(name) if len(trials) > 1 else None
        took = line_through(before, part, amount, waves=amount / recipe.generate.max_batch)
        seconds[part.group] += took
        if part.group in ("stage 1", "needed"):
            stages[part.stage] += took
    return Total(
        stage_1=stages,
        needed=seconds["needed"],
        arms=seconds["arms"],
        training={arm: seconds[arm] for arm in rows},
        evaluation=seconds["evaluation"],
        tokens={key: round(count * share) for key, count in last.tokens.items() if count},
        disk=_grown(trials, problems),
        peak=last.peak,
        tried=last.problems,
    )


def line_through(before: Part | None, part: Part, amount: float, *, waves: float = 1.0) -> float:
    """Return the seconds at an amount, by the line through one or two trials.

    It never falls; what it has at nothing comes once, or with every wave where the part does so.
    """
    work = part.seconds - part.load
    slope = work / part.amount if part.amount else 0.0
    if before is not None and part.amount > before.amount:
        grown = (work - (before.seconds - before.load)) / (part.amount - before.amount)
        slope = min(slope, max(0.0, grown))
    once = work - slope * part.amount
    return part.load + once * (max(1.0, waves) if part.by_waves else 1.0) + slope * amount


def _grown(trials: Sequence[Trial], problems: int) -> int:
    """Return the bytes of the store with all problems; those of the students do not grow."""
    first, last = trials[0], trials[-1]
    more = last.problems - first.problems
    slope = max(0.0, (last.bytes - first.bytes) / more) if more else 0.0
    return round(last.bytes + slope * (problems - last.problems))
