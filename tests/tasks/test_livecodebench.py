"""LiveCodeBench records become problems; private tests are read and never unpickled."""

import base64
import json
import os
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest

from leaf.errors import DataError
from leaf.recipe import DataSection
from leaf.records import Case, Problem
from leaf.tasks import load_problems, read_problems
from tests import marks

DATA = marks.DATA / "livecodebench"
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="../shared/data/livecodebench is not there"
)

PUBLIC = [{"input": "[1, 2]\n3", "output": "6", "testtype": "functional"}]
PRIVATE = [{"input": "[]\n0", "output": "0", "testtype": "functional"}]
RECORD = {
    "question_id": "2727",
    "question_content": "Add all.\n",
    "contest_date": "2023-05-13T00:00:00",
    "starter_code": "class Solution:\n    def total(self, xs: List[int], x: int) -> int:\n        ",
    "public_test_cases": json.dumps(PUBLIC),
    "metadata": '{"func_name": "total"}',
}
STDIN = {
    **RECORD,
    "starter_code": "",
    "metadata": "{}",
    "public_test_cases": json.dumps([{"input": "2\n", "output": "4\n", "testtype": "stdin"}]),
}


def load(folder: Path, record: dict[str, Any], **section: Any) -> Problem:
    path = folder / "own.jsonl"
    path.write_text(json.dumps(record) + "\n")
    (problem,) = load_problems(DataSection(task="livecodebench", path=str(path), **section))
    return problem


def packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


def test_a_method_becomes_a_problem_with_a_case_a_test(tmp_path: Path) -> None:
    problem = load(tmp_path, RECORD)
    assert problem.question == "Add all."
    assert "def total(self, xs: List[int], x: int) -> int:\n```" in problem.after
    tests = problem.tests
    assert tests is not None
    assert tests.entry_point == "Solution().total"
    assert tests.cases == (Case(given="[1, 2]\n3", expected="6"),)
    assert "from typing import *" in tests.preamble


def test_a_whole_program_reads_standard_input(tmp_path: Path) -> None:
    problem = load(tmp_path, STDIN)
    assert "Read the inputs from stdin" in problem.after
    assert problem.tests is not None
    assert problem.tests.entry_point == ""
    assert problem.tests.cases == (Case(given="2\n", expected="4\n"),)


def test_public_tests_alone_are_said_in_the_id(tmp_path: Path) -> None:
    assert load(tmp_path, RECORD).id == "livecodebench_public/2727"
    assert load(tmp_path, {**RECORD, "private_test_cases": "[]"}).id.startswith(
        "livecodebench_public/"
    )


@pytest.mark.parametrize("protocol", [None, *range(pickle.HIGHEST_PROTOCOL + 1)])
def test_private_tests_join_the_public_ones(tmp_path: Path, protocol: int | None) -> None:
    text = json.dumps(PRIVATE)
    if protocol is not None:
        text = packed(pickle.dumps(text, protocol))
    problem = load(tmp_path, {**RECORD, "private_test_cases": text})
    assert problem.id == "livecodebench/2727"
    assert problem.tests is not None
    assert [case.expected for case in problem.tests.cases] == ["6", "0"]


class Attack:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_would_run_something_is_refused_and_not_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    attack = pickle.dumps(Attack(made))
    with pytest.raises(DataError, match="a pickle that does more than hold a text"):
        load(tmp_path, {**RECORD, "private_test_cases": packed(attack)})
    assert not made.exists()
    pickle.loads(attack)  # noqa: S301 - the attack is real
    assert made.is_dir()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"public_test_cases": "[]"}, "column `public_test_cases` is empty: a program needs tests"),
        ({"public_test_cases": "{"}, "column `public_test_cases` is not JSON"),
        ({"public_test_cases": '[{"input": "1"}]'}, "tests with `input` and `output`"),
        ({"public_test_cases": "3"}, "tests with `input` and `output`"),
        ({"metadata": "{}"}, "must name the method as `func_name`"),
        ({"metadata": '{"func_name": "a b"}'}, "must name the method as `func_name`"),
        ({"private_test_cases": "?"}, "neither JSON nor base64 of zlib"),
        ({"private_test_cases": packed(b"no pickle")}, "column `private_test_cases` is"),
        ({"private_test_cases": packed(b"")}, "is not a pickle"),
        ({"private_test_cases": packed(pickle.dumps(["a"]))}, "more than hold a text"),
        ({"private_test_cases": packed(pickle.dumps("a"))}, "is not JSON"),
        ({"private_test_cases": packed(pickle.dumps("[]"))[:-8]}, "column `private_test_cases` is"),
    ],
)
def test_a_record_that_cannot_be_judged_is_refused_by_place(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path, {**RECORD, **changes})
    assert str(caught.value).startswith(f"{tmp_path}/own.jsonl:1: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_release_names_the_nearest() -> None:
    with pytest.raises(DataError, match="no release `release_4`; did you mean `release_v4`"):
        load_problems(DataSection(task="livecodebench", name="release_4"))


@needs_data
def test_a_window_of_the_real_file_is_taken_by_contest_date() -> None:
    path = str(DATA / "lcb_v1_400_public_tests.jsonl")
    everything, refused = read_problems(DataSection(task="livecodebench", path=path))
    assert (len(everything), refused) == (400, [])
    assert sum(not p.tests.entry_point for p in everything if p.tests) == 219
    window = load_problems(
        DataSection(task="livecodebench", path=path, since="2024-01-01", before_date="2024-03-01")
    )
    lines = (DATA / "lcb_v1_400_public_tests.jsonl").read_text().splitlines()
    dates = {r["question_id"]: r["contest_date"] for r in map(json.loads, lines)}
    kept = {problem.id.partition("/")[2] for problem in window}
    assert kept == {key for key, date in dates.items() if date[:7] in {"2024-01", "2024-02"}}
