"""Detectors that rank by what they measured of both models, and what the gradient proposes."""

from collections.abc import Sequence
from itertools import accumulate

import pytest

from leaf.attribute import Evidence, detector_class
from leaf.prune import candidates
from leaf.recipe import PruneSection
from leaf.records import Attribution, NormalisedScores, Problem, RankedUnits, Sensitivity

TAU = PruneSection(threshold=0.10)


def scores(tokens: Sequence[str], gap: Sequence[float] | None = None) -> NormalisedScores:
    ends = tuple(accumulate(map(len, tokens)))
    even = (0.5,) * len(tokens)
    return NormalisedScores(
        problem_id="p",
        starts=(0, *ends[:-1]),
        ends=ends,
        teacher=even,
        student=even,
        gap=even if gap is None else tuple(gap),
    )


def marked(ranking: RankedUnits | str, question: str) -> list[str]:
    """Return the texts of the units that a ranking makes candidates."""
    assert isinstance(ranking, RankedUnits)
    chosen = candidates(ranking, question, TAU)
    return [
        question[start:end]
        for start, end, is_chosen in zip(ranking.starts, ranking.ends, chosen, strict=True)
        if is_chosen
    ]


def both(
    places: Sequence[tuple[int, int]],
    teacher: Sequence[float],
    student: Sequence[float],
    skipped: str | None = None,
) -> Attribution:
    return Attribution(
        problem_id="p",
        reference="y",
        starts=tuple(start for start, _ in places),
        ends=tuple(end for _, end in places),
        teacher=tuple(teacher),
        student=tuple(student),
        teacher_loss=0.0,
        student_loss=0.0,
        skipped=skipped,
    )


def evidence(
    tokens: Sequence[str],
    measured: Attribution | Sensitivity | None = None,
    gap: Sequence[float] | None = None,
) -> Evidence:
    gradient = scores(tokens, gap)
    problem = Problem(id="p", question="".join(tokens), answer="", solution="")
    places = tuple(zip(gradient.starts, gradient.ends, strict=True))
    return Evidence(problem=problem, tokens=places, measured=measured, gradient=gradient)


def by(
    name: str,
    tokens: Sequence[str],
    measured: Attribution | Sensitivity | None,
    unit: str = "token",
) -> RankedUnits | str:
    found: RankedUnits | str = detector_class(name)().rank_units(evidence(tokens, measured), unit)
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    # Teacher 0, 1, 1/2; student 1, 0, 1/2: gaps -1, 1, 0.
    [("gradient", (0.0, 1.0, 0.5)), ("attention", (0.0, 1.0, 0.5)), ("teacher", (0.0, 1.0, 0.5))],
)
def test_sensitivities_go_through_equations_3_to_5(name: str, expected: tuple[float]) -> None:
    measured = both([(0, 1), (1, 2), (2, 3)], [2.0, 6.0, 4.0], [9.0, 1.0, 5.0])
    ranking = by(name, ["a", "b", "c"], measured)
    assert isinstance(ranking, RankedUnits)
    assert (ranking.rank_score, ranking.count) == (expected, None)


def test_teacher_ranks_first_what_the_teacher_ignores() -> None:
    # Whatever the student does.
    measured = both([(0, 1), (1, 2), (2, 3)], [0.0, 0.5, 2.0], [9.0, 1.0, 5.0])
    ranking = by("teacher", ["a", "b", "c"], measured)
    assert isinstance(ranking, RankedUnits)
    assert ranking.rank_score == (0.0, 0.25, 1.0)


TOLD = ["Ben", " naps", ".", " Mia", " reads", ".", " Leo", " eats", ".", " Why", "?"]
PLACES = [(0, 9), (9, 20), (20, 30)]


def test_ablation_ranks_tokens_by_what_their_piece_does_for_both_models() -> None:
    # Sums 0.5, -0.25, 0.25: min-maxed 1, 0, 2/3. What asks was not taken away: last, beside Ben.
    measured = both(PLACES, [0.25, 0.0, 0.125], [0.25, -0.25, 0.125])
    ranking = by("ablation", TOLD, measured)
    assert isinstance(ranking, RankedUnits)
    assert ranking.rank_score == pytest.approx([1.0] * 3 + [0.0] * 3 + [2 / 3] * 3 + [1.0] * 2)
    assert ranking.count is None
    assert marked(ranking, "".join(TOLD)) == [" Mia", " reads", "."]
    assert marked(by("ablation", TOLD, measured, "sentence"), "".join(TOLD)) == [" Mia reads."]


def test_ablation_ranks_by_the_student_alone_where_there_is_no_teacher() -> None:
    # Min-maxed 1, 0, 3/4.
    alone = Sensitivity(
        problem_id="p",
        starts=tuple(start for start, _ in PLACES),
        ends=tuple(end for _, end in PLACES),
        scores=(0.25, -0.25, 0.125),
        loss=1.0,
    )
    ranking = by("ablation", TOLD, alone, "sentence")
    assert isinstance(ranking, RankedUnits)
    assert ranking.rank_score == pytest.approx([1.0, 0.0, 0.75, 1.0])


def test_what_was_not_proposed_is_never_first() -> None:
    ranking = by("ablation", TOLD, both([PLACES[0], PLACES[2]], [0.3, 0.1], [0.0, 0.0]))
    assert isinstance(ranking, RankedUnits)
    assert ranking.rank_score == (1.0,) * 6 + (0.0,) * 3 + (1.0,) * 2


@pytest.mark.parametrize(
    ("measured", "reason"),
    [
        (both([], [], [], "too long"), "too long"),
        (
            both(PLACES[:1], [0.2], [0.1]),
            "only one piece of the question can be taken away, and pieces are compared",
        ),
        (both(PLACES[:2], [0.2, 0.1], [0.1, 0.2]), "taking away any piece has the same effect"),
    ],
)
def test_ablation_without_a_ranking_says_why(measured: Attribution, reason: str) -> None:
    assert by("ablation", TOLD, measured) == reason


@pytest.mark.parametrize(
    ("unit", "count", "expected"),
    [
        ("sentence", 1, [" Mia reads."]),
        # In text order, whatever their gaps; what asks is not proposed though its gap is lowest.
        ("sentence", 2, ["Ben naps.", " Mia reads."]),
        ("sentence", 9, ["Ben naps.", " Mia reads.", " Leo eats."]),
        ("word", 2, [" Mia", " Leo"]),
        # A token of the sentence that asks may go, but for its mark.
        ("token", 2, [" Leo", " Why"]),
    ],
)
def test_the_gradient_proposes_the_pieces_of_lowest_mean_gap(
    unit: str, count: int, expected: list[str]
) -> None:
    # Means of sentences 0.4, 0.3, 0.6 (the last has the lowest token); of words 0.7, 0.25, 0.1,
    # 0.4, 0.03, 0.885.
    gap = [0.7, 0.2, 0.3, 0.1, 0.5, 0.3, 0.03, 0.9, 0.87, 0.0, 0.0]
    text = "".join(TOLD)
    kind = detector_class("ablation")
    proposes = kind(kind.Options(unit=unit, proposals=count))
    known = evidence(TOLD, gap=gap)
    found = proposes.places(known, known.gradient)
    assert [text[start:end] for start, end in found] == expected
