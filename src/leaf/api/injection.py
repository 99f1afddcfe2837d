"""`inject`: distractors put into questions in memory, and into which the student falls."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from leaf.api.arguments import check_models, check_texts
from leaf.api.desk import desk
from leaf.api.model import Model
from leaf.api.records import Cut
from leaf.api.settings import gold_of, recipe_of
from leaf.api.undisturbed import undisturbed
from leaf.errors import UsageError, check_type
from leaf.prune import injections
from leaf.recipe import InjectSection
from leaf.recipe.choice import Chosen
from leaf.recipe.reading import check_section
from leaf.records import Counterfactual, Outcome, Problem
from leaf.store.work import About


@undisturbed()
def inject(
    student: Model | None,
    teacher: Model | None,
    questions: Sequence[str],
    references: Sequence[str],
    *,
    answers: Mapping[str, str] | None = None,
    grader: Chosen | None = None,
    max_new_tokens: int = 512,
    **options: Any,
) -> list[Cut]:
    """Put texts that say nothing into questions; the right answers stay what they are.

    Args:
        student: Whom the texts should mislead: what it answers right all the same is skipped, and
            so is all of a question that it fails without; None: nobody is asked.
        teacher: Who says whether a text really says nothing: what it then answers wrong is skipped;
            None: nobody.
        questions: What is asked. Sentences of each may go into the others.
        references: A right response to each, of the same length.
        answers: Question to its final answer, as of `leaf.verify`.
        grader: How answers are judged, as of `leaf.verify`.
        max_new_tokens: Longest answer in tokens.
        options: Keys of `prune.inject` in a recipe, as `per=4` or `sources=["templates"]`.

    Returns:
        One record a changed question, by the place of its question in the list: what came in is
        `changed[place : place + len(inserted)]`, from `donor`. What is no use keeps its reason in
        `skipped`, and a question that takes nothing is one record that says why.

    Raises:
        UsageError: lists of different length, or no final answer where models are asked.
        RecipeError: an unknown key or value.

    Example:
        >>> question = "Ada has 3 pens. Ada gives 2 pens to Ben. How many pens does Ada have?"
        >>> made = leaf.inject(None, None, [question], ["1"], forms=["sentence"], number=["none"])
        >>> made[0].changed
        'Ada has 3 pens. Ada gives 2 pens to Ben. It was a windy day. How many pens does Ada have?'
    """
    if student is not None or teacher is not None:
        check_models(student or teacher, teacher)
    questions, references = check_texts(questions=questions, references=references)
    if answers is not None:
        check_type("answers", answers, Mapping, "a dict of question to final answer")
    section = check_section(InjectSection, options, source="leaf.inject")
    if "verified" in section.sources:
        raise UsageError("sources: verified cuts are those of a run: see `leaf.run_recipe`")
    problems = [
        _problem(f"q{at}", *pair, answers or {}, grader, must=student or teacher)
        for at, pair in enumerate(zip(questions, references, strict=True))
    ]
    by_id = {problem.id: problem for problem in problems}
    found = injections(by_id, [], problems, section)
    tried = [item for item in found if not item.skipped]
    why = _asked(student, teacher, by_id, tried, max_new_tokens)
    order = {problem.id: at for at, problem in enumerate(problems)}
    found.sort(key=lambda item: order[item.problem_id])
    return [_cut(by_id[item.problem_id], item, item.skipped or why.get(item.id)) for item in found]


def _problem(
    name: str,
    question: str,
    reference: str,
    answers: Mapping[str, str],
    grader: Chosen | None,
    *,
    must: object,
) -> Problem:
    problem = Problem(id=name, question=question, answer="", solution=reference)
    try:
        return gold_of(reference, answers.get(question), grader).of(problem)
    except UsageError:
        if must is not None:
            raise
        # Without models the answer only keeps texts out that say it.
        return problem


def _asked(
    student: Model | None,
    teacher: Model | None,
    problems: Mapping[str, Problem],
    tried: Sequence[Counterfactual],
    max_new_tokens: int,
) -> dict[str, str]:
    """Return why a changed question is no use, where it is not."""
    first = student or teacher
    if first is None:
        return {}
    why: dict[str, str] = {}
    recipe = recipe_of(first, teacher, generate={"max_new_tokens": max_new_tokens})
    if student is not None:
        # The student alone: what the teacher says to a whole question does not matter.
        with desk(student, None, recipe) as work:
            whole = work.answers(list(problems.values()))["student"]
        right = {
            name
            for name, answer in zip(problems, whole, strict=True)
            if answer.outcome is Outcome.RIGHT
        }
        why = {
            item.id: "the student fails the question without it"
            for item in tried
            if item.problem_id not in right
        }
    with desk(first, teacher, recipe) as work:
        left = [item for item in tried if item.id not in why]
        asked = [
            replace(problems[item.problem_id], id=item.id, question=item.question) for item in left
        ]
        said = work.answers(asked, About(changed="injected"))
        for at, item in enumerate(left):
            if student is not None and said["student"][at].outcome is Outcome.RIGHT:
                why[item.id] = "student right already"
            elif teacher is not None and said["teacher"][at].outcome is not Outcome.RIGHT:
                why[item.id] = f"teacher {said['teacher'][at].outcome}"
    return why


def _cut(problem: Problem, item: Counterfactual, skipped: str | None) -> Cut:
    return Cut(
        id=item.id,
        question=problem.question,
        reference=problem.solution,
        removed=(),
        changed=item.question,
        detector="",
        strategy=item.strategy,
        inserted=item.inserted,
        place=item.spans[0].start if item.spans else None,
        donor=item.donor,
        skipped=skipped,
    )
