"""Metrics reach the trackers that are named, once a step, and nobody else."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from leaf.distill import tracking
from leaf.distill.tracking import Trackers, missing_trackers
from leaf.errors import UsageError
from leaf.recipe import DistillSection

SECTION = DistillSection(tracking=["tensorboard"])


def points(folder, name):
    """Return (step, value) of a curve as TensorBoard shows it."""
    (place,) = (folder / "tensorboard").iterdir()
    found = EventAccumulator(str(place), purge_orphaned_data=True)
    found.Reload()
    return [(event.step, event.value) for event in found.Scalars(name)]


def track(folder, steps, done=0):
    with Trackers(["tensorboard"], folder, "training leaf", SECTION, done=done) as trackers:
        for step in steps:
            trackers.log({"loss": step / 4, "kl_counterfactual": None}, step)


def test_tensorboard_reads_the_curves_back(tmp_path):
    track(tmp_path, [1, 2, 3])
    assert points(tmp_path, "loss") == [(1, 0.25), (2, 0.5), (3, 0.75)]


def test_a_value_that_is_none_is_no_point(tmp_path):
    track(tmp_path, [1])
    with pytest.raises(KeyError):
        points(tmp_path, "kl_counterfactual")


def test_steps_that_are_done_again_after_a_kill_are_shown_once(tmp_path, monkeypatch):
    # Event files are ordered by the second of their making, which is in their names.
    monkeypatch.setattr("tensorboard.summary.writer.event_file_writer.time.time", lambda: 1000.0)
    track(tmp_path, [1, 2, 3, 4, 5])
    monkeypatch.setattr("tensorboard.summary.writer.event_file_writer.time.time", lambda: 2000.0)
    track(tmp_path, [4, 5, 6], done=3)
    assert [step for step, _ in points(tmp_path, "loss")] == [1, 2, 3, 4, 5, 6]


def test_two_trainings_in_one_place_have_two_names(tmp_path):
    for key in ("0123456789", "abcdefghij"):
        (tmp_path / key).mkdir()
        track(tmp_path / key, [1])
    names = {path.name for path in tmp_path.glob("*/tensorboard/*")}
    assert names == {"training leaf 01234567", "training leaf abcdefgh"}


def test_without_names_nothing_is_written(tmp_path):
    with Trackers([], tmp_path, "training leaf", SECTION) as trackers:
        trackers.log({"loss": 1.0}, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["tensorboard", "trackio", "wandb"])
def test_a_missing_tracker_is_one_line_before_training(tmp_path, monkeypatch, name):
    monkeypatch.setattr(tracking, "find_spec", lambda asked: None)
    with pytest.raises(UsageError) as caught:
        Trackers([name], tmp_path, "training leaf", SECTION)
    assert str(caught.value) == missing_trackers([name])
    assert str(caught.value) == (
        f'distill.tracking: {name} is not installed: pip install "leaf-distill[{name}]", '
        "or take it off the list"
    )


LOCAL = """
import sys
from pathlib import Path
from leaf.recipe import DistillSection
from leaf.distill.tracking import Trackers

folder = Path(sys.argv[2])
for done in (0, 3):
    with Trackers([sys.argv[1]], folder, "training leaf", DistillSection(), done=done) as trackers:
        for step in range(done + 1, done + 4):
            trackers.log({"loss": step / 4, "kl_counterfactual": None}, step)
"""


def run_local(name, folder):
    """Track two parts of a training as somebody who has never logged in anywhere."""
    variables = {key: value for key, value in os.environ.items() if "WANDB" not in key}
    variables |= {"HOME": str(folder), "TRACKIO_DIR": str(folder / "trackio")}
    (folder / "training").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", LOCAL, name, str(folder / "training")],
        capture_output=True,
        text=True,
        timeout=120,
        env=variables,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.skipif(find_spec("wandb") is None, reason="the extra wandb is not installed")
def test_wandb_stays_offline_by_itself(tmp_path):
    said = run_local("wandb", tmp_path)
    assert "offline" in said
    assert list((tmp_path / "training" / "wandb").glob("offline-run-*"))


@pytest.mark.skipif(find_spec("trackio") is None, reason="the extra trackio is not installed")
def test_trackio_keeps_the_curves_on_this_machine(tmp_path):
    import sqlite3

    run_local("trackio", tmp_path)
    (path,) = (tmp_path / "trackio").glob("*.db")
    with sqlite3.connect(path) as database:
        steps = database.execute("select step from metrics order by step").fetchall()
    assert [step for (step,) in steps] == [1, 2, 3, 4, 5, 6]
