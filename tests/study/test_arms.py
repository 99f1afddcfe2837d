"""Tables of settings, from students whose answers are written down here."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from leaf.errors import StudyError
from leaf.recipe.reading import load_recipe
from leaf.statistics import Interval
from leaf.store.store import Store
from leaf.study.arms import Trained, data_table, says_gains, settings_table, train
from leaf.study.finding import Table
from leaf.study.lab import Lab


def lab(folder: Path, seeds: Sequence[int] = (0,)) -> Lab:
    by_epochs = ["evaluate.resamples=500", "distill.max_steps=null"]
    return Lab(load_recipe("demo", by_epochs), Store(folder), seeds)


def asked(values: Sequence[float]) -> dict[str, float]:
    return {f"q{number}": value for number, value in enumerate(values)}


def trained(
    name: str, kd: Sequence[float], leaf: Sequence[float], *, kd_name: str = "k", changed: int = 3
) -> Trained:
    """One seed, one benchmark `b`, and the same answers as a second benchmark's `c`."""
    students = {
        arm: ({"b": asked(values), "c": {f"c{key}": one for key, one in asked(values).items()}},)
        for arm, values in (("before", [0.0] * len(kd)), ("kd", kd), ("leaf", leaf))
    }
    made = {"kd": (kd_name,), "leaf": (name,)}
    section = lab(Path()).recipe.evaluate
    return Trained(
        name=name,
        section=section,
        students=students,
        changed=(changed,),
        made=made,
        robustness=({},),
    )


def value(table: Table, row: int, column: str) -> float | None:
    cell = table.rows[row].cells.get(column)
    assert cell is None or isinstance(cell, Interval)
    return None if cell is None else cell.value


def test_each_setting_is_compared_with_its_own_kd_and_with_the_first(tmp_path: Path) -> None:
    one = trained("one", kd=[1, 0, 0, 0], leaf=[1, 1, 1, 0])
    two = trained("two", kd=[1, 1, 0, 0], leaf=[0, 1, 0, 0])
    table = settings_table("way", [one, two])
    assert [tuple(row.labels.values()) for row in table.rows] == [
        (benchmark, way) for benchmark in ("b", "c", "average") for way in ("one", "two")
    ]
    for first in (0, 2, 4):
        assert (value(table, first, "KD"), value(table, first + 1, "KD")) == (0.25, 0.5)
        assert value(table, first, "LeaF minus KD") == 0.5
        assert value(table, first + 1, "LeaF minus KD") == -0.25
        assert value(table, first, "LeaF minus one") is None
        assert value(table, first + 1, "LeaF minus one") == -0.5
    counts = [(row.cells["wins"], row.cells["losses"], row.cells["n"]) for row in table.rows]
    assert counts == [(2, 0, 4), (0, 1, 4)] * 2 + [(4, 0, 8), (0, 2, 8)]


def test_values_of_the_paper_stand_in_their_own_rows(tmp_path: Path) -> None:
    one, two = trained("one", [1, 0], [1, 1]), trained("two", [1, 0], [0, 0])
    table = settings_table(
        "way",
        [one, two],
        lambda name, label: {"LeaF": 0.3} if (name, label) == ("two", "c") else {},
    )
    assert [row.paper for row in table.rows] == [{}, {}, {}, {"LeaF": 0.3}, {}, {}]


def test_what_leaf_learned_from_is_counted(tmp_path: Path) -> None:
    table = data_table("way", [trained("one", [0], [0], changed=7)])
    assert table.rows[0].cells == {"changed questions": 7.0}


def test_a_clear_gain_is_told_from_one_that_may_be_chance(tmp_path: Path) -> None:
    sure = trained("sure", kd=[0.0] * 30 + [1.0] * 10, leaf=[1.0] * 20 + [0.0] * 10 + [1.0] * 10)
    worse = trained("worse", kd=list(sure.students["leaf"][0]["b"].values()), leaf=[0.0] * 40)
    even = trained("even", kd=[1.0, 0.0] * 20, leaf=[0.0, 1.0, 1.0, 1.0, *[1.0, 0.0] * 18])
    first, second, third, versus, *_ = says_gains(lab(tmp_path), [sure, worse, even])
    assert first.startswith("sure: LeaF minus KD is +50.0 (")
    assert first.endswith(" points on the average of 2 benchmarks, better; better on b, c.")
    assert "worse; worse on b, c." in second
    # Of 40 questions `sure` has 30 right, `worse` none.
    assert versus.startswith("worse against sure: LeaF differs by −75.0 (")
    # Two questions won and one lost: a gain, but no clear one.
    assert third.startswith("even: LeaF minus KD is +2.5 (")
    assert third.endswith("no clear difference.")


def test_what_readers_may_take_wrongly_is_said(tmp_path: Path) -> None:
    own = [trained("one", [0, 1], [0, 1], kd_name="k1"), trained("two", [0, 1], [1, 1])]
    said = says_gains(lab(tmp_path), own)
    assert any("Each setting has a KD of its own" in line for line in said)
    fixed = Lab(load_recipe("demo", ["distill.max_steps=9"]), Store(tmp_path))
    assert not any("KD of its own" in line for line in says_gains(fixed, own))
    shared = [trained("one", [0, 1], [0, 1]), trained("two", [0, 1], [1, 1])]
    assert not any("KD of its own" in line for line in says_gains(lab(tmp_path), shared))
    idle = says_gains(lab(tmp_path), [trained("one", [0, 1], [0, 1], changed=0)])
    assert any("No changed question was verified with one" in line for line in idle)
    same = says_gains(lab(tmp_path), [trained("one", [0, 1], [0, 1])] * 2)
    assert any("one, one gave the same training data" in line for line in same)
    assert not any("KD of its own" in line for line in same)
    assert "over the questions of one seed" in same[-1]


def test_a_recipe_without_benchmarks_is_told_what_to_add(tmp_path: Path) -> None:
    bare = Lab(load_recipe("demo", ["evaluate.benchmarks={}"]), Store(tmp_path))
    with pytest.raises(StudyError, match="has no benchmark to ask its students; name one"):
        train(bare, "any", {})
    assert not any(tmp_path.iterdir())
