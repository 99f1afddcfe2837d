"""`leaf.explain`: one prompt under the lens."""

import io
import sys
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from textwrap import shorten
from typing import Any

from rich.console import Console

from leaf.api.desk import cuts_of, desk, detection_of
from leaf.api.model import Model
from leaf.api.records import Cut, Said, ScoredUnit, Scores, Verified, brief
from leaf.api.settings import check_grader, gold_of, recipe_of, surroundings
from leaf.api.undisturbed import undisturbed
from leaf.attribute.ranking import min_max
from leaf.errors import UsageError
from leaf.progress import say
from leaf.recipe import Recipe
from leaf.recipe.choice import Chosen
from leaf.records import Problem, RankedUnit, Span
from leaf.report.inline import explanation_html
from leaf.report.one_problem import explanation
from leaf.report.one_problem_terminal import print_explanation
from leaf.report.page import write_explanation
from leaf.store.ledger import Entry, Ranking, Unit, Variant
from leaf.store.ledger import Said as LedgerSaid

_NAME = "prompt"

_TITLE = 60
"""Most characters of a question as a heading."""


@undisturbed()
def explain(
    student: Model,
    teacher: Model | None,
    question: str,
    reference: str,
    detector: str | None = None,
    unit: str | None = None,
    answer: str | None = None,
    grader: Chosen | None = None,
    *,
    recipe: Recipe | None = None,
    max_new_tokens: int | None = None,
    **options: Any,
) -> "Look":
    """Show what in a prompt looks like a distraction, and what may be cut.

    Args:
        student: The model that may be distracted.
        teacher: A better model to hold it against; None: the student alone, which the detectors
            `ablation` and `perplexity` can do.
        question: The prompt. The sentence that asks is never taken out whole.
        reference: A right response to it.
        detector: Who ranks; None: the recipe's, else `ablation`.
        unit: What is ranked: `token`, `word`, `clause` or `sentence`; None: the recipe's, else
            `sentence`.
        answer: The final answer, for `verify`; None: what the reference marks (`#### 18`, `the
            answer is 18`, a box), or a short reference as it stands.
        grader: How answers are judged, as `data.grader` of a recipe (a name, or a name with its
            options); None: guessed from the answer, and said.
        recipe: Whose settings are taken where none are given here: detector, rule, strategy, what
            stands before and after a question, grader.
        max_new_tokens: Longest answer in tokens; None: the recipe's, else 512.
        options: The detector's own, as `proposals=3` of `ablation`.

    Returns:
        A `Look`: scores and cuts at once; `look.verify()` lets the models answer.

    Raises:
        UsageError: an empty question or reference, an unknown name, or a detector that compares two
            models where there is one.
        RecipeError: an unknown option of the detector or the grader.

    Example:
        >>> student = leaf.Model.load("package:playground/models/student")
        >>> question = "Ada has 3 pens. It is late. How many pens does Ada have?"
        >>> look = leaf.explain(student, None, question, "3")
        >>> look.scores[1]
        ScoredUnit(15:27, 1.00, ' It is late.')
    """
    if grader is not None:
        check_grader(grader)
    for name, text in (("question", question), ("reference", reference)):
        if not text.strip():
            raise UsageError(f"{name}: is empty")
    names = [unit] if unit else list(recipe.prune.units) if recipe else ["sentence"]
    detector = detector or (recipe.attribute.detector if recipe else "ablation")
    resolved = recipe_of(
        student,
        teacher,
        base=recipe,
        attribute=detection_of(detector, unit or (None if recipe else names[0]), options, recipe),
        prune={"units": names, "strategy": _without_transplants(recipe)},
        generate={"max_new_tokens": max_new_tokens} if max_new_tokens else {},
    )
    before, after = surroundings(recipe.data) if recipe else ("", "")
    problem = Problem(
        id=_NAME, question=question, answer="", solution=reference, before=before, after=after
    )
    if grader is None and recipe and recipe.data.grader is not None:
        grader = recipe.data.grader
    with desk(student, teacher, resolved) as work:
        ranked = [work.scores([problem], name)[0] for name in names]
    return Look(
        student=student,
        teacher=teacher,
        problem=problem,
        answer=answer,
        grader=grader,
        recipe=resolved,
        ranked=ranked,
    )


def _without_transplants(recipe: Recipe | None) -> str:
    """Return how a recipe cuts; one prompt has no other whose cuts it could take."""
    names = recipe.prune.strategy.split("+") if recipe else []
    return "+".join(name for name in names if name != "transplant") or "span"


@dataclass(kw_only=True, eq=False)
class Look:
    """What `leaf.explain` found about one prompt.

    `print(look)` shows it on a terminal, as the last line of a cell it is a heat map, and
    `look.to_html(path)` writes a page.
    """

    student: Model
    teacher: Model | None
    problem: Problem
    """The prompt."""
    answer: str | None
    """The final answer that was given; None: it is found in the reference."""
    grader: Chosen | None
    """The grader that was given; None: it is guessed."""
    recipe: Recipe
    """The settings of a run of the same work."""
    ranked: list[Scores]
    """The ranking of each unit that is cut."""
    verified: list[Verified] | None = None
    """What came of the cuts; None before `verify`."""
    answers: dict[str, Said] = field(default_factory=dict)
    """`student` and `teacher` to the answer to the whole prompt; empty before `verify`."""

    @property
    def scores(self) -> tuple[ScoredUnit, ...]:
        """The units that were ranked, in text order, each with its score in [0, 1]."""
        return self.ranked[0].units

    @property
    def skipped(self) -> str | None:
        """Why there is no ranking, else None."""
        return self.ranked[0].skipped

    @cached_property
    def cuts(self) -> list[Cut]:
        """The changed questions, and the spans that must stay with their reason."""
        made: dict[tuple[str, str | None], Cut] = {}
        for scores in self.ranked:
            for cut in cuts_of(scores, self.recipe.prune):
                made.setdefault((cut.changed, cut.skipped), cut)
        return [replace(cut, id=f"{_NAME}/{at}") for at, cut in enumerate(made.values())]

    @undisturbed()
    def verify(self) -> list[Verified]:
        """Let the models answer the prompt and every cut one; a second call asks nobody again.

        Raises:
            UsageError: there is no final answer to judge by.
        """
        if self.verified is None:
            gold = gold_of(self.problem.solution, self.answer, self.grader)
            if gold.why:
                say(gold.why)
            self.problem = gold.of(self.problem)
            with desk(self.student, self.teacher, self.recipe) as work:
                whole = work.answers([self.problem])
                self.answers = {role: said[0] for role, said in whole.items()}
                self.verified = work.verify(self.cuts, [self.problem] * len(self.cuts))
        return self.verified

    @property
    def entry(self) -> Entry:
        """The prompt as a line of a run's ledger."""
        problem, scores = self.problem, self.ranked[0]
        return Entry(
            problem_id=problem.id,
            level=problem.level,
            entered=True,
            prompt="",
            before=problem.before,
            question=problem.question,
            after=problem.after,
            answer=problem.answer,
            reference=problem.solution,
            student=_said(self.answers.get("student")),
            teacher=_said(self.answers.get("teacher")),
            student_loss=None,
            teacher_loss=None,
            units=_tokens(scores),
            skipped=scores.skipped,
            variants=tuple(map(_variant, self.verified or self.cuts)),
            rankings=tuple(map(_ranking, self.ranked)),
        )

    def as_json(self) -> dict[str, Any]:
        """Return what page and terminal show, as plain values."""
        title = shorten(self.problem.question, _TITLE, placeholder=" …")
        return explanation(self.entry, self.recipe, "a prompt of your own", title)

    def to_html(self, path: Path | str) -> Path:
        """Write a page that needs nothing outside itself; returns its path."""
        return write_explanation(self.as_json(), Path(path))

    def __repr__(self) -> str:
        scores = self.ranked[0]
        what = scores.skipped or f"{scores.detector} of {len(scores.units)} {scores.unit}s"
        tried = [cut for cut in self.cuts if not cut.skipped]
        came = "not verified"
        if self.verified is not None:
            came = f"{sum(item.kept for item in self.verified)} verified"
        return f"Look({brief(self.problem.question)}, {what}, {len(tried)} cuts, {came})"

    def __str__(self) -> str:
        terminal = sys.stdout.isatty()
        console = Console(file=io.StringIO(), highlight=False, force_terminal=terminal)
        with console.capture() as shown:
            print_explanation(self.as_json(), console)
        return shown.get().rstrip("\n")

    def _repr_html_(self) -> str:
        return explanation_html(self.as_json())


def _said(said: Said | None) -> LedgerSaid | None:
    if said is None:
        return None
    return LedgerSaid(
        text=said.text,
        outcome=said.outcome,
        extracted=said.extracted,
        truncated=said.truncated,
        failure=None if said.text.strip() else said.reason,
    )


def _tokens(scores: Scores) -> tuple[Unit, ...]:
    """Return both models' sensitivities of each token, where it is these that were compared."""
    if scores.detector != "gradient" or scores.skipped:
        return ()
    student = min_max([unit.student for unit in scores.measured])
    teacher = min_max([unit.teacher or 0.0 for unit in scores.measured])
    gap = None if teacher is None or student is None else min_max(teacher - student)
    if teacher is None or student is None or gap is None:
        return ()
    return tuple(
        Unit(
            start=unit.start,
            end=unit.end,
            text=scores.question[unit.start : unit.end],
            teacher_raw=unit.teacher or 0.0,
            student_raw=unit.student,
            teacher=float(teacher[at]),
            student=float(student[at]),
            gap=float(gap[at]),
        )
        for at, unit in enumerate(scores.measured)
    )


def _ranking(scores: Scores) -> Ranking:
    units = tuple(
        RankedUnit(start=unit.start, end=unit.end, score=unit.score) for unit in scores.units
    )
    return Ranking(detector=scores.detector, unit=scores.unit, units=units)


def _variant(made: Verified | Cut) -> Variant:
    cut = made if isinstance(made, Cut) else made.cut
    verified = None if isinstance(made, Cut) else made
    return Variant(
        id=cut.id,
        detector=cut.detector,
        strategy=cut.strategy,
        spans=tuple(
            Span(start=unit.start, end=unit.end, text=unit.text, gap=1 - unit.score, units=1)
            for unit in cut.removed
        ),
        question=cut.changed,
        inserted=cut.inserted,
        donor="",
        student=_said(verified.student) if verified else None,
        teacher=_said(verified.teacher) if verified else None,
        kept=bool(verified and verified.kept),
        reason=cut.skipped or (verified.reason if verified else ""),
    )
