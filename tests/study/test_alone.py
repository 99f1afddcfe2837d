"""Studies of a recipe without a teacher: RFT stands in KD's place, or they say why they cannot."""

from pathlib import Path

import pytest

from leaf.errors import StudyError
from leaf.pipeline.manifest import build_manifest
from leaf.recipe.reading import load_recipe
from leaf.store.store import Store
from leaf.study.finding import Finding
from leaf.study.lab import Lab
from leaf.study.studies import STUDIES
from tests.command_line import complaint

ALONE = [
    "teacher=self",
    "attribute={detector: ablation, controls: [], reference: self}",
    "data.world.size=100",
    "prune.transplants=1",
    "prune.strategy=[span]",
    "distill={max_steps: 2, batch_size: 16, teacher_sees: cut}",
    "arms={own: {distill: {cross_entropy: 1.0}}}",
    "evaluate.resamples=100",
    "evaluate.benchmarks={clean: {task: playground, split: clean, world: {size: 8, seed: 1}},"
    " conflict: {task: playground, split: conflict, world: {size: 8, seed: 1}}}",
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(load_recipe("demo", ALONE), Store(tmp_path_factory.mktemp("store")))


def said(found: Finding) -> str:
    """Everything that a study says and names in tables."""
    words = list(found.says)
    for table in found.tables:
        words += [table.title, *table.columns]
        words += [label for row in table.rows for label in row.labels.values()]
    return " ".join(words)


@pytest.mark.parametrize("name", ["main", "robustness", "overhead", "focus-audit", "pruning-gain"])
def test_rft_stands_in_the_place_of_kd(lab: Lab, name: str) -> None:
    found = STUDIES[name].run(lab)
    text = said(found).replace("There is no teacher", "")
    assert "KD" not in text
    assert "teacher" not in text
    assert "plain distillation" not in text
    if name != "pruning-gain":
        assert "RFT" in text


def test_the_students_of_other_arms_are_not_trained(lab: Lab) -> None:
    STUDIES["main"].run(lab)
    made = {path.name: path for path in (lab.store.root / "students").iterdir()}
    assert len(made) == 2


def test_no_value_of_the_paper_stands_beside_a_student_without_a_teacher(lab: Lab) -> None:
    found = STUDIES["main"].run(lab)
    assert not any(row.paper for table in found.tables for row in table.rows)
    assert any(line.startswith("There is no teacher; the paper's: ") for line in found.differs)


@pytest.mark.parametrize("name", ["masking", "case"])
def test_what_needs_a_teacher_is_refused_in_one_line_before_any_work(
    name: str, tmp_path: Path
) -> None:
    lab = Lab(load_recipe("demo", ALONE), Store(tmp_path / "store"))
    with pytest.raises(StudyError, match=r"recipe demo has no teacher \(teacher: self\), and"):
        STUDIES[name].run(lab)
    assert not (tmp_path / "store").exists()


def test_the_command_says_so_too(tmp_path: Path) -> None:
    words = [word for override in ALONE for word in ("--set", override)]
    out = ("--out", tmp_path / "out", "--store", tmp_path / "store")
    line = complaint("study", "case", "--recipe", "demo", *words, *out)
    assert "has no teacher (teacher: self)" in line


def test_changed_questions_are_counted_by_the_rows_that_leaf_trained_on(lab: Lab) -> None:
    found = STUDIES["main"].run(lab)
    counted = found.tables[1].rows[0].cells["changed questions"]
    changes = {"attribute.controls": [], "prune.levels": ["instruction"]}
    results = lab.run(changes, until="verify", label="again").results
    assert counted == len(results.cuts["ablation"].kept)
    assert results.student
    right = sum(score.right for score in results.student[1])
    assert results.rows["rft"] == {"original": right}


def test_the_manifest_has_no_model_for_a_teacher(lab: Lab) -> None:
    sources = lab.run(until="problems", label="manifest").pipeline.session.sources
    assert set(build_manifest(lab.recipe, sources)["models"]) == {"student"}
