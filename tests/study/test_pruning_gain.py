"""What cutting alone frees, by hand and as verdicts of a run say."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from leaf.cli.main import main
from leaf.errors import StudyError
from leaf.recipe.reading import load_recipe
from leaf.records import Distractor, Outcome, Problem
from leaf.statistics import Interval
from leaf.store.store import Store
from leaf.study.finding import Cell, Row, Table
from leaf.study.lab import Lab
from leaf.study.pruning_gain import (
    Freed,
    Pruned,
    accuracy_of,
    against,
    category,
    pruning_gain,
    rests_on,
    shares_of,
)


@pytest.fixture(scope="module")
def path(cue_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    values = {
        **yaml.safe_load((cue_pair / "recipe.yaml").read_text()),
        "prune": {"units": ["word"], "whole": ["word"], "rule": "quantile", "threshold": 0.2},
    }
    path = tmp_path_factory.mktemp("recipes") / "cue.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def problem(key: str, source: str) -> Problem:
    return Problem(id=key, question="q", answer="1", solution="1", source=source)


PRUNED = Pruned(
    problems=[problem(key, "easy" if key in "ab" else "hard") for key in "abcdef"],
    right=frozenset("ab"),
    entered=frozenset("cdef"),
    detectors={
        "gradient": Freed(
            cut={"c": 2, "d": 1, "e": 1},
            span=frozenset("cde"),
            verified=frozenset("cd"),
            collective=frozenset("c"),
        ),
        "random": Freed(
            cut={"c": 1}, span=frozenset("c"), verified=frozenset(), collective=frozenset()
        ),
    },
)


def row(table: Table, **labels: str) -> Row:
    (found,) = [one for one in table.rows if labels.items() <= one.labels.items()]
    return found


def value(cell: Cell) -> float:
    assert isinstance(cell, Interval)
    return cell.value


def test_freed_problems_are_a_share_of_those_that_entered() -> None:
    cells = row(shares_of(PRUNED), detector="gradient", part="all").cells
    assert cells["problems"] == 4
    assert cells["spans a problem"] == 1.0
    assert value(cells["one span cut"]) == 0.75
    assert value(cells["of these verified"]) == 0.5
    assert value(cells["all marked cut"]) == 0.25
    assert value(row(shares_of(PRUNED), detector="random").cells["one span cut"]) == 0.25


def test_a_part_of_the_data_that_nothing_entered_from_has_no_row() -> None:
    parts = [one.labels["part"] for one in shares_of(PRUNED).rows]
    assert parts == ["all", "all", "hard"]


def test_detectors_are_compared_by_the_problems_of_which_the_questions_are_variants() -> None:
    options = {"resamples": 200, "seed": 0}
    alone = row(against(PRUNED, options), way="one span cut").cells
    # d and e are freed by the gradient alone: the least that two can show is 2 / 2**2.
    assert (alone["only its"], alone["only the control's"], alone["p"]) == (2, 0, 0.5)
    assert rests_on(PRUNED) == "The exact test of two detectors is McNemar's."
    variants = replace(
        PRUNED, problems=[replace(one, base="x" * (one.id in "de")) for one in PRUNED.problems]
    )
    cells = row(against(variants, options), way="one span cut").cells
    assert (cells["only its"], cells["only the control's"], cells["p"]) == (2, 0, 1.0)
    assert value(cells["difference"]) == value(alone["difference"]) == 0.5
    assert rests_on(variants).startswith("The 4 problems are variants of 3: ")


def test_accuracy_on_all_problems_gains_what_was_freed() -> None:
    table = accuracy_of(PRUNED)
    everything = row(table, part="all").cells
    assert value(everything["before"]) == pytest.approx(2 / 6)
    assert value(everything["all marked cut"]) == pytest.approx(3 / 6)
    assert value(everything["gain"]) == pytest.approx(1 / 6)
    assert value(everything["one span cut"]) == pytest.approx(5 / 6)
    assert value(row(table, part="hard").cells["gain"]) == 0.25
    assert value(row(table, part="easy").cells["gain"]) == 0.0


def test_a_part_is_what_the_data_name_else_what_distracts() -> None:
    cue = Distractor(kind="cue", start=0, end=1)
    plain = Problem(id="p", question="q", answer="1", solution="1", distractors=(cue, cue))
    assert category(problem("p", "gsm8k")) == "gsm8k"
    assert category(plain) == "cue"
    assert category(problem("p", "")) == "no distractor named"


def test_shares_are_those_of_a_run_s_verdicts(path: Path, store: Store) -> None:
    lab = Lab(load_recipe(str(path)), store)
    found = pruning_gain(lab)
    shares, against, placebos, _ = found.tables
    for strategy, column in (("span", "one span cut"), ("collective", "all marked cut")):
        for detector in ("gradient", "random", "perplexity"):
            run = lab.run(
                {
                    "prune.strategy": strategy,
                    "attribute.detector": detector,
                    "attribute.controls": [],
                },
                until="verify",
                label="by itself",
            )
            verdicts = run.results.cuts[detector].verdicts or []
            right = {one.problem_id for one in verdicts if one.student is Outcome.RIGHT}
            cells = row(shares, detector=detector, part="all").cells
            assert cells["problems"] == 4
            assert value(cells[column]) == len(right) / 4
    # Of one word each, cut in turn: only the cue frees.
    for one in placebos.rows:
        excess = one.cells["excess"]
        assert isinstance(excess, Interval)
        shares_of_one = one.cells["right after a cut"], one.cells["right after a placebo"]
        assert excess.value == pytest.approx(shares_of_one[0] - shares_of_one[1])  # type: ignore
    assert row(placebos, detector="gradient").cells["right after a placebo"] < 0.5  # type: ignore
    # The cue is one word of every failed question, and the gradient finds it each time.
    assert value(row(shares, detector="gradient").cells["one span cut"]) == 1.0
    assert {one.labels["control"] for one in against.rows} == {"random", "perplexity"}
    for one in against.rows:
        assert isinstance(one.cells["difference"], Interval)
        counts = [one.cells["only its"], one.cells["only the control's"]]
        assert value(one.cells["difference"]) == (counts[0] - counts[1]) / 4  # type: ignore[operator]


def test_nothing_that_enters_is_one_line(cue_pair: Path, path: Path, tmp_path: Path) -> None:
    # The teacher as its own student fails nothing.
    recipe = load_recipe(str(path), [f"student.model={cue_pair / 'teacher'}"])
    with pytest.raises(StudyError, match="no problem that the student fails"):
        pruning_gain(Lab(recipe, Store(tmp_path)))


def test_the_command_writes_the_finding(
    path: Path, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["study", "pruning-gain", "--recipe", str(path), "--out", str(out), "--seeds", "2"]
    with pytest.raises(SystemExit) as leaving:
        main([*words, "--store", str(store.root)])
    assert leaving.value.code == 0
    assert "Without any training" in capsys.readouterr().out
    names = sorted(one.name for one in out.iterdir())
    kinds = ("json", "md", "png", "svg")
    assert names == [*(f"pruning-gain.{kind}" for kind in kinds), "recipe.yaml"]
