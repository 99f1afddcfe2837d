"""Many answers that could not be graded are told with their likely cause and the setting."""

from pathlib import Path

import pytest

from leaf.grade.judgement import JUDGE_CUT, NO_VERDICT, NOT_COMPARED, NOT_FINISHED
from leaf.models.files import Source
from leaf.pipeline.ungradable import many_ungradable
from leaf.pipeline.workers import AnswerWorker
from leaf.recipe.reading import load_recipe
from leaf.records import Answer, Outcome, Score
from leaf.store.work import About


def told(*reasons: str, of: int = 20, asked: str = "") -> list[str]:
    """Return what is said where some of 20 answers could not be graded."""
    limit = [] if not asked else [f"evaluate.benchmarks.{asked}.max_new_tokens=9"]
    recipe = load_recipe("demo", limit)
    worker = AnswerWorker(
        about=About(role="student", asked=asked),
        section=recipe.student,
        source=Source(name="m", files=Path(), fingerprint="f"),
        generate=recipe.generate,
    )
    outcomes = [Outcome.UNGRADABLE] * len(reasons) + [Outcome.WRONG] * (of - len(reasons))
    why = [*reasons, *[None] * (of - len(reasons))]
    pairs = zip(outcomes, why, strict=True)
    scores = [Score(problem_id="p", outcome=one, extracted=None, reason=r) for one, r in pairs]
    answers = [
        Answer(problem_id="p", text="x", prompt_tokens=1, response_tokens=1, truncated=False)
    ] * of
    return list(many_ungradable(worker, (answers, scores), recipe))


@pytest.mark.parametrize(
    ("reason", "way_out"),
    [
        (NOT_FINISHED, "raise generate.max_new_tokens (now "),
        ("no final number found", "ask in data.after for a final answer as the grader reads it"),
        ("names none of the options", "set another data.grader"),
        (f"{NOT_COMPARED} took longer than 2 s", "raise grade.time_limit"),
        (f"{NO_VERDICT}: Maybe.", "a larger judge"),
        (f"{JUDGE_CUT}: First", "raise the judge's max_new_tokens"),
        ("prompt longer than the model's context of 64 tokens", "shorter questions"),
        ("numbers: no final number found; judge: cannot say", "data.after"),
    ],
)
def test_the_likely_cause_names_the_setting(reason: str, way_out: str) -> None:
    (line,) = told(reason, reason, NOT_FINISHED if "cut" not in reason else "x", reason)
    assert line.startswith("student answers: 4 of 20 answers are not gradable, mostly: ")
    assert "(3); " in line and way_out in line


def test_the_limit_of_a_benchmark_is_its_own_key() -> None:
    (line,) = told(*[NOT_FINISHED] * 3, asked="numeric")
    assert "raise evaluate.benchmarks.numeric.max_new_tokens (now " in line


def test_the_data_of_a_benchmark_are_its_own_keys() -> None:
    (line,) = told(*["no final number found"] * 3, asked="numeric")
    assert "ask in evaluate.benchmarks.numeric.after for" in line
    assert line.endswith("set another evaluate.benchmarks.numeric.grader")


def test_a_tenth_is_not_told_and_failed_requests_are_told_elsewhere() -> None:
    assert told(NOT_FINISHED, NOT_FINISHED) == []
    assert told(*["no answer: 502"] * 9) == []
