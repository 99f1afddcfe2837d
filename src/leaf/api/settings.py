"""From the arguments of a call to the recipe that a run of the same work would have."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from leaf.api.model import Model
from leaf.errors import UsageError, nearest
from leaf.grade import GRADERS
from leaf.grade.final import Mark, final_answer
from leaf.grade.numbers import read_number
from leaf.recipe import DataSection, GenerateSection, Recipe
from leaf.recipe.choice import Chosen, name_and_options
from leaf.recipe.reading import check_recipe
from leaf.records import Problem
from leaf.tasks import TASKS

UNITS = ("token", "word", "clause", "sentence")

_KEPT = {"attribute", "prune", "generate", "grade", "verify"}
"""What of a recipe decides how one prompt is looked at."""

_SHORT = 80
"""Characters of the longest reference that is taken for a final answer as it stands."""


def recipe_of(
    student: Model | None = None,
    teacher: Model | None = None,
    *,
    base: Recipe | None = None,
    **sections: Mapping[str, Any],
) -> Recipe:
    """Return the recipe of a call: `base`, or the defaults, with the keys of `sections` over it.

    A recipe names two models; where a call has fewer, nothing asks for the others.

    Raises:
        RecipeError: a key or value out of the rules; names the nearest.
    """
    values = base.model_dump(by_alias=True, include=_KEPT) if base else {}
    for name, changes in sections.items():
        values[name] = {**values.get(name, {}), **changes}
    # The models are in memory, so that it is this process that answers.
    generate = {**GenerateSection().model_dump(), **values.get("generate", {}), "engine": "hf"}
    generate["token_budget"] = max(generate["token_budget"], 2 * generate["max_new_tokens"])
    models = {
        role: {"model": model.name, "system": model.system} if model else {"model": "none"}
        for role, model in (("student", student), ("teacher", teacher or student))
    }
    values = {"data": {"task": "table"}, **values, **models, "generate": generate}
    fixed = {"name": "call", "evaluate": {"benchmarks": {}}}
    return check_recipe({**values, **fixed}, source="leaf")


def check_name(what: str, name: str, known: tuple[str, ...]) -> str:
    """Return a name that is known.

    Raises:
        UsageError: it is not; names the nearest.
    """
    if name not in known:
        hint = nearest(name, known) or f"; known: {', '.join(known)}"
        raise UsageError(f"{what}: unknown `{name}`{hint}")
    return name


def check_grader(grader: Chosen) -> tuple[str, str]:
    """Return a grader's name and its options as a problem carries them.

    Raises:
        UsageError: there is no such grader, or it cannot judge a prompt of one's own.
        RecipeError: it has no such option.
    """
    if isinstance(grader, str):
        check_name("grader", grader, tuple(GRADERS))
    chosen = recipe_of(data={"task": "table", "grader": grader}).data.grader
    name, options = name_and_options(chosen or "")
    if name == "code":
        raise UsageError("grader: `code` runs the tests of a data set, and a prompt has none")
    return name, json.dumps(options, sort_keys=True) if options else ""


def surroundings(data: DataSection) -> tuple[str, str]:
    """Return what stands before and after every question of a recipe's data."""
    task = inspect.getmodule(TASKS.get(data.task))
    after = getattr(task, "AFTER", "") if data.after is None else data.after
    return data.before or "", after


@dataclass(frozen=True, kw_only=True, slots=True)
class Gold:
    """What answers are held against."""

    answer: str
    """The final answer."""
    grader: str
    """A key of `leaf.grade.GRADERS`."""
    options: str = ""
    """Its options as JSON; "" where all are at their default."""
    why: str = ""
    """Why this grader, for people; "" where it was named."""

    def of(self, problem: Problem) -> Problem:
        """Return a problem with this answer and grader."""
        return replace(problem, answer=self.answer, grader=self.grader, grader_options=self.options)


def gold_of(reference: str, answer: str | None, grader: Chosen | None) -> Gold:
    """Return the final answer and the grader of a question; what is not given is guessed.

    A number is compared as `numbers`, marked mathematics as `math`, any other text as `qa`.

    Raises:
        UsageError: no final answer can be found, or there is no such grader.
    """
    marked = final_answer(reference)
    if answer is None and marked is None and len(reference.strip()) > _SHORT:
        raise UsageError(
            "reference: marks no final answer (`#### 18`, `the answer is 18`); give the answer"
        )
    gold = answer or (marked.text if marked else reference.strip())
    if grader is not None:
        name, options = check_grader(grader)
        return Gold(answer=gold, grader=name, options=options)
    guess, why = _guess(gold, boxed=answer is None and bool(marked and marked.mark is Mark.BOXED))
    return Gold(answer=gold, grader=guess, why=f"grader {guess}: the answer {gold!r:.60} is {why}")


def _guess(gold: str, *, boxed: bool) -> tuple[str, str]:
    if read_number(gold) is not None:
        return "numbers", "a number"
    if boxed or any(sign in gold for sign in "\\^$="):
        return "math", "mathematics"
    return "qa", "a text"
