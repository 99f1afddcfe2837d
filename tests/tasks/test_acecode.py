"""AceCode records become problems; the reference is an answer that passed every test."""

import json
from pathlib import Path
from typing import Any

import pytest

from leaf.errors import DataError
from leaf.recipe import DataSection
from leaf.records import Problem
from leaf.tasks import load_problems

# The columns are those of the data set's card; the texts are made up.
RECORD: dict[str, Any] = {
    "id": "oss_13",
    "source": "oss",
    "question": "Write a function called `double` such that double(x) is twice a number.",
    "test_cases": [
        "assert double(2) == 4",
        "assert isinstance(double(1.5), float)",
        "assert max(double(1), double(2)) == 4",
    ],
    "inferences": [
        {"completion": "return 1", "completion_id": 0, "model_name": "a", "pass_rate": 0.33},
        {
            "completion": "Sure:\n```python\ndef double(x):\n    return 2 * x\n```\nDone.",
            "completion_id": 1,
            "model_name": "a",
            "pass_rate": 1.0,
        },
        {"completion": "def double(x): ...", "completion_id": 2, "model_name": "b", "pass_rate": 1},
    ],
    "context_messages": [[{"content": "You are a helpful assistant.", "role": "system"}]],
}


def load(folder: Path, **changes: Any) -> Problem:
    path = folder / "own.jsonl"
    path.write_text(json.dumps({**RECORD, **changes}) + "\n")
    (problem,) = load_problems(DataSection(task="acecode", path=str(path)))
    return problem


def test_a_record_becomes_a_problem(tmp_path: Path) -> None:
    problem = load(tmp_path)
    assert (problem.id, problem.grader, problem.answer) == ("acecode/oss_13", "code", "")
    assert problem.question == RECORD["question"]
    assert problem.after.endswith("in one ```python code block.")
    assert problem.tests is not None
    assert problem.tests.entry_point == "double"
    assert problem.tests.program == "\n".join(RECORD["test_cases"]) + "\n"
    assert problem.source == "oss"


def test_the_reference_is_the_first_answer_that_passed_every_test(tmp_path: Path) -> None:
    assert load(tmp_path).solution == RECORD["inferences"][1]["completion"]


def test_bare_code_becomes_a_block(tmp_path: Path) -> None:
    problem = load(tmp_path, inferences=RECORD["inferences"][2:])
    assert problem.solution == "```python\ndef double(x): ...\n```"


@pytest.mark.parametrize("inferences", [[], None, RECORD["inferences"][:1]])
def test_without_such_an_answer_there_is_no_reference(tmp_path: Path, inferences: Any) -> None:
    assert load(tmp_path, inferences=inferences).solution == ""


def test_the_entry_point_is_protected_wherever_it_is_named(tmp_path: Path) -> None:
    problem = load(tmp_path, question="Write `double`. redouble(x) is not double(x).")
    places = [(place.start, place.end) for place in problem.protected]
    assert places == [(7, 13), (35, 41)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"test_cases": []}, "column `test_cases` is empty: a program needs tests"),
        ({"test_cases": ["assert (1"]}, "column `test_cases` is not Python"),
        ({"test_cases": ["assert len([]) == 0"]}, "call no function that a program could define"),
        ({"inferences": [{"completion": "x"}]}, "column `inferences` must hold a list"),
        ({"inferences": [{"completion": None, "pass_rate": 1}]}, "column `inferences` must hold"),
    ],
)
def test_a_record_that_cannot_be_judged_is_refused_by_place(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path, **changes)
    assert str(caught.value).startswith(f"{tmp_path}/own.jsonl:1: ")
    assert reason in str(caught.value)
