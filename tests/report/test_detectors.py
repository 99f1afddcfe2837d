import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from leaf.records import Attribution, Counterfactual, Outcome, Problem, Span, Verdict
from leaf.report.detectors import Detector
from leaf.report.detectors import detectors as described
from leaf.store.results import Cuts, Results
from tests.report.conftest import answer, score
from tests.report.made import build_report

Made = tuple[list[Counterfactual], str | None]
"""Counterfactuals, and a verdict for each: a y where it was kept; None before verification."""


def cut(problem: str, number: int, *sizes: int, strategy: str = "span") -> Counterfactual:
    """A counterfactual that removes spans of so many characters."""
    spans = tuple(Span(start=0, end=size, text="x" * size, gap=0.0, units=1) for size in sizes)
    return Counterfactual(
        id=f"{problem}/cf{number}", problem_id=problem, strategy=strategy, spans=spans, question="?"
    )


def verdicts(cuts: Sequence[Counterfactual], kept: str) -> list[Verdict]:
    return [
        Verdict(
            counterfactual_id=item.id,
            problem_id=item.problem_id,
            student=Outcome.RIGHT if letter == "y" else Outcome.WRONG,
            teacher=Outcome.RIGHT,
            student_text="",
            teacher_text="",
            kept=letter == "y",
            reason="kept" if letter == "y" else "student wrong",
        )
        for item, letter in zip([cut for cut in cuts if not cut.skipped], kept, strict=True)
    ]


def detectors(made: Mapping[str, Made], *, own: str, entered: int) -> list[Detector]:
    """Describe detectors where p0 and so many more problems entered detection."""
    names = [f"p{number}" for number in range(entered)]
    answers = [answer(name, "") for name in names]
    results = Results(
        problems=[Problem(id=name, question="x" * 99, answer="", solution="") for name in names],
        student=(answers, [score(name, "wrong") for name in names]),
        teacher=(answers, [score(name, "right") for name in names]),
        attributions=[skipped(name) for name in names],
        cuts={
            name: Cuts(
                counterfactuals=cuts,
                verdicts=None if kept is None else verdicts(cuts, kept),
            )
            for name, (cuts, kept) in made.items()
        },
    )
    return described(results, list(results.entries()), own)


def skipped(name: str) -> Attribution:
    return Attribution(
        problem_id=name,
        reference="",
        starts=(),
        ends=(),
        teacher=(),
        student=(),
        teacher_loss=0.0,
        student_loss=0.0,
        skipped="of no concern here",
    )


def each(kept: str) -> Made:
    """One removal a problem, p0 onwards."""
    return [cut(f"p{i}", 0, 3) for i in range(len(kept))], kept


def against(own: str, control: str) -> tuple[int, int, float, str]:
    """Wins and losses of the own detector, p-value and reading."""
    found = detectors({"g": each(own), "r": each(control)}, own="g", entered=len(own))
    compared = found[1].against
    assert compared is not None
    return (
        compared.comparison.wins,
        compared.comparison.losses,
        compared.comparison.p_value,
        compared.reading,
    )


def test_prompts_are_counted_one_by_one_and_problems_once() -> None:
    cuts = [cut("p0", 0, 4), cut("p0", 1, 6), cut("p1", 0, 2), cut("p2", 0, 8)]
    (found,) = detectors({"g": (cuts, "yyny")}, own="g", entered=5)
    assert (found.problems, found.tried, found.removed_characters) == (3, 4, 5.0)
    assert found.verified is not None
    assert (found.verified.count, found.verified.n, found.verified.value) == (3, 4, 0.75)
    # p0 was freed twice, which is once; p3 and p4 entered detection and were never cut.
    assert found.freed is not None
    assert (found.freed.count, found.freed.n, found.freed.value) == (2, 5, 0.4)


def test_a_share_has_its_wilson_interval() -> None:
    (found,) = detectors({"g": each("yn")}, own="g", entered=2)
    # p = 1/2 of n = 2: the centre is 1/2, the half width z / (1 + z^2/2) sqrt(1/8 + z^2/16).
    z = 1.959963984540054
    half = z / (1 + z * z / 2) * math.sqrt(1 / 8 + z * z / 16)
    assert found.verified is not None
    assert found.verified.low == pytest.approx(0.5 - half, abs=1e-9)
    assert found.verified.high == pytest.approx(0.5 + half, abs=1e-9)


def test_a_collective_removal_takes_all_its_spans() -> None:
    together = [cut("p0", 0, 4, 6, strategy="collective")], "y"
    (found,) = detectors({"g": together}, own="g", entered=1)
    assert (found.tried, found.removed_characters) == (1, 10.0)


def test_transplants_and_skipped_problems_do_not_count() -> None:
    refused = Counterfactual(
        id="p2/none", problem_id="p2", strategy="span", spans=(), question="?", skipped="none"
    )
    removal, put_in = cut("p0", 0, 4), cut("p1", 0, 9, strategy="transplant")
    (only,) = detectors({"g": ([removal, put_in, refused], "ny")}, own="g", entered=9)
    assert (only.problems, only.tried, only.removed_characters) == (1, 1, 4.0)
    assert only.freed is not None
    assert only.freed.count == 0


@pytest.mark.parametrize(
    ("own", "control", "expected"),
    [
        ("yyyyyyyynn", "nnnnnnnnnn", (8, 0, 2 / 2**8, "higher")),
        ("nnnnnnnnnn", "yyyyyyyynn", (0, 8, 2 / 2**8, "lower")),
        ("yyyyyn", "nnnnnn", (5, 0, 2 / 2**5, "open")),  # 0.0625
        ("yyyynn", "nyyyyy", (1, 2, 1.0, "open")),
        ("yyn", "yyn", (0, 0, 1.0, "equal")),
    ],
)
def test_a_control_is_compared_on_the_problems_that_only_one_freed(
    own: str, control: str, expected: tuple[int, int, float, str]
) -> None:
    assert against(own, control) == pytest.approx(expected)


def test_before_verification_there_are_counts_and_no_shares() -> None:
    unverified: Made = ([cut("p0", 0, 4)], None)
    own, control = detectors({"g": unverified, "r": unverified}, own="g", entered=1)
    assert [(found.tried, found.verified, found.freed, found.against) for found in (own, control)]
    assert (own.own, control.own) == (True, False)
    assert bare(own) == bare(control) == (1, None, None, None)


def test_nothing_cut_and_nothing_in_detection_is_no_share() -> None:
    nothing: Made = ([], "")
    found = detectors({"g": nothing, "r": nothing}, own="g", entered=0)
    assert [bare(one) for one in found] == [(0, None, None, None)] * 2
    assert [one.removed_characters for one in found] == [None, None]


def bare(found: Detector) -> tuple[Any, ...]:
    return found.tried, found.verified, found.freed, found.against


def test_the_report_lists_the_recipes_own_detector_first(controlled: dict[str, Any]) -> None:
    own, control = build_report(**controlled)["detectors"]
    assert (own["detector"], own["own"], own["against"]) == ("gradient", True, None)
    # ` red` has 4 characters, ` and 4 hats` 11; one of both was verified.
    assert (own["removed_characters"], own["verified"]["count"], own["verified"]["n"]) == (
        7.5,
        1,
        2,
    )
    assert (control["detector"], control["own"], control["freed"]["count"]) == ("random", False, 0)
    assert control["against"]["comparison"]["wins"] == 1
