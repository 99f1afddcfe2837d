"""Records of one's own, with any column names."""

import json
from pathlib import Path
from typing import Any

import pytest

from leaf.errors import DataError
from leaf.recipe import ColumnsSection, DataSection
from leaf.records import Problem
from leaf.tasks import load_problems


def load(path: Path, *records: dict[str, Any], **columns: str) -> list[Problem]:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    section = DataSection(task="table", path=str(path), columns=ColumnsSection(**columns))
    return load_problems(section)


def test_columns_are_taken_by_the_names_that_the_recipe_gives(tmp_path: Path) -> None:
    record = {"key": "a7", "problem": "What is 2 + 3?", "proof": "2 + 3 = 5.", "result": 5}
    columns = {"question": "problem", "answer": "result", "solution": "proof", "id": "key"}
    assert load(tmp_path / "sums.jsonl", record, **columns) == [
        Problem(id="a7", question="What is 2 + 3?", answer="5", solution="2 + 3 = 5.")
    ]


def test_without_id_and_solution_columns_records_are_numbered_and_unsolved(tmp_path: Path) -> None:
    records = [{"question": " spaced? ", "answer": "1"}, {"question": "b?", "answer": "2"}]
    problems = load(tmp_path / "sums.jsonl", *records)
    assert [p.id for p in problems] == ["sums-1", "sums-2"]
    assert [p.question for p in problems] == [" spaced? ", "b?"]
    assert [p.solution for p in problems] == ["", ""]


def test_a_null_solution_is_none_but_a_missing_column_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "sums.jsonl"
    (problem,) = load(path, {"question": "?", "answer": 1, "why": None}, solution="why")
    assert problem.solution == ""
    with pytest.raises(DataError, match=r"sums\.jsonl:1: no column `why`"):
        load(path, {"question": "?", "answer": 1}, solution="why")


def test_a_table_without_a_path_says_what_it_needs() -> None:
    with pytest.raises(DataError, match="task `table` needs `path`"):
        load_problems(DataSection(task="table"))


@pytest.mark.parametrize(
    ("golds", "grader"),
    [
        (["30 days after delivery", "Paris"], "qa"),
        ([r"\frac{1}{2}", "x+1"], "math"),
        ([5, 6.5], "numbers"),
        ([5, 6, "Paris"], "numbers"),
    ],
)
def test_golds_say_who_judges_where_the_recipe_does_not(
    tmp_path: Path, golds: list[Any], grader: str
) -> None:
    path = tmp_path / "own.jsonl"
    problems = load(path, *({"question": "?", "answer": gold} for gold in golds))
    assert {problem.grader for problem in problems} == {grader}
    section = DataSection(task="table", path=str(path), grader="close")
    assert {problem.grader for problem in load_problems(section)} == {"close"}
