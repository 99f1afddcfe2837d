"""What a run has found so far."""

import dataclasses
from pathlib import Path

from leaf.evaluate import Robustness
from leaf.pipeline.detection import Cuts
from leaf.pipeline.session import Graded
from leaf.pipeline.training_sets import TrainingSet
from leaf.records import Attribution, Drop, NormalisedScores, Problem
from leaf.statistics import Comparison, Estimate, Values


@dataclasses.dataclass(kw_only=True)
class Results:
    """What a run has so far; None is not there yet."""

    problems: list[Problem] | None = None
    student: Graded | None = None
    teacher: Graded | None = None
    attributions: list[Attribution] | None = None
    focus: list[NormalisedScores] | None = None
    segments: dict[str, list[Problem]] = dataclasses.field(default_factory=dict)
    """Problem to the response-level problems made of its reference."""
    cuts: dict[str, Cuts] = dataclasses.field(default_factory=dict)
    """The recipe's detector first, then its controls."""
    arms: dict[str, TrainingSet] = dataclasses.field(default_factory=dict)
    """Arm (`kd`, `leaf`) to what it trains on; there after verification."""
    students: dict[str, Path] = dataclasses.field(default_factory=dict)
    """Arm (`kd`, `leaf`) to the trained student's stage folder."""
    estimates: dict[str, dict[str, Estimate]] | None = None
    comparisons: dict[str, Comparison] | None = None
    values: dict[str, dict[str, Values]] = dataclasses.field(default_factory=dict)
    """Benchmark and measure, as `estimates` name it, to arm to each question's value."""
    questions: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    """Benchmark and measure to problem id to a digest of the question and its answer."""
    bases: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    """Benchmark and measure to problem id to its base problem (`Problem.base`)."""
    robustness: dict[str, dict[str, Robustness]] = dataclasses.field(default_factory=dict)
    """Benchmark of variants to arm to what they cost."""
    drops: list[Drop] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
