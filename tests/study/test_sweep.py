"""The studies of several settings, on tiny models: each setting is what a run with it gives."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from leaf.errors import StudyError
from leaf.pipeline.stages import Pipeline
from leaf.recipe.reading import load_recipe
from leaf.statistics import Interval
from leaf.store.results import Results
from leaf.store.store import Store
from leaf.study.finding import Finding
from leaf.study.lab import Choices, Lab
from leaf.study.output import write_finding
from leaf.study.sweep import collective, contrastive, masking, splits
from leaf.study.threshold_accuracy import threshold_accuracy
from leaf.study.thresholds import thresholds


@pytest.fixture(scope="module")
def path(cue_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """References of two lines, so that responses can be split; steps fixed, so one KD for all."""
    folder = tmp_path_factory.mktemp("recipes")
    lines = (cue_pair / "train.jsonl").read_text()
    (folder / "train.jsonl").write_text(lines.replace('"solution": "4"', '"solution": "It is\\n4"'))
    values = {
        **yaml.safe_load((cue_pair / "recipe.yaml").read_text()),
        "prune": {"units": ["word"], "rule": "quantile", "threshold": 0.6},
        "distill": {"max_steps": 2, "batch_size": 4, "warmup_steps": 0, "learning_rate": 1e-3},
        "evaluate": {
            "resamples": 200,
            "benchmarks": {"new": {"task": "table", "path": str(cue_pair / "test.jsonl")}},
        },
    }
    values["data"]["path"] = str(folder / "train.jsonl")
    path = folder / "cue.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def run(path: Path, store: Store, *overrides: str) -> Results:
    pipeline = Pipeline(load_recipe(str(path), overrides), store)
    return pipeline.run(until="evaluate", after_stage=lambda: None)


CASES: list[tuple[Callable[[Lab], Finding], dict[str, list[str]]]] = [
    (masking, {mask: [f"attribute.detector={mask}"] for mask in ("gradient", "random")}),
    (collective, {way: [f"prune.strategy={way}"] for way in ("span", "collective")}),
    (
        contrastive,
        {"with": [], "without": ["distill.student_wrong_originals=false"]},
    ),
    (
        splits,
        {
            "none (instruction)": [],
            "2 segments": ["prune.levels=[response]"],
        },
    ),
    (
        threshold_accuracy,
        {f"instruction {tau}": [f"prune.threshold={tau}"] for tau in ("0.05", "0.10", "0.15")},
    ),
]


@pytest.mark.parametrize(
    ("study", "settings"), CASES, ids=["masks", "ways", "originals", "splits", "thresholds"]
)
def test_each_setting_is_what_a_run_with_it_gives(
    study: Callable[[Lab], Finding],
    settings: dict[str, list[str]],
    path: Path,
    store: Store,
    tmp_path: Path,
) -> None:
    found = study(Lab(load_recipe(str(path)), store))
    cells = {tuple(row.labels.values()): row.cells for row in found.tables[0].rows}
    students = {one.name for one in (store.root / "students").iterdir()}
    for name, overrides in settings.items():
        results = run(path, store, *overrides)
        assert results.comparisons
        compared = results.comparisons["new"]
        assert cells["new", name]["wins"] == compared.wins
        assert cells["new", name]["losses"] == compared.losses
        gain = cells["new", name]["LeaF minus KD"]
        assert isinstance(gain, Interval)
        assert gain.value == compared.difference
    # Nothing was trained for these runs that the study had not trained.
    assert {one.name for one in (store.root / "students").iterdir()} == students
    names = [one.name for one in write_finding(found, tmp_path, {"seeds": [0]})]
    assert names == [f"{found.study}.{kind}" for kind in ("json", "md", "png", "svg")]


def test_later_settings_are_compared_with_the_first(path: Path, store: Store) -> None:
    found = contrastive(Lab(load_recipe(str(path)), store))
    rows = {row.labels["student-wrong originals"]: row.cells for row in found.tables[0].rows}
    assert "LeaF minus with" not in rows["with"]
    right = {name: run_right(path, store, name) for name in ("with", "without")}
    versus = rows["without"]["LeaF minus with"]
    assert isinstance(versus, Interval)
    assert versus.value == pytest.approx(right["without"] - right["with"])


def run_right(path: Path, store: Store, name: str) -> float:
    overrides = ["distill.student_wrong_originals=false"] if name == "without" else []
    estimates = run(path, store, *overrides).estimates
    assert estimates
    return estimates["new"]["leaf"].mean


def test_thresholds_asked_for_are_those_trained(path: Path, store: Store) -> None:
    lab = Lab(load_recipe(str(path)), store, choices=Choices(taus=(0.6, 0.304, 0.3)))
    found = threshold_accuracy(lab)
    settings = [row.labels["level and threshold"] for row in found.tables[0].rows]
    assert settings == ["instruction 0.30", "instruction 0.304", "instruction 0.60"]


def test_the_response_has_thresholds_where_the_recipe_cuts_it(path: Path, store: Store) -> None:
    both = load_recipe(str(path), ["prune.levels=[instruction, response]"])
    found = threshold_accuracy(Lab(both, store, choices=Choices(taus=(0.6,))))
    settings = [row.labels["level and threshold"] for row in found.tables[0].rows]
    assert settings == ["instruction 0.60", "response 0.60"]


def test_thresholds_alone_train_nothing(path: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    thresholds(Lab(load_recipe(str(path)), store, choices=Choices(taus=(0.3,))))
    assert (store.root / "answers").is_dir()
    assert not (store.root / "students").exists()


def test_references_of_one_line_have_no_splits(cue_pair: Path, path: Path, store: Store) -> None:
    short = load_recipe(str(path), [f"data.path={cue_pair / 'train.jsonl'}"])
    with pytest.raises(StudyError, match="no reference response of the 4 problems that enter"):
        splits(Lab(short, store))
