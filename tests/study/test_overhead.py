"""What LeaF costs beside plain distillation."""

from pathlib import Path

import pytest
import yaml

from leaf.recipe.reading import load_recipe
from leaf.store.store import Store
from leaf.store.work import About, StageLog
from leaf.study.lab import Lab
from leaf.study.overhead import overhead, parts_of, whole_of


def log(kind: str, role: str, seconds: float, peak: int | None = None) -> StageLog:
    return StageLog(
        title=f"{kind} {role}",
        kind=kind,
        about=About(role=role),
        key="k",
        items=1,
        records=1,
        computed=1,
        seconds=seconds,
        peak_bytes=peak,
    )


LOGS = [
    log("answers", "student", 10.0, 700),
    log("counterfactuals", "", 20.0),
    log("students", "leaf", 110.0, 900),
    log("students", "kd", 100.0, 800),
]


def test_training_and_the_whole_are_compared_with_plain_distillation() -> None:
    training, whole = whole_of(LOGS).rows
    assert training.cells == {"KD": 100.0, "LeaF": 110.0, "overhead": pytest.approx(0.1)}
    # (10 + 20 + 110) / 100 - 1.
    assert whole.cells == {"KD": 100.0, "LeaF": 140.0, "overhead": pytest.approx(0.4)}


def test_the_teachers_answers_are_plain_distillations_too_where_they_are_y() -> None:
    logs = [log("answers", "teacher", 50.0), *LOGS]
    _, whole = whole_of(logs, reference="teacher").rows
    # (50 + 10 + 20 + 110) / (50 + 100) - 1.
    assert whole.cells == {"KD": 150.0, "LeaF": 190.0, "overhead": pytest.approx(190 / 150 - 1)}


def test_the_paper_stands_beside_the_training_alone() -> None:
    training, whole = whole_of(LOGS, paper=0.115).rows
    assert (training.paper, whole.paper) == ({"overhead": 0.115}, {})


def test_parts_have_their_time_and_highest_memory() -> None:
    assert {row.labels["part"]: row.cells for row in parts_of(LOGS).rows} == {
        "stage 1": {"time": 30.0, "peak memory": 700},
        "training KD": {"time": 100.0, "peak memory": 800},
        "training LeaF": {"time": 110.0, "peak memory": 900},
    }


def test_a_run_s_stages_are_added_up_without_its_controls(cue_pair: Path, tmp_path: Path) -> None:
    values = {
        **yaml.safe_load((cue_pair / "recipe.yaml").read_text()),
        "attribute": {"controls": ["random"]},
        "distill": {"max_steps": 2, "batch_size": 4},
    }
    path = tmp_path / "cue.yaml"
    path.write_text(yaml.safe_dump(values))
    lab = Lab(load_recipe(str(path)), Store(tmp_path / "store"))
    lab.run({}, until="distill", label="with its controls")
    found = overhead(lab)
    whole, parts, _ = found.tables
    own = lab.run({"attribute.controls": []}, until="distill", label="without").pipeline.logs
    seconds = {one.about.role: one.seconds for one in own if one.kind == "students"}
    assert not any(one.about.detector == "random" for one in own)
    first, kd, leaf = (row.cells for row in parts.rows)
    assert (kd["time"], leaf["time"]) == (seconds["kd"], seconds["leaf"])
    before = sum(one.seconds for one in own if one.kind != "students")
    assert first["time"] == pytest.approx(before)
    assert isinstance(first["peak memory"], int)
    assert whole.rows[0].cells["overhead"] == pytest.approx(seconds["leaf"] / seconds["kd"] - 1)
    assert found.paper[0].rows
