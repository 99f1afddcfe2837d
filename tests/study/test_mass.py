"""How much of a model's attention or gradient falls on some places."""

from typing import Any

import pytest

from leaf.recipe import EvaluateSection
from leaf.records import Distractor, Problem, Sensitivity
from leaf.statistics import Interval
from leaf.study.finding import Row, Table
from leaf.study.mass import (
    MEASURES,
    Asked,
    Audit,
    associations,
    audit,
    differences,
    masses,
    share_on,
)

SECTION = EvaluateSection.model_validate({"benchmarks": {}, "resamples": 200})


def place(start: int, end: int) -> Distractor:
    return Distractor(kind="cue", start=start, end=end)


def test_a_share_is_that_of_the_units_in_the_place() -> None:
    # Units "ab", "cd", "ef" with 1, 2 and 5; the place is "cd": 2 / 8.
    assert share_on((0, 2, 4), (2, 4, 6), (1, 2, 5), [place(2, 4)]) == 0.25


def test_a_unit_that_is_half_in_a_place_counts_half() -> None:
    # The place is "bcd": half of 1, and 2, of 8.
    assert share_on((0, 2, 4), (2, 4, 6), (1, 2, 5), [place(1, 4)]) == pytest.approx(2.5 / 8)


def test_places_that_overlap_count_once() -> None:
    places = [place(0, 3), place(2, 4)]
    assert share_on((0, 2, 4), (2, 4, 6), (1, 2, 5), places) == pytest.approx(3 / 8)


def test_no_scores_have_no_share() -> None:
    assert share_on((), (), (), [place(0, 1)]) is None
    assert share_on((0,), (1,), (0.0,), [place(0, 1)]) is None


def scores(key: str, *values: float) -> Sensitivity:
    """Scores of the units "a", "b", ... of a question."""
    return Sensitivity(
        problem_id=key,
        starts=tuple(range(len(values))),
        ends=tuple(range(1, len(values) + 1)),
        scores=values,
        loss=0.0,
        skipped=None if values else "too long",
    )


def asked(key: str) -> Asked:
    problem = Problem(id=key, question="abcd", answer="1", solution="1")
    return Asked(problem=problem, reference="1", places=(place(0, 1),))


def test_questions_that_any_model_has_no_scores_for_are_left_out() -> None:
    arms = ("before", "kd", "leaf", "teacher")
    found = {
        measure: {arm: [scores("p", 3, 1, 0, 0), scores("q", 1, 1, 1, 1)] for arm in arms}
        for measure in MEASURES
    }
    found["gradient"]["leaf"] = [scores("p", 2, 1, 1, 0), scores("q")]
    right = {arm: {"p": 1.0, "q": 0.0} for arm in arms}
    one = audit("here", [asked("p"), asked("q")], found, right)
    assert one.left_out == 1
    assert one.tokens == {"p": 0.25}
    assert one.mass["attention"]["leaf"] == {"p": 0.75}
    assert one.mass["gradient"]["leaf"] == {"p": 0.5}
    assert one.right["kd"] == {"p": 1.0}


@pytest.fixture
def four() -> Audit:
    """Four questions; LeaF alone is right on the first two, where its share falls most."""
    kd = {"a": 0.5, "b": 0.5, "c": 0.5, "d": 0.5}
    leaf = {"a": 0.1, "b": 0.3, "c": 0.4, "d": 0.6}
    of = {"before": kd, "kd": kd, "leaf": leaf, "teacher": dict.fromkeys(kd, 0.0)}
    return Audit(
        scope="here",
        tokens={"a": 0.1, "b": 0.1, "c": 0.3, "d": 0.3},
        mass={"attention": of, "gradient": of},
        right={
            "before": dict.fromkeys(kd, 0.0),
            "kd": {"a": 0.0, "b": 0.0, "c": 1.0, "d": 0.0},
            "leaf": {"a": 1.0, "b": 1.0, "c": 1.0, "d": 0.0},
            "teacher": dict.fromkeys(kd, 1.0),
        },
        bases={},
        left_out=0,
    )


def row(table: Table, **labels: str) -> Row:
    (found,) = [one for one in table.rows if labels.items() <= one.labels.items()]
    return found


def value(cell: Any) -> float:
    assert isinstance(cell, Interval)
    return cell.value


def test_each_model_has_its_mean_share_and_accuracy(four: Audit) -> None:
    leaf = row(masses([four], SECTION), model="LeaF").cells
    assert leaf["of tokens"] == pytest.approx(0.2)
    # (0.1 + 0.3 + 0.4 + 0.6) / 4, and three of four are right.
    assert value(leaf["of attention"]) == pytest.approx(0.35)
    assert value(leaf["right"]) == 0.75


def test_differences_are_paired(four: Audit) -> None:
    found = row(differences([four], SECTION), difference="LeaF minus KD").cells
    # -0.4, -0.2, -0.1 and +0.1.
    assert value(found["of gradient"]) == pytest.approx(-0.15)
    assert value(found["right"]) == 0.5
    cell = found["of gradient"]
    assert isinstance(cell, Interval)
    assert cell.low is not None and cell.high is not None
    assert cell.low < -0.15 < cell.high


def test_the_fall_where_leaf_alone_is_right_is_set_against_the_rest(four: Audit) -> None:
    found = row(associations([four], SECTION), of="attention").cells
    assert (found["LeaF alone right"], found["others"]) == (2, 2)
    # Falls of 0.4 and 0.2 against 0.1 and -0.1.
    assert found["their fall"] == pytest.approx(0.3)
    assert found["the others' fall"] == pytest.approx(0.0)
    assert value(found["difference"]) == pytest.approx(0.3)


def test_one_question_alone_is_set_against_nothing(four: Audit) -> None:
    right = {**four.right, "leaf": {**four.right["leaf"], "b": 0.0}}
    one = Audit(scope="", tokens=four.tokens, mass=four.mass, right=right, bases={}, left_out=0)
    found = row(associations([one], SECTION), of="attention").cells
    assert (found["LeaF alone right"], found["difference"]) == (1, None)
