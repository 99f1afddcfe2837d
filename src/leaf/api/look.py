"""`leaf.explain`: one prompt under the lens."""

import io
import sys
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from textwrap import shorten
from typing import Any

from leaf.api.arguments import check_models, check_text
from leaf.api.desk import cuts_of, desk, detection_of
from leaf.api.entry import ranking_of, said_of, tokens_of, variant_of
from leaf.api.model import Model
from leaf.api.records import Cut, Said, ScoredUnit, Scores, Verified, brief
from leaf.api.settings import check_grader, gold_of, recipe_of, surroundings
from leaf.api.undisturbed import undisturbed
from leaf.errors import UsageError, check_type
from leaf.progress import Terminal, say
from leaf.recipe import Recipe
from leaf.recipe.choice import Chosen
from leaf.records import Problem
from leaf.report.inline import explanation_html
from leaf.report.one_problem import explanation
from leaf.report.one_problem_terminal import print_explanation
from leaf.report.page import write_explanation
from leaf.store.ledger import Entry

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
        unit: What is ranked: `token`, `word`, `phrase`, `clause`, `sentence` or `paragraph`; None:
            the recipe's, else `sentence`.
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
    check_models(student, teacher)
    _check(question, reference, answer, grader, recipe)
    settings = _settings(student, teacher, detector, unit, max_new_tokens, options, recipe)
    before, after = surroundings(recipe.data) if recipe else ("", "")
    problem = Problem(
        id=_NAME, question=question, answer="", solution=reference, before=before, after=after
    )
    if grader is None and recipe:
        grader = recipe.data.grader
    return _look(student, teacher, problem, settings, answer, grader)


def _check(
    question: object, reference: object, answer: object, grader: Chosen | None, recipe: object
) -> None:
    """Refuse what cannot be explained, before anything is computed."""
    for name, text in (("question", question), ("reference", reference)):
        check_text(name, text)
        if not str(text).strip():
            raise UsageError(f"{name}: is empty")
    if answer is not None:
        check_text("answer", answer)
    if grader is not None:
        check_grader(grader)
    if recipe is not None:
        check_type("recipe", recipe, Recipe, "a Recipe; read one: leaf.load_recipe(name)")


def _settings(
    student: Model,
    teacher: Model | None,
    detector: str | None,
    unit: str | None,
    max_new_tokens: int | None,
    options: dict[str, Any],
    recipe: Recipe | None,
) -> Recipe:
    """Return the settings of one prompt: what was given over those of `recipe`."""
    units = [unit] if unit else list(recipe.prune.units) if recipe else ["sentence"]
    # One prompt has no other whose cuts it could take.
    strategy = recipe.prune.without("transplant", "inject") if recipe else ["span"]
    detector = detector or (recipe.attribute.detector if recipe else "ablation")
    return recipe_of(
        student,
        teacher,
        base=recipe,
        attribute=detection_of(detector, unit or (None if recipe else units[0]), options, recipe),
        prune={"units": units, "strategy": strategy},
        generate={} if max_new_tokens is None else {"max_new_tokens": max_new_tokens},
    )


def _look(
    student: Model,
    teacher: Model | None,
    problem: Problem,
    recipe: Recipe,
    answer: str | None,
    grader: Chosen | None,
) -> "Look":
    """Rank the units of a prompt."""
    with desk(student, teacher, recipe) as work:
        ranked = [work.scores([problem], unit)[0] for unit in recipe.prune.units]
    return Look(
        student=student,
        teacher=teacher,
        problem=problem,
        answer=answer,
        grader=grader,
        recipe=recipe,
        ranked=ranked,
    )


@dataclass(kw_only=True, eq=False)
class Look:
    """What `leaf.explain` found about one prompt.

    `print(look)` shows it on a terminal, as the last line of a cell it is a heat map, and
    `look.to_html(path)` writes a page.

    Example:
        >>> student = leaf.Model.load("package:playground/models/student")
        >>> question = "Ada has 3 pens. It is late. How many pens does Ada have?"
        >>> look = leaf.explain(student, None, question, "3", max_new_tokens=8)
        >>> look.cuts[0].changed
        'Ada has 3 pens. How many pens does Ada have?'
        >>> [verified.reason for verified in look.verify()]
        ['student wrong']
        >>> look.answers["student"].outcome.value
        'right'
        >>> look.to_html("look.html").name
        'look.html'
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
                self.answers, self.verified = work.verify_one(self.cuts, self.problem)
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
            student=said_of(self.answers.get("student")),
            teacher=said_of(self.answers.get("teacher")),
            student_loss=None,
            teacher_loss=None,
            units=tokens_of(scores),
            skipped=scores.skipped,
            variants=tuple(map(variant_of, self.verified or self.cuts)),
            rankings=tuple(map(ranking_of, self.ranked)),
            turns=problem.turns,
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
        console = Terminal(file=io.StringIO(), highlight=False, force_terminal=terminal)
        with console.capture() as shown:
            print_explanation(self.as_json(), console)
        return shown.get().rstrip("\n")

    def _repr_html_(self) -> str:
        return explanation_html(self.as_json())
