"""MBPP and MBPP+ records become problems; a file's splits are its task ids."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from leaf.errors import DataError
from leaf.recipe import DataSection
from leaf.records import Problem
from leaf.tasks import load_problems, read_problems
from tests import marks

DATA = marks.DATA / "mbpp"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/mbpp is not there")

RECORD = {
    "task_id": 700,
    "text": "Write a function to double all.",
    "code": "def half(x):\r\n    return x / 2\r\ndef double(xs):\r\n    return [2 * x for x in xs]",
    "test_setup_code": "",
    "test_list": ["assert set(double([1])) == {2}", "assert double([2]) == [4]"],
    "challenge_test_list": [],
}
PLUS = {
    "task_id": 9,
    "prompt": "Write a function to double all.",
    "code": RECORD["code"],
    "test_imports": ["import math"],
    "test_list": RECORD["test_list"],
    "test": "inputs = [[[3]]]\nassert double(*inputs[0]) == [6]",
}


def load(folder: Path, record: dict[str, Any], **section: Any) -> Problem:
    path = folder / "own.jsonl"
    path.write_text(json.dumps(record) + "\n")
    (problem,) = load_problems(DataSection(path=str(path), **section))
    return problem


def test_a_record_becomes_a_problem_as_evalplus_asks_it(tmp_path: Path) -> None:
    problem = load(tmp_path, RECORD, task="mbpp")
    assert problem.id == "mbpp/700"
    assert problem.question == "Write a function to double all."
    assert problem.content == (
        "Please provide a self-contained Python script that solves the following problem in a "
        'markdown code block:\n```\n"""\nWrite a function to double all.\n'
        'assert set(double([1])) == {2}\n"""\n```\n'
    )
    assert problem.solution == (
        "```python\ndef half(x):\n    return x / 2\ndef double(xs):\n"
        "    return [2 * x for x in xs]\n```"
    )
    tests = problem.tests
    assert tests is not None
    assert tests.entry_point == "double"
    assert tests.program == "assert set(double([1])) == {2}\nassert double([2]) == [4]\n"


def test_values_that_the_tests_set_up_are_part_of_their_program(tmp_path: Path) -> None:
    problem = load(tmp_path, {**RECORD, "test_setup_code": "one = [1]\r\n"}, task="mbpp")
    assert problem.tests is not None
    assert problem.tests.program.startswith("one = [1]\n\nassert")


def test_mbpp_plus_is_judged_by_its_long_tests(tmp_path: Path) -> None:
    problem = load(tmp_path, PLUS, task="mbpp_plus")
    assert problem.id == "mbpp_plus/9"
    assert problem.after == '\nassert set(double([1])) == {2}\n"""\n```\n'
    assert problem.tests is not None
    assert problem.tests.program == (
        "import math\ninputs = [[[3]]]\nassert double(*inputs[0]) == [6]\n"
    )


def test_an_input_whose_result_fills_a_machine_is_made_smaller(tmp_path: Path) -> None:
    large = "inputs = [[['Dog', 'Cat', 'CatBird', 'Bird', 'Fish'], 77], [['Dog'], 77]]"
    problem = load(tmp_path, {**PLUS, "test": large}, task="mbpp_plus")
    assert problem.tests is not None
    assert "'Fish'], 7], [['Dog'], 77]]" in problem.tests.program


def test_a_comparison_that_was_never_asserted_is_asserted(tmp_path: Path) -> None:
    forgotten = (
        "def assertion(out, exp, atol):\n    if isinstance(out, bool):\n"
        "        exact_match = out == exp\n    else:\n"
        "        exact_match = exp == (out is not None)\n\n\nassertion(double([1]), True, 0)"
    )
    problem = load(tmp_path, {**PLUS, "test": forgotten}, task="mbpp_plus")
    assert problem.tests is not None
    for wrong, fails in (([2], False), (None, True)):
        space = {"double": lambda _xs, wrong=wrong: wrong}
        with pytest.raises(AssertionError) if fails else nullcontext():
            exec(problem.tests.program, space)  # noqa: S102 - our own


@pytest.mark.parametrize(
    ("task", "changes", "reason"),
    [
        ("mbpp", {"test_list": []}, "column `test_list` is empty: a program needs tests"),
        ("mbpp", {"test_list": ["assert ("]}, "column `test_list` is not Python"),
        ("mbpp", {"test_list": "assert True"}, "must hold a list of texts"),
        ("mbpp", {"test_list": ["assert True"]}, "call no function"),
        ("mbpp", {"code": "def ("}, "the reference program is not Python"),
        ("mbpp", {"task_id": "x"}, "column `task_id` must be a number"),
        ("mbpp_plus", {"test": " "}, "column `test` is empty: a program needs tests"),
        ("mbpp_plus", {"plus_input": []}, "inputs without expected results"),
    ],
)
def test_a_record_that_cannot_be_judged_is_refused_by_place(
    tmp_path: Path, task: str, changes: dict[str, Any], reason: str
) -> None:
    record = {**(RECORD if task == "mbpp" else PLUS), **changes}
    with pytest.raises(DataError) as caught:
        load(tmp_path, record, task=task)
    assert str(caught.value).startswith(f"{tmp_path}/own.jsonl:1: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_split_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no split `tests`; did you mean `test`"):
        load(tmp_path, RECORD, task="mbpp", split="tests")


@needs_data
@pytest.mark.parametrize(
    ("split", "first", "count"),
    [(None, 601, 374), ("train", 601, 374), ("test", 11, 500), ("validation", 511, 90)],
)
def test_a_split_of_the_real_file_is_its_task_ids(
    split: str | None, first: int, count: int
) -> None:
    section = DataSection(task="mbpp", path=str(DATA / "mbpp.jsonl"), split=split)
    problems, refused = read_problems(section)
    assert (problems[0].id, len(problems), refused) == (f"mbpp/{first}", count, [])


@needs_data
def test_mbpp_plus_shares_problems_with_the_train_split() -> None:
    plus = load_problems(
        DataSection(task="mbpp_plus", path=str(DATA / "MbppPlus-OriginFmt.jsonl.gz"))
    )
    train = load_problems(DataSection(task="mbpp", path=str(DATA / "mbpp.jsonl")))
    assert len(plus) == 378
    # What the docstring warns of.
    numbers = {problem.id.partition("/")[2] for problem in train}
    assert sum(problem.id.partition("/")[2] in numbers for problem in plus) == 108
