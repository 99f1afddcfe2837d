"""What a run has found so far, and the entries that describe each of its problems."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from leaf.records import (
    Answer,
    Attribution,
    Counterfactual,
    Drop,
    NormalisedScores,
    Problem,
    Score,
    Verdict,
)
from leaf.statistics import Comparison, Estimate, Lengths, Values
from leaf.store.arms import arm_of, in_order
from leaf.store.ledger import Control, Entry, Ranking, Said, Unit, Variant
from leaf.store.run_folder import QuestionValue

Graded = tuple[list[Answer], list[Score]]
"""Answers and their scores, in the same order."""


def by_id(graded: Graded) -> dict[str, tuple[Answer, Score]]:
    """Return each answer with its score by the id of what was asked."""
    return {answer.problem_id: (answer, score) for answer, score in zip(*graded, strict=True)}


@dataclasses.dataclass(kw_only=True)
class Cuts:
    """What one detector led to."""

    counterfactuals: list[Counterfactual]
    verdicts: list[Verdict] | None = None
    """One for each of `tried`, in that order; None before verification."""
    placebos: list[Counterfactual] = dataclasses.field(default_factory=list)
    """What was cut only to hold cuts against it; never trained on."""
    placebo_verdicts: list[Verdict] = dataclasses.field(default_factory=list)
    """One for each of `placebos`, in that order; none is kept."""
    controls: dict[str, Control] = dataclasses.field(default_factory=dict)
    """Cut to how it was controlled, of those that were."""

    def __repr__(self) -> str:
        verified = "not verified" if self.verdicts is None else f"{len(self.kept)} kept"
        return f"Cuts({len(self.tried)} tried, {verified})"

    @property
    def tried(self) -> list[Counterfactual]:
        """Those that are questions to answer."""
        return [item for item in self.counterfactuals if not item.skipped]

    @property
    def kept(self) -> list[Counterfactual]:
        """Those that verification kept."""
        ids = {verdict.counterfactual_id for verdict in self.verdicts or () if verdict.kept}
        return [item for item in self.counterfactuals if item.id in ids]


@dataclasses.dataclass(kw_only=True, repr=False)
class Results:
    """What a run has so far; None is not there yet.

    Example:
        >>> results = leaf.run_recipe("demo", out="runs/demo", until="problems")
        >>> results
        Results(2000 problems)
        >>> results.estimates is None
        True
    """

    alone: bool = False
    """Whether there is no teacher but the student itself."""
    problems: list[Problem] | None = None
    student: Graded | None = None
    teacher: Graded | None = None
    entered: dict[str, str] | None = None
    """Problem to how the student failed it (`wrong`, `no answer`, `cut`), of those that entered
    detection."""
    attributions: list[Attribution] | None = None
    focus: list[NormalisedScores] | None = None
    segments: dict[str, list[Problem]] = dataclasses.field(default_factory=dict)
    """Problem to the response-level problems made of its reference."""
    cuts: dict[str, Cuts] = dataclasses.field(default_factory=dict)
    """The recipe's detector first, then its controls."""
    rankings: dict[str, tuple[Ranking, ...]] = dataclasses.field(default_factory=dict)
    """Problem to what each detector ranked in it; there with `cuts`."""
    students: dict[str, Path] = dataclasses.field(default_factory=dict)
    """Arm (`kd`, `leaf`) to the trained student's stage folder."""
    rows: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    """Arm (`kd`, `leaf`) to how its training rows were made (`original`, `span`, ...) to how many
    there are, held-out problems left out; there after verification."""
    responses: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    """Arm to who wrote y (`gold`, `teacher`, `self`) to how many of its original rows that is."""
    beside: dict[str, "Results"] = dataclasses.field(default_factory=dict)
    """Arm that the recipe names to what its own way found up to its training."""
    estimates: dict[str, dict[str, Estimate]] | None = None
    comparisons: dict[str, Comparison] | None = None
    """Benchmark and measure to LeaF against the baseline."""
    others: dict[str, dict[tuple[str, str], Comparison]] = dataclasses.field(default_factory=dict)
    """Benchmark and measure to (arm, whom it is held against) to the comparison, for arms that the
    recipe names."""
    values: dict[str, dict[str, Values]] = dataclasses.field(default_factory=dict)
    """Benchmark and measure, as `estimates` name it, to arm to each question's value."""
    question_values: list[QuestionValue] = dataclasses.field(default_factory=list)
    """What every arm scored on every question, with what tells the question in another run."""
    bases: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    """Benchmark and measure to problem id to its base problem (`Problem.base`)."""
    lengths: dict[str, dict[str, Lengths]] = dataclasses.field(default_factory=dict)
    """Benchmark to arm to how long its answers are."""
    consistency: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    """Benchmark whose answers vote to arm to how much they agree (`leaf.evaluate.Consistency`)."""
    robustness: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    """Benchmark of variants to arm to what they cost (`leaf.evaluate.Robustness`)."""
    drops: list[Drop] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def __repr__(self) -> str:
        counts = {
            "problems": self.problems,
            "scored": self.attributions,
            "cuts": [cut for cuts in self.cuts.values() for cut in cuts.tried],
            "kept": [cut for cuts in self.cuts.values() for cut in cuts.kept],
        }
        said = [f"{len(values)} {name}" for name, values in counts.items() if values]
        said += [
            f"{benchmark}: "
            + ", ".join(f"{arm_of(arm).title} {found.value:.1%}" for arm, found in arms.items())
            for benchmark, arms in (self.estimates or {}).items()
        ]
        return f"Results({'; '.join(said)})"

    def _repr_html_(self) -> str:
        """Return the table of arms by benchmark, for a notebook."""
        if not self.estimates:
            return f"<p>{escape(repr(self))}</p>"
        arms = in_order(arm for found in self.estimates.values() for arm in found)
        head = "".join(f"<th>{escape(arm_of(arm).title)}</th>" for arm in arms)
        rows = "".join(
            f"<tr><th>{escape(benchmark)}</th>"
            + "".join(
                f"<td>{found[arm].value:.1%} <small>{found[arm].low:.1%} to {found[arm].high:.1%}"
                "</small></td>"
                if arm in found
                else "<td></td>"
                for arm in arms
            )
            + "</tr>"
            for benchmark, found in self.estimates.items()
        )
        return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>"

    @property
    def verified(self) -> bool:
        """Whether stage 1 is done: every cut was judged."""
        return bool(self.cuts) and all(cuts.verdicts is not None for cuts in self.cuts.values())

    def entries(self) -> Iterator[Entry]:
        """Yield an entry for each problem that entered detection or took a text, in order.

        Response-level problems follow their own. There is none before attribution.
        """
        if not self.student or self.attributions is None:
            return
        student = _answers(self.student)
        teacher = _answers(self.teacher) if self.teacher else {}
        attributions = {item.problem_id: item for item in self.attributions}
        scores = {item.problem_id: item for item in self.focus or ()}
        variants = _variants(self.cuts)
        for asked in self.problems or ():
            for problem in (asked, *self.segments.get(asked.id, ())):
                attribution = attributions.get(problem.id)
                if attribution is None and problem.id not in variants:
                    continue
                scored = attribution if attribution and attribution.student else None
                yield Entry(
                    problem_id=problem.id,
                    level=problem.level,
                    entered=attribution is not None,
                    prompt=problem.prompt,
                    before=problem.before,
                    question=problem.question,
                    after=problem.after,
                    answer=problem.answer,
                    reference=attribution.reference if attribution else "",
                    student=student[asked.id],
                    teacher=teacher.get(asked.id),
                    student_loss=scored.student_loss if scored else None,
                    teacher_loss=scored.teacher_loss if scored else None,
                    units=_units(problem, attribution, scores.get(problem.id)),
                    skipped=attribution.skipped if attribution else None,
                    variants=tuple(variants.get(problem.id, ())),
                    rankings=self.rankings.get(problem.id, ()),
                    source=problem.source,
                    turns=problem.turns,
                )


def _answers(graded: Graded) -> dict[str, Said]:
    """Return what a model answered to each whole question."""
    return {
        answer.problem_id: Said(
            text=answer.text,
            outcome=score.outcome,
            extracted=score.extracted,
            truncated=answer.truncated,
            failure=answer.failure,
        )
        for answer, score in zip(*graded, strict=True)
    }


def _units(
    problem: Problem, attribution: Attribution | None, scores: NormalisedScores | None
) -> tuple[Unit, ...]:
    if attribution is None:
        return ()
    nothing: Sequence[float | None] = (None,) * len(attribution.starts)
    # Where no gradient was taken there are tokens and no scores.
    raw = (attribution.teacher, attribution.student)
    raw_teacher, raw_student = raw if attribution.student else ((0.0,) * len(nothing),) * 2
    normalised = (scores.teacher, scores.student, scores.gap) if scores else (nothing,) * 3
    return tuple(
        Unit(
            start=start,
            end=end,
            text=problem.question[start:end],
            teacher_raw=teacher_raw,
            student_raw=student_raw,
            teacher=teacher,
            student=student,
            gap=gap,
        )
        for start, end, teacher_raw, student_raw, teacher, student, gap in zip(
            attribution.starts,
            attribution.ends,
            raw_teacher,
            raw_student,
            *normalised,
            strict=True,
        )
    )


def _variants(cuts: Mapping[str, Cuts]) -> dict[str, list[Variant]]:
    """Return every variant by problem: the recipe's detector first, in the order made."""
    variants: dict[str, list[Variant]] = {}
    for detector, made in cuts.items():
        every = (*(made.verdicts or ()), *made.placebo_verdicts)
        verdicts = {verdict.counterfactual_id: verdict for verdict in every}
        for item in (*made.counterfactuals, *made.placebos):
            variant = _variant(detector, item, verdicts.get(item.id), made.controls.get(item.id))
            variants.setdefault(item.problem_id, []).append(variant)
    return variants


def _variant(
    detector: str, item: Counterfactual, verdict: Verdict | None, control: Control | None
) -> Variant:
    student = teacher = None
    if verdict:
        if verdict.student is not None:
            student = Said(text=verdict.student_text, outcome=verdict.student)
        if verdict.teacher is not None:
            teacher = Said(text=verdict.teacher_text or "", outcome=verdict.teacher)
    return Variant(
        id=item.id,
        detector=detector,
        strategy=item.strategy,
        spans=item.spans,
        question=item.question,
        inserted=item.inserted,
        donor=item.donor,
        student=student,
        teacher=teacher,
        kept=verdict is not None and verdict.kept,
        reason=verdict.reason if verdict else item.skipped or "",
        control=control,
    )
