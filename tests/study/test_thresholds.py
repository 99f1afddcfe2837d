"""A yield is what separate runs with each setting would give."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from leaf.cli.main import main
from leaf.pipeline.stages import Pipeline
from leaf.recipe import Recipe
from leaf.recipe.reading import load_recipe
from leaf.store.store import Store
from leaf.study.lab import Choices, Lab
from leaf.study.output import write_finding
from leaf.study.thresholds import Yield, count_yield, thresholds

TAUS = (0.05, 0.3, 0.6)


@pytest.fixture(scope="module")
def path(cue_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    values = {
        **yaml.safe_load((cue_pair / "recipe.yaml").read_text()),
        "prune": {"units": ["token", "word"], "whole": ["word"]},
        "verify": {"teacher": "if_student_right"},
    }
    path = tmp_path_factory.mktemp("recipes") / "cue.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="module")
def recipe(path: Path) -> Recipe:
    return load_recipe(str(path))


@pytest.fixture(scope="module")
def found(recipe: Recipe, store: Store) -> Yield:
    return count_yield(recipe, store, TAUS)


def test_every_rule_and_threshold_has_a_point(found: Yield) -> None:
    places = [(point.rule, point.threshold) for point in found.points]
    assert places == [(rule, tau) for rule in ("value", "quantile") for tau in TAUS]
    assert found.entered == 4


def test_each_point_is_what_a_run_with_that_setting_gives(
    recipe: Recipe, found: Yield, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    for point in found.points:
        changes = {"rule": point.rule, "threshold": point.threshold}
        section = recipe.prune.model_copy(update=changes)
        pipeline = Pipeline(recipe.model_copy(update={"prune": section}), store)
        cuts = pipeline.run(until="verify", after_stage=lambda: None).cuts["gradient"]
        assert point.tried == len(cuts.tried)
        assert point.verified == len(cuts.kept)
        assert point.problems == len({item.problem_id for item in cuts.tried})
        assert point.freed == len({item.problem_id for item in cuts.kept})
        places = {(i.problem_id, s.start, s.end) for i in cuts.tried for s in i.spans}
        assert point.spans == len(places)
        assert point.refused == sum(bool(i.skipped and i.spans) for i in cuts.counterfactuals)
        assert point.share is None or point.share.value == point.verified / point.tried


def test_a_question_of_several_settings_is_verified_once(
    found: Yield, recipe: Recipe, store: Store
) -> None:
    asked = sum(point.tried for point in found.points)
    assert max(point.tried for point in found.points) <= found.verified_once < asked
    # The same again computes nothing, in whatever order the thresholds are named.
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*.parquet")}
    assert count_yield(recipe, store, [*reversed(TAUS), TAUS[0]]) == found
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*.parquet")} == before


def test_one_attribution_pass_serves_all(found: Yield, store: Store) -> None:
    assert found.points
    # The student's and the teacher's.
    assert len(list((store.root / "sensitivities").iterdir())) == 2


def test_transplants_leave_the_removals_they_are_made_of(
    found: Yield, recipe: Recipe, store: Store
) -> None:
    section = recipe.prune.model_copy(update={"strategy": ["transplant"]})
    only = recipe.model_copy(update={"prune": section})
    assert count_yield(only, store, TAUS) == found


def test_the_command_writes_numbers_and_pictures(
    path: Path, store: Store, found: Yield, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "study"
    words = ["study", "thresholds", "--recipe", str(path), "--taus", "0.05,0.3,0.6"]
    with pytest.raises(SystemExit) as leaving:
        main([*words, "--out", str(out), "--store", str(store.root)])
    assert leaving.value.code == 0
    shown = capsys.readouterr().out
    values = json.loads((out / "thresholds.json").read_text())
    assert values["setting"]["command"].endswith(f"{path} --taus 0.05,0.3,0.6")
    point = found.points[0]
    row = values["tables"][0]["rows"][0]
    assert row["labels"] == {"rule": "value", "threshold": "0.05"}
    assert row["cells"]["tried"] == point.tried
    assert row["cells"]["share"] == {**dataclasses.asdict(point)["share"], "seeds": 1}
    (line,) = [line for line in shown.splitlines() if line.startswith("value     0.05")]
    assert line.split()[2:6] == [
        str(count) for count in (point.problems, point.spans, point.tried, point.verified)
    ]
    assert (out / "thresholds.png").read_bytes().startswith(b"\x89PNG")
    assert "value (Eq. 5): verified" in (out / "thresholds.svg").read_text()


def test_the_same_finding_gives_the_same_files(
    recipe: Recipe, store: Store, tmp_path: Path
) -> None:
    found = thresholds(Lab(recipe, store, choices=Choices(taus=TAUS)))
    written = [
        [path.read_bytes() for path in write_finding(found, tmp_path / name, {"seeds": [0]})]
        for name in ("a", "b")
    ]
    assert written[0] == written[1]
    names = [path.name for path in sorted((tmp_path / "a").iterdir())]
    assert names == [f"thresholds.{kind}" for kind in ("json", "md", "png", "svg")]


def test_one_rule_gives_what_it_gives_beside_the_other(
    recipe: Recipe, store: Store, found: Yield
) -> None:
    choices = Choices(taus=TAUS, rules=("quantile",))
    (table,) = thresholds(Lab(recipe, store, choices=choices)).tables
    beside = [point for point in found.points if point.rule == "quantile"]
    assert {row.labels["rule"] for row in table.rows} == {"quantile"}
    assert [row.cells["verified"] for row in table.rows] == [one.verified for one in beside]


@pytest.mark.parametrize(
    ("word", "value", "said"),
    [
        ("--taus", "0.1,x", "--taus 0.1,x: must be numbers"),
        ("--taus", "0.1,2", "--taus 0.1,2: each must lie in"),
        ("--rules", "values", "--rules values: 'values' is none; must be of value, quantile"),
    ],
)
def test_wrong_thresholds_are_one_line(
    path: Path, word: str, value: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["study", "thresholds", "--recipe", str(path), "--out", str(tmp_path / "s")]
    with pytest.raises(SystemExit) as leaving:
        main([*words, word, value])
    assert leaving.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "s").exists()
