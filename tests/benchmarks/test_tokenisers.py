"""The tokenisers benchmark's arithmetic over seeds and problems, and its words."""

from collections.abc import Sequence

import pytest

from benchmarks.tokenisers import Scores, app, show, summarise
from leaf.errors import UsageError


def scores(nll: Sequence[float], right: Sequence[float] = ()) -> Scores:
    return Scores(
        nll=list(nll),
        divergence=[0.5 for _ in nll],
        right=list(right),
        mass=[0.9, 0.8],
        characters=[0.7, 0.9],
    )


def test_values_of_a_problem_are_means_over_seeds_and_differences_are_paired() -> None:
    figures = summarise(
        {
            "before": [scores([3.0, 5.0], [0.0, 0.0])],
            "sft": [scores([2.0, 4.0], [0.0, 1.0]), scores([2.4, 4.4], [0.0, 1.0])],
            "kd": [scores([1.7, 3.7], [1.0, 1.0]), scores([2.1, 4.1], [0.0, 1.0])],
        }
    )
    # sft: (2.2, 4.2); kd: (1.9, 3.9).
    assert figures["sft.nll"] == pytest.approx(3.2)
    assert figures["kd.nll"] == pytest.approx(2.9)
    assert figures["kd.nll.minus_sft"] == pytest.approx(-0.3)
    assert figures["before.nll.minus_sft"] == pytest.approx(0.8)
    # kd solves (1/2, 1), sft (0, 1).
    assert figures["kd.right.minus_sft"] == pytest.approx(0.25)
    assert (figures["mass"], figures["characters"]) == pytest.approx((0.85, 0.8))


def test_without_answers_there_is_no_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    figures = summarise({"before": [scores([3.0, 5.0])], "sft": [scores([2.0, 4.0])]})
    assert not any("right" in name for name in figures)
    show(figures, ["before", "sft"])
    before = next(line for line in capsys.readouterr().out.splitlines() if "before" in line)
    assert before.split()[-1] == "-"


@pytest.mark.parametrize("arms", ["kd", "sft,nonsense"])
def test_arms_are_held_against_sft(arms: str) -> None:
    with pytest.raises(UsageError, match="must be some of sft, kd, both, sft among them"):
        app(["--arms", arms], exit_on_error=False)
