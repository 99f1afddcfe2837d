"""Eq. 3 and 4 with numbers that are worked out by hand."""

import random

import numpy as np
import pytest

from leaf.attribute.ranking import min_max, normalise_scores, sensitivity_gap
from leaf.records import Attribution, NormalisedScores


def attribution(
    teacher: tuple[float, ...], student: tuple[float, ...], *, skipped: str | None = None
) -> Attribution:
    count = len(teacher)
    return Attribution(
        problem_id="p",
        reference="y",
        starts=tuple(range(count)),
        ends=tuple(range(1, count + 1)),
        teacher=teacher,
        student=student,
        teacher_loss=1.0,
        student_loss=2.0,
        skipped=skipped,
    )


def test_min_max_stretches_scores_from_zero_to_one() -> None:
    # (4 - 2) / (10 - 2) = 0.25
    scaled = min_max([2.0, 4.0, 10.0])
    assert scaled is not None
    assert scaled.tolist() == [0.0, 0.25, 1.0]


@pytest.mark.parametrize("scores", [[3.0, 3.0], [0.0], []])
def test_equal_scores_have_no_ranking(scores: list[float]) -> None:
    assert min_max(scores) is None


def test_rounding_is_no_ranking() -> None:
    # Proportional scores min-max to the same numbers: the gaps are what floating point leaves.
    rng = random.Random(4)
    student = tuple(rng.random() for _ in range(50))
    teacher = tuple(7.3 * score for score in student)
    reason = normalise_scores(attribution(teacher, student))
    assert reason == "teacher and student scores differ by the same everywhere"


def test_the_gap_is_teacher_minus_student() -> None:
    gap = sensitivity_gap(np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.5, 0.25]))
    assert gap.tolist() == [-1.0, 0.0, 0.75]


def test_focus_is_lowest_where_only_the_student_looks() -> None:
    # Teacher 2, 4, 6 -> 0, 1/2, 1. Student 1, 5, 3 -> 0, 1, 1/2. Gap 0, -1/2, 1/2 -> 1/2, 0, 1.
    scores = normalise_scores(attribution((2.0, 4.0, 6.0), (1.0, 5.0, 3.0)))
    assert isinstance(scores, NormalisedScores)
    assert scores.teacher == (0.0, 0.5, 1.0)
    assert scores.student == (0.0, 1.0, 0.5)
    assert scores.gap == (0.5, 0.0, 1.0)
    assert (scores.starts, scores.ends) == ((0, 1, 2), (1, 2, 3))


def test_each_models_scale_leaves_the_focus_as_it_is() -> None:
    # Min-max takes scale and offset out of each model by itself.
    plain = normalise_scores(attribution((2.0, 4.0, 6.0), (1.0, 5.0, 3.0)))
    scaled = normalise_scores(attribution((2e-6, 4e-6, 6e-6), (1000.0, 5000.0, 3000.0)))
    assert isinstance(plain, NormalisedScores)
    assert isinstance(scaled, NormalisedScores)
    assert scaled.gap == pytest.approx(plain.gap)


@pytest.mark.parametrize(
    ("teacher", "student", "reason"),
    [
        ((1.0, 1.0), (1.0, 2.0), "all teacher scores are equal"),
        ((1.0, 2.0), (5.0, 5.0), "all student scores are equal"),
        ((1.0, 2.0, 3.0), (10.0, 20.0, 30.0), "teacher and student scores differ by the same"),
        ((7.0,), (8.0,), "all teacher scores are equal"),
        ((), (), "all teacher scores are equal"),
    ],
)
def test_scores_without_a_ranking_are_skipped_with_the_reason(
    teacher: tuple[float, ...], student: tuple[float, ...], reason: str
) -> None:
    scores = normalise_scores(attribution(teacher, student))
    assert isinstance(scores, str)
    assert scores.startswith(reason)


def test_a_reason_given_before_is_kept() -> None:
    assert (
        normalise_scores(attribution((), (), skipped="no reference response"))
        == "no reference response"
    )
