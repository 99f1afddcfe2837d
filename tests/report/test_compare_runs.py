"""Runs are held against each other question by question, whatever the questions are called."""

import json
from pathlib import Path
from typing import Any

import pytest

from leaf.errors import UsageError
from leaf.report.compare_runs import Run, differences, paired, read_runs
from leaf.report.content import FORMAT
from leaf.store.run_folder import VALUES, QuestionValue, write_records


def scored(question: str, value: float, name: str = "t", base: str = "") -> QuestionValue:
    return QuestionValue(
        benchmark="own", arm="kd", problem_id=name, question=question, base=base, value=value
    )


def run(
    name: str, recipe: dict[str, Any], values: dict[str, float] | None = None, base: str = ""
) -> Run:
    evaluate = {"resamples": 100, "seed": 0}
    questions = {
        (digest, 0): scored(digest, value, base=base) for digest, value in (values or {}).items()
    }
    return Run(
        name=name,
        folder=Path(name),
        report={"recipe": {**recipe, "evaluate": evaluate}},
        values={("own", "leaf"): questions},
    )


def test_only_keys_that_differ_are_named_with_every_runs_value() -> None:
    one = run("a", {"name": "x", "prune": {"threshold": 0.1, "rule": "value"}})
    two = run("b", {"name": "x", "prune": {"threshold": 0.2, "rule": "value"}})
    more = run("c", {"name": "x", "prune": {"threshold": 0.1, "rule": "value"}, "extra": {"on": 1}})
    assert differences([one, two, more]) == [
        ("prune.threshold", [0.1, 0.2, 0.1]),
        ("extra.on", [None, None, 1]),
    ]


def test_students_are_paired_by_question_and_the_later_run_comes_first() -> None:
    first = run("a", {}, {"q1": 1.0, "q2": 0.0, "q3": 1.0, "q4": 0.0})
    later = run("b", {}, {"q4": 1.0, "q2": 1.0, "q1": 0.0, "q9": 1.0, "q8": 0.0})
    (found,) = paired([first, later], "own")
    # Shared are q1 (lost), q2 and q4 (won): (2 - 1) / 3.
    assert (found.arm, found.run) == ("leaf", "b")
    assert (found.comparison.n, found.comparison.wins, found.comparison.losses) == (3, 2, 1)
    assert found.comparison.difference == pytest.approx(1 / 3)
    # q3 is the first run's alone; q8 and q9 are the other's.
    assert found.lone == (1, 2)


def test_variants_of_one_problem_are_drawn_together() -> None:
    first = run("a", {}, {"q1": 1.0, "q2": 0.0, "q3": 1.0}, base="b")
    later = run("b", {}, {"q1": 1.0, "q2": 1.0, "q3": 0.0}, base="b")
    (found,) = paired([first, later], "own")
    assert (found.comparison.n, found.comparison.problems) == (3, 1)
    assert found.comparison.low is None


def test_runs_without_a_question_in_common_are_not_paired() -> None:
    assert paired([run("a", {}, {"q1": 1.0}), run("b", {}, {"q2": 1.0})], "own") == []
    assert paired([run("a", {}, {"q1": 1.0}), run("b", {}, {"q1": 1.0})], "other") == []


def test_a_folder_named_twice_is_refused_however_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is named twice"):
        read_runs([tmp_path, tmp_path / "x" / ".."])


def test_a_question_that_is_asked_twice_counts_twice(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps({"format": FORMAT}))
    asked = [("t-1", "q1", 1.0), ("t-2", "q2", 0.0), ("t-3", "q1", 0.0)]
    values = [scored(question, value, name) for name, question, value in asked]
    write_records(tmp_path / VALUES, values, QuestionValue)
    (found,) = read_runs([tmp_path])
    keys = [("q1", 0), ("q2", 0), ("q1", 1)]
    assert found.values == {("own", "kd"): dict(zip(keys, values, strict=True))}
