"""What each arm trains on: originals for both, verified changed questions for LeaF alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leaf.distill import (
    TrainingExample,
    counterfactual_rows,
    encode_rows,
    hold_out,
    original_rows,
    split_rows,
)
from leaf.pipeline.detection import Detection, at_level
from leaf.pipeline.session import Session
from leaf.records import Counterfactual, Drop, Score
from leaf.store.arms import TRAINED


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSet:
    """The rows of one student; both arms hold out the same problems."""

    rows: list[TrainingExample]
    """Trained on."""
    held_out: list[TrainingExample]
    """Of held-out problems, for validation."""


def training_arms(
    session: Session,
    detection: Detection,
    references: Mapping[str, str],
    scores: Sequence[Score],
    kept: Sequence[Counterfactual],
) -> tuple[dict[str, TrainingSet], list[Drop]]:
    """Return the arms `kd` and `leaf`, and what is not trained on, with its reason.

    Args:
        session: Holds the recipe and the student's chat template.
        detection: Stage 1, which knows the problems of both levels.
        references: Problem id to the response y of the problems that have one.
        scores: Of the student's answers to the whole questions.
        kept: The counterfactuals that verification kept.
    """
    section = session.recipe.distill
    whole = list(detection.problems.values())
    reason = f"no {session.recipe.attribute.reference} reference response to train on"
    drops = [
        Drop(stage="distill", problem_id=problem.id, reason=reason)
        for problem in whole
        if problem.id not in references
    ]
    by_id = {score.problem_id: score for score in scores}
    problems = detection.every_problem
    rest = {name: problems[name].solution for name in detection.origins}
    changed = [
        item
        for item in kept
        for level in [problems[item.problem_id].level]
        if item.strategy in at_level(session.recipe.prune, level).strategies
    ]
    made = (
        original_rows(whole, references, by_id, section),
        counterfactual_rows(problems, {**references, **rest}, changed, detection.origins),
    )
    short: list[list[TrainingExample]] = []
    for rows in made:
        samples, longer = encode_rows(session.student_chat, rows, section.cutoff)
        short.append([sample.row for sample in samples])
        reason = f"longer than distill.cutoff of {section.cutoff} tokens"
        drops += [Drop(stage="distill", problem_id=row.problem_id, reason=reason) for row in longer]
    held_out = hold_out(
        [problem.id for problem in whole], section.validation.share, section.validation.seed
    )
    originals, counterfactuals = short
    arms = {}
    for arm in TRAINED:
        rows = [*originals, *counterfactuals] if arm.changed else originals
        trained, left = split_rows(rows, held_out)
        arms[arm.name] = TrainingSet(rows=trained, held_out=left)
    return arms, drops
