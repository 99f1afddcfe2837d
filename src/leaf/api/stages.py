"""`score`, `cut`, `verify`: the stages of a run, on models in memory and plain lists."""

from collections.abc import Mapping, Sequence
from typing import Any

from leaf.api.arguments import check_list, check_models, check_texts
from leaf.api.desk import cuts_of, desk, detection_of
from leaf.api.model import Model
from leaf.api.records import Cut, Scores, Verified
from leaf.api.settings import check_name, gold_of, recipe_of
from leaf.api.undisturbed import undisturbed
from leaf.errors import UsageError, check_type
from leaf.recipe import PruneSection
from leaf.recipe.choice import Chosen
from leaf.recipe.reading import check_section
from leaf.records import Problem
from leaf.text.units import UNITS


@undisturbed()
def score(
    student: Model,
    teacher: Model | None,
    questions: Sequence[str],
    references: Sequence[str],
    *,
    detector: str = "ablation",
    unit: str = "sentence",
    **options: Any,
) -> list[Scores]:
    """Score every piece of every question by how much it looks like a distraction.

    Args:
        student: The model that may be distracted.
        teacher: A better model to hold it against; None: the student alone, which the detectors
            `ablation` and `perplexity` can do.
        questions: What is asked.
        references: A right response to each, of the same length.
        detector: Who ranks: a name of the key `attribute.detector` of a recipe.
        unit: What is ranked: `token`, `word`, `phrase`, `clause`, `sentence` or `paragraph`.
        options: The detector's own, as `proposals=3` of `ablation`.

    Returns:
        One record a question, in order. One that cannot be scored (an empty reference, more tokens
        than a model reads) has its reason in `skipped`.

    Raises:
        UsageError: lists of different length, an unknown name, or a detector that needs a teacher.

    Example:
        >>> student = leaf.Model.load("package:playground/models/student")
        >>> question = "Ada has 3 pens. It is late. How many pens does Ada have?"
        >>> leaf.score(student, None, [question], ["3"])
        [Scores(q0, 'Ada has 3 pens. It i ... pens does Ada have?', 3 sentences)]
    """
    check_models(student, teacher)
    questions, references = check_texts(questions=questions, references=references)
    check_name("unit", unit, UNITS)
    recipe = recipe_of(student, teacher, attribute=detection_of(detector, unit, options))
    problems = [
        Problem(id=f"q{number}", question=question, answer="", solution=reference)
        for number, (question, reference) in enumerate(zip(questions, references, strict=True))
    ]
    with desk(student, teacher, recipe) as work:
        return work.scores(problems, unit)


@undisturbed()
def cut(
    scores: Sequence[Scores],
    *,
    threshold: float = 0.10,
    rule: str = "value",
    strategy: str | Sequence[str] = "span",
    **options: Any,
) -> list[Cut]:
    """Take the most suspicious units out of each question; no model is needed.

    Args:
        scores: What `leaf.score` returned.
        threshold: `value`: units whose score is at least `1 - threshold` go (tau of Eq. 5);
            `quantile`: this share of a question's units.
        rule: `value` or `quantile`.
        strategy: `span`: one changed question a span; `collective`: one with all of them out;
            `substitute`: a neutral filler in place of each; or a list of these.
        options: More keys of `prune` in a recipe, as `whole=["number"]`.

    Returns:
        One record for each changed question, and one with its reason in `skipped` for each span
        that must stay (the sentence that asks always does) and each question without a cut.

    Raises:
        RecipeError: an unknown key or value.

    Example:
        >>> student = leaf.Model.load("package:playground/models/student")
        >>> question = "Ada has 3 pens. It is late. How many pens does Ada have?"
        >>> scores = leaf.score(student, None, [question], ["3"])
        >>> [cut.changed for cut in leaf.cut(scores)]
        ['Ada has 3 pens. How many pens does Ada have?']
    """
    scores = check_list(
        "scores", scores, Scores, "one that leaf.score returned", "what leaf.score returned"
    )
    check_type("strategy", strategy, (str, list, tuple), "a name, as `span`, or a list of names")
    strategy = strategy.split("+") if isinstance(strategy, str) else [*strategy]
    if "transplant" in strategy:
        raise UsageError("strategy: transplants are made of verified cuts: see `leaf.run_recipe`")
    if "inject" in strategy:
        raise UsageError("strategy: inject takes nothing out: see `leaf.inject`")
    settings = {"threshold": threshold, "rule": rule, "strategy": strategy, **options}
    section = check_section(PruneSection, settings, source="leaf.cut")
    return [item for one in scores for item in cuts_of(one, section)]


@undisturbed()
def verify(
    student: Model,
    teacher: Model | None,
    cuts: Sequence[Cut],
    *,
    answers: Mapping[str, str] | None = None,
    grader: Chosen | None = None,
    max_new_tokens: int = 512,
) -> list[Verified]:
    """Let the models answer every changed question: a cut is kept where all of them are right.

    Args:
        student: The model that was distracted.
        teacher: The better model; None: the student alone decides.
        cuts: What `leaf.cut` returned.
        answers: Question to its final answer; None: what its reference marks (`#### 18`, `the
            answer is 18`, a box), or a short reference as it stands.
        grader: How answers are judged, as `data.grader` of a recipe (a name, or a name with its
            options); None: numbers as numbers, marked mathematics as mathematics, other texts as
            short answers.
        max_new_tokens: Longest answer in tokens.

    Returns:
        One record a cut, in order; skipped cuts keep their reason.

    Raises:
        UsageError: no final answer can be found, or there is no such grader.

    Example:
        >>> student = leaf.Model.load("package:playground/models/student")
        >>> question = "Ada has 3 pens. It is late. How many pens does Ada have?"
        >>> cuts = leaf.cut(leaf.score(student, None, [question], ["3"]))
        >>> [item.reason for item in leaf.verify(student, None, cuts, max_new_tokens=8)]
        ['student wrong']
    """
    check_models(student, teacher)
    cuts = check_list("cuts", cuts, Cut, "one that leaf.cut returned", "what leaf.cut returned")
    if answers is not None:
        check_type("answers", answers, Mapping, "a dict of question to final answer")
    problems = []
    for one in cuts:
        gold = gold_of(one.reference, (answers or {}).get(one.question), grader)
        problem = Problem(id=one.id, question=one.question, answer="", solution=one.reference)
        problems.append(gold.of(problem))
    recipe = recipe_of(student, teacher, generate={"max_new_tokens": max_new_tokens})
    with desk(student, teacher, recipe) as work:
        return work.verify(cuts, problems)
