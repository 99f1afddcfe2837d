"""Answers that could not be graded: each a drop, and where they are many what would mend it."""

from collections import Counter
from collections.abc import Iterator

from leaf.grade.judgement import (
    JUDGE_CUT,
    NO_VERDICT,
    NOT_COMPARED,
    NOT_FINISHED,
    REASONING_CUT,
)
from leaf.pipeline.workers import AnswerWorker
from leaf.recipe import Recipe
from leaf.records import Drop, Outcome
from leaf.store.results import Graded

_MANY = 0.1
"""Share of answers that may not be gradable before people are told."""

_CUT = "cut at the token limit"

_CAUSES = {
    JUDGE_CUT: (JUDGE_CUT, "raise the judge's max_new_tokens"),
    NO_VERDICT: (NO_VERDICT, "take a larger judge, its `reasons: true`, or a plainer `rubric`"),
    NOT_FINISHED: (_CUT, "raise {limit}"),
    REASONING_CUT: (f"{_CUT} while it reasoned", "raise {limit}"),
    NOT_COMPARED: ("symbolic comparison failed", "raise grade.time_limit, or set another grader"),
    "gold": ("the gold answer cannot be read", "look at what leaf doctor says of the golds"),
    "model's context": ("prompt longer than the model's context", "ask with shorter questions"),
    "empty answer": ("empty answer", "look at the model's chat template and system prompt"),
    "no program": ("no program found", "ask for one in {data}.after"),
}
"""What a reason holds to what people are told: the cause, and the way out."""

_READ = (
    "ask in {data}.after for a final answer as the grader reads it, or set another {data}.grader"
)
"""The way out where a grader finds nothing that it takes."""


def ungradable(stage: str, who: str, graded: Graded) -> list[Drop]:
    """Return the answers of a model that could not be graded, each with its reason."""
    return [
        Drop(
            stage=stage,
            problem_id=score.problem_id,
            reason=f"{who}: {answer.failure or score.reason or 'not gradable'}",
        )
        for answer, score in zip(*graded, strict=True)
        if score.outcome is Outcome.UNGRADABLE
    ]


def many_ungradable(asked: AnswerWorker, graded: Graded, recipe: Recipe) -> Iterator[str]:
    """Yield one line where more than a tenth of some answers could not be graded.

    It names the likeliest cause and the setting that would mend it. Answers whose requests failed
    are told of by themselves.

    Args:
        asked: Who answered what.
        graded: The answers and their scores.
        recipe: Whose settings those are.
    """
    scores = graded[1]
    reasons = [
        score.reason or "not gradable"
        for score in scores
        if score.outcome is Outcome.UNGRADABLE
        and not (score.reason or "").startswith("no answer: ")
    ]
    if len(reasons) <= _MANY * len(scores):
        return
    ((cause, way_out), count), *_ = Counter(map(_cause, reasons)).most_common(1)
    name = asked.about.asked.partition(", round ")[0]
    _, key = recipe.longest_answer(name)
    limit = f"{key} (now {asked.generate.max_new_tokens})"
    data = f"evaluate.benchmarks.{name}" if name in recipe.evaluate.benchmarks else "data"
    yield (
        f"{asked.title}: {len(reasons)} of {len(scores)} answers are not gradable, mostly: {cause} "
        f"({count}); {way_out.format(limit=limit, data=data)}"
    )


def _cause(reason: str) -> tuple[str, str]:
    """Return what an answer could not be graded for, and the way out."""
    known = (found for sign, found in _CAUSES.items() if sign in reason)
    return next(known, (reason[:80], _READ))
