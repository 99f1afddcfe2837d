"""The rule: what placebos and samples do to a verdict."""

import pytest
from pydantic import ValidationError

from leaf.recipe import VerifySection
from leaf.records import Outcome, Verdict
from leaf.store.ledger import Control
from leaf.verify import Tried, controlled

KEPT = Verdict(
    counterfactual_id="p/cf0",
    problem_id="p",
    student=Outcome.RIGHT,
    teacher=Outcome.RIGHT,
    student_text="4",
    teacher_text="4",
    kept=True,
    reason="kept",
)

FREE = "its placebos free the student as well"


@pytest.mark.parametrize(
    ("chance", "placebos", "reason"),
    [
        (0.0, [0, 0, 0], "kept"),
        (0.0, [0, 1, 0], FREE),
        # One of three is a third, and no more.
        (1 / 3, [0, 1, 0], "kept"),
        (1 / 3, [0, 1, 1], FREE),
        (0.0, [], "kept"),
    ],
)
def test_a_cut_stays_where_no_more_than_a_share_of_its_placebos_frees(
    chance: float, placebos: list[float], reason: str
) -> None:
    section = VerifySection(placebos=3, chance=chance)
    found, control = controlled(KEPT, Tried(placebos=placebos, why_few=""), section)
    assert (found.kept, found.reason) == (reason == "kept", reason)
    freed = sum(placebos) / len(placebos) if placebos else None
    assert control == Control(
        greedy=True, placebos=len(placebos), freed=freed, rate=None, before=None, why_few=""
    )


@pytest.mark.parametrize(
    ("before", "rate", "placebos", "reason"),
    [
        (0.0, 0.5, [], "kept"),
        (0.25, 0.75, [], "kept"),
        (0.5, 0.75, [], "sampled success without it rises by less than 50%"),
        # Floats: 0.9 - 0.4 is a little less than 0.5.
        (0.4, 0.9, [], "kept"),
        (0.0, 0.75, [0.25, 0.25], "kept"),
        # The mean of the placebos is 0.5.
        (0.0, 0.75, [0.0, 1.0], "sampled success is less than 50% above that of its placebos"),
    ],
)
def test_with_samples_success_must_rise_by_the_gain(
    before: float, rate: float, placebos: list[float], reason: str
) -> None:
    section = VerifySection(placebos=len(placebos), samples=4)
    tried = Tried(placebos=placebos, why_few="", rate=rate, before=before)
    found, _ = controlled(KEPT, tried, section)
    assert (found.kept, found.reason) == (reason == "kept", reason)


def test_a_cut_that_did_not_pass_keeps_its_reason() -> None:
    failed = Verdict(
        counterfactual_id="p/cf0",
        problem_id="p",
        student=Outcome.WRONG,
        teacher=None,
        student_text="5",
        teacher_text=None,
        kept=False,
        reason="student wrong",
    )
    found, control = controlled(
        failed, Tried(placebos=[1.0], why_few=""), VerifySection(placebos=1)
    )
    assert (found.kept, found.reason) == (False, "student wrong")
    assert not control.greedy


def test_samples_without_a_temperature_are_refused_in_one_line() -> None:
    with pytest.raises(ValidationError) as caught:
        VerifySection(samples=4, temperature=0.0)
    (error,) = caught.value.errors()
    assert "4 greedy answers would all be the same; set verify.temperature" in error["msg"]
    assert VerifySection(temperature=0.0).samples == 0
