"""What each arm trains on: originals for all, verified changed questions for LeaF alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from leaf.distill import (
    TrainingExample,
    counterfactual_rows,
    encode_rows,
    hold_out,
    original_rows,
    split_rows,
)
from leaf.errors import DataError
from leaf.models import load
from leaf.pipeline.detection import Detection
from leaf.pipeline.levels import at_level
from leaf.pipeline.session import Session, as_sample
from leaf.progress import say
from leaf.recipe import Recipe
from leaf.records import Counterfactual, Drop, Problem, Score
from leaf.store.results import Cuts, Graded
from leaf.store.work import About

ON_OWN_ANSWERS: dict[str, Any] = {
    "cross_entropy": 1.0,
    "cross_entropy_changed": None,
    "hidden": {},
    "anchor": 0.0,
    "rounds": 1,
}
"""What of `distill` the arm `rft` has otherwise: nobody teaches it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSet:
    """The rows of one student; all arms hold out the same problems."""

    rows: list[TrainingExample]
    """Trained on."""
    held_out: list[TrainingExample]
    """Of held-out problems, for validation."""


def count_rows(rows: Sequence[TrainingExample]) -> dict[str, int]:
    """Count rows by how they were made, the originals first."""
    return dict(Counter(row.strategy or "original" for row in rows))


@dataclass(frozen=True, kw_only=True, slots=True)
class Responses:
    """The response y of every training row."""

    whole: Mapping[str, str]
    """Problem id to the y of its original question."""
    changed: Mapping[str, str] = field(default_factory=dict)
    """Id of a changed question to its y; that of the problem where it is not here."""
    own: Mapping[str, str] | None = None
    """Problem id to what `rft` trains on, the student's own right answer; None with a teacher."""
    instead: Mapping[str, str] = field(default_factory=dict)
    """Problem id to what a changed question takes whose problem has no y in `whole`."""
    fallen_back: frozenset[str] = frozenset()
    """Problems whose y in `whole` is the data's solution, since the model that the recipe names has
    no right answer."""


def count_responses(
    arm: str, rows: Sequence[TrainingExample], recipe: Recipe, responses: Responses
) -> dict[str, int]:
    """Count an arm's original rows by who wrote y: `teacher`, `self` or `gold`."""
    who = "self" if arm == "rft" else recipe.attribute.reference
    originals = [row.problem_id for row in rows if not row.counterfactual]
    return dict(Counter("gold" if name in responses.fallen_back else who for name in originals))


def references_of(
    problems: Sequence[Problem], reference: str, teacher: Graded | None
) -> dict[str, str]:
    """Return the reference response of each problem that has one, for detection.

    What the student failed has no own right answer yet: the data's solution stands in, or where
    there is none the bare answer.

    Args:
        problems: The training problems.
        reference: `attribute.reference`.
        teacher: What the teacher answered; needed for `teacher`.
    """
    if reference == "teacher":
        assert teacher  # noqa: S101 - stages run in order
        pairs = zip(*teacher, strict=True)
        return {answer.problem_id: answer.text for answer, score in pairs if score.right}
    short = reference == "self"
    found = {item.id: item.solution or short * item.answer for item in problems}
    return {problem_id: text for problem_id, text in found.items() if text}


def responses_of(
    session: Session,
    problems: Sequence[Problem],
    student: Graded,
    cuts: Cuts,
    references: Mapping[str, str],
) -> Responses:
    """Return the response of every row, as `attribute.reference` and `attribute.fallback` say.

    With `self`, a question that the student solves has its own right answer, and so has a question
    changed where a verified cut was: what the student said to the question without that piece. Only
    a changed question that has neither takes the reference.

    Args:
        session: Answers again, where several answers are asked for.
        problems: The training problems.
        student: What it answered to them.
        cuts: What the recipe's detector led to.
        references: Problem id to the reference that detection took.
    """
    section, alone = session.recipe.attribute, session.recipe.alone
    by_self = section.reference == "self"
    own = _most_worked(session, problems, student) if alone or by_self else {}
    given = own if by_self else references
    solutions = {item.id: item.solution for item in problems if item.solution and section.fallback}
    whole = {**solutions, **given}
    fallen_back = frozenset(whole.keys() - given.keys())
    if fallen_back:
        say(f"the data's solution is y of {len(fallen_back)} problems that nobody solved")
    if not by_self:
        return Responses(whole=whole, own=own if alone else None, fallen_back=fallen_back)
    verdicts = {verdict.counterfactual_id: verdict for verdict in cuts.verdicts or ()}
    without = {
        (item.problem_id, item.spans): verdicts[item.id].student_text
        for item in cuts.kept
        if not item.inserted
    }
    changed = {
        item.id: without[item.problem_id, item.spans]
        for item in cuts.kept
        if (item.problem_id, item.spans) in without
    }
    return Responses(
        whole=whole,
        changed=changed,
        own=whole if alone else None,
        instead=references,
        fallen_back=fallen_back,
    )


def _most_worked(session: Session, problems: Sequence[Problem], student: Graded) -> dict[str, str]:
    """Return the student's right answer to each problem, the longest of those that ended."""
    answers, scores = list(student[0]), list(student[1])
    more = session.recipe.attribute.samples - 1
    if more:
        asked = [
            as_sample(problem, sample) for problem in problems for sample in range(1, more + 1)
        ]
        generate = session.recipe.generate
        if not generate.temperature:
            generate = generate.model_copy(update={"temperature": 1.0})
        about = About(role="student", asked="samples")
        source = session.sources["student"]
        found = session.answers(session.recipe.student, source, asked, about, generate=generate)
        origin = {item.id: item.id.rpartition("/s")[0] for item in asked}
        answers += [replace(item, problem_id=origin[item.problem_id]) for item in found[0]]
        scores += [replace(item, problem_id=origin[item.problem_id]) for item in found[1]]
    longest: dict[str, str] = {}
    for answer, score in zip(answers, scores, strict=True):
        ended = score.right and not answer.truncated
        if ended and len(answer.text) > len(longest.get(answer.problem_id, "")):
            longest[answer.problem_id] = answer.text
    return longest


def training_arms(
    session: Session,
    detection: Detection,
    responses: Responses,
    scores: Sequence[Score],
    kept: Sequence[Counterfactual],
) -> tuple[dict[str, TrainingSet], list[Drop]]:
    """Return the baseline's arm and `leaf`, and what is not trained on, with its reason.

    Args:
        session: Holds the recipe and the student's chat template.
        detection: Stage 1, which knows the problems of both levels.
        responses: The response y of each row.
        scores: Of the student's answers to the whole questions.
        kept: The counterfactuals that verification kept.
    """
    section = session.recipe.distill
    whole = list(detection.problems.values())
    reference = session.recipe.attribute.reference
    reason = f"no {reference} reference response to train on"
    if reference == "self":
        reason = "no right answer of the student's own to train on"
    drops = [
        Drop(stage="distill", problem_id=problem.id, reason=reason)
        for problem in whole
        if problem.id not in responses.whole
    ]
    by_id = {score.problem_id: score for score in scores}
    changed, without = _changed_rows(session, detection, responses, kept)
    drops += [Drop(stage="distill", problem_id=item.id, reason=reason) for item in without]
    made = {
        "originals": original_rows(whole, responses.whole, by_id, section),
        "changed": changed,
    }
    if responses.own is not None and responses.own is not responses.whole:
        made["own"] = original_rows(whole, responses.own, by_id, section)
    short: dict[str, list[TrainingExample]] = {}
    context = load.context_of(load.load_config(session.sources["student"]))
    limit = min(section.cutoff, context)
    what = "" if limit == section.cutoff else f"the student's context of {context} tokens"
    for kind, rows in made.items():
        samples, left_out = encode_rows(session.student_chat, rows, limit, limit=what)
        short[kind] = [sample.row for sample in samples]
        drops += [
            Drop(stage="distill", problem_id=item.row.problem_id, reason=item.reason)
            for item in left_out
        ]
    held_out = hold_out(
        [problem.id for problem in whole], section.validation.share, section.validation.seed
    )
    arms = {
        session.recipe.baseline: short.get("own", short["originals"]),
        "leaf": [*short["originals"], *short["changed"]],
    }
    split = {arm: split_rows(rows, held_out) for arm, rows in arms.items()}
    sets = {arm: TrainingSet(rows=rows, held_out=left) for arm, (rows, left) in split.items()}
    return sets, drops


def why_no_row(recipe: Recipe, student: Graded, arm: TrainingSet) -> DataError:
    """Return why an arm has nothing to train on, in one line with the way out."""
    if arm.held_out:
        share = recipe.distill.validation.share
        return DataError(
            f"no training row is left: distill.validation.share ({share:g}) holds out all "
            f"{len(arm.held_out)} rows of an arm; lower it"
        )
    if not recipe.distill.student_wrong_originals and not any(score.right for score in student[1]):
        return DataError(
            "no training row is left: distill.student_wrong_originals: false leaves out what the "
            f"student got wrong, and it is right in none of {len(student[1])} problems; set it to "
            "true"
        )
    return DataError(
        "no training row is left: no problem has a reference response within "
        f"distill.cutoff ({recipe.distill.cutoff} tokens); with attribute.reference: gold the data "
        "needs a solution column, with `teacher` the teacher must solve some problems, with `self` "
        "and without a teacher the student must"
    )


def _changed_rows(
    session: Session,
    detection: Detection,
    responses: Responses,
    kept: Sequence[Counterfactual],
) -> tuple[list[TrainingExample], list[Counterfactual]]:
    """Return the rows of the changed questions that the recipe's strategies train on.

    Apart come those without a response: something was put into a problem that has none.
    """
    problems = detection.every_problem
    rest = {name: problems[name].solution for name in detection.origins}
    references = {**responses.instead, **responses.whole, **rest}
    trained_on = [
        item
        for item in kept
        for level in [problems[item.problem_id].level]
        if item.strategy in at_level(session.recipe.prune, level).strategies
    ]
    rows = counterfactual_rows(
        problems,
        references,
        [item for item in trained_on if item.problem_id in references],
        detection.origins,
        teacher_sees=session.recipe.distill.teacher_sees,
    )
    rows = [replace(row, response=responses.changed.get(row.id, row.response)) for row in rows]
    return rows, [item for item in trained_on if item.problem_id not in references]
