"""The grader of the example judges in every command, and its options name what it judged."""

import json
import subprocess
import sys
from pathlib import Path

from tests.examples.conftest import EXAMPLES

TINY = [
    *("data.world.size=40", "attribute.controls=[]", "evaluate.teacher=false"),
    "evaluate.benchmarks={clean: {task: playground, split: clean, world: {size: 20}}}",
]


def leaf(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `leaf` by the example's own script."""
    return subprocess.run(
        [sys.executable, str(EXAMPLES / "own_grader.py"), *words],
        capture_output=True,
        text=True,
        check=False,
    )


def run(folder: Path, equations: int) -> str:
    # Its answers are y, so that the teacher is asked about every problem.
    reference = "attribute.reference=teacher"
    settings = [*TINY, f"data.grader.shown.equations={equations}", reference]
    options = [word for setting in settings for word in ("--set", setting)]
    done = leaf("run", "demo", "--until", "answers", "--out", str(folder), *options)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stderr


def test_a_run_is_judged_by_it_and_other_options_ask_no_model_again(tmp_path: Path) -> None:
    one = run(tmp_path / "one", 1)
    two = run(tmp_path / "two", 2)
    # Both models write one equation, as in `9 + 4 = 13`: two is what nobody shows.
    assert "teacher: 40 right, 0 wrong" in one
    assert "teacher: 0 right, 40 wrong" in two
    assert len(list((tmp_path / "store" / "answers").iterdir())) == 2
    assert len(list((tmp_path / "store" / "scores").iterdir())) == 4


def test_leaf_evaluate_takes_it_for_one_benchmark(tmp_path: Path) -> None:
    place = "evaluate.benchmarks.playground"
    done = leaf(
        *("evaluate", "--model", "package:playground/models/teacher", "--dtype", "float32"),
        *("--benchmark", "playground", "--limit", "20", "--max-new-tokens", "12"),
        *("--set", f"{place}.grader.shown.equations=2", "--set", f"{place}.split=clean"),
        *("--out", str(tmp_path)),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    assert scores["playground"]["right"] == 0


def test_a_study_takes_it(tmp_path: Path) -> None:
    settings = [*TINY, "data.grader=shown", "data.world.size=20", "prune.strategy=span"]
    done = leaf(
        *("study", "thresholds", "--recipe", "demo", "--taus", "0.1", "--out", str(tmp_path)),
        *(word for setting in settings for word in ("--set", setting)),
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_mistake_in_its_options_is_one_line(tmp_path: Path) -> None:
    done = leaf("show", "demo", "--set", "data.grader.shown.equation=2")
    assert done.returncode == 2
    assert "unknown key `data.grader.shown.equation`; did you mean `equations`?" in done.stderr
