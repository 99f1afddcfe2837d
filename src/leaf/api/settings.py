"""From the arguments of a call to the recipe that a run of the same work would have."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from leaf.api.model import Model, section_of
from leaf.errors import UsageError, check_type, nearest
from leaf.grade import GRADERS
from leaf.grade.final import Mark, final_answer
from leaf.recipe import DataSection, GenerateSection, Recipe
from leaf.recipe.choice import Chosen, name_and_options
from leaf.recipe.reading import check_recipe, check_section
from leaf.records import Problem
from leaf.tasks import TASKS
from leaf.text.number import read_number

_KEPT = {"attribute", "prune", "generate", "grade", "verify"}
"""What of a recipe decides how one prompt is looked at."""

_FEW = 5
"""Names that are all told beside the nearest one."""

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
    check_type("max_new_tokens", generate["max_new_tokens"], int, "a number of tokens")
    generate["token_budget"] = max(generate["token_budget"], 2 * generate["max_new_tokens"])
    models = {
        role: section_of(model).model_dump() if model else {"model": "none"}
        for role, model in (("student", student), ("teacher", teacher or student))
    }
    values = {"data": {"task": "table"}, **values, **models, "generate": generate}
    fixed = {"name": "call", "evaluate": {"benchmarks": {}}}
    return check_recipe({**values, **fixed}, source="leaf")


def check_name(what: str, name: str, known: tuple[str, ...]) -> str:
    """Return a name that is known.

    Raises:
        UsageError: it is not; names the nearest, and all where they are few.
    """
    check_type(what, name, str, f"a name; known: {', '.join(known)}")
    if name not in known:
        hint, names = nearest(name, known), f"known: {', '.join(known)}"
        if not hint:
            hint = f"; {names}"
        elif len(known) <= _FEW:
            hint = f"{hint} {names}"
        raise UsageError(f"{what}: unknown `{name}`{hint}")
    return name


def check_grader(grader: Chosen) -> tuple[str, str]:
    """Return a grader's name and its options as a problem carries them.

    Raises:
        UsageError: there is no such grader, or it cannot judge a prompt of one's own.
        RecipeError: it has no such option.
    """
    # Before the recipe, whose errors would name its keys and not the argument.
    given: Any = {grader: None} if isinstance(grader, str) else grader
    if isinstance(given, Mapping) and len(given) == 1:
        ((name, options),) = given.items()
        check_name("grader", name, tuple(GRADERS))
        check_section(
            GRADERS[name].Options, {} if options is None else options, source=f"grader {name}"
        )
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
    number = _number_of(gold)
    if number is not None:
        why = f"grader numbers: a number is read from the answer: {number}"
        return Gold(answer=number, grader="numbers", why=why)
    boxed = answer is None and bool(marked and marked.mark is Mark.BOXED)
    formula = boxed or any(sign in gold for sign in "\\^$=")
    guess, what = ("math", "mathematics") if formula else ("qa", "a text")
    return Gold(answer=gold, grader=guess, why=f"grader {guess}: the answer {gold!r:.60} is {what}")


def _number_of(answer: str) -> str | None:
    """Return the number that an answer says, as it stands where decimals would not be exact."""
    value = read_number(answer)
    if value is None:
        return None
    number = str(value) if value.denominator == 1 else f"{float(value):.15g}"
    return number if read_number(number) == value else answer
