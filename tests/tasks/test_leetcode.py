"""LeetCode records of three shapes become problems, within a window of dates."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from leaf.errors import DataError
from leaf.recipe import DataSection
from leaf.records import Problem
from leaf.tasks import load_problems, read_problems
from tests import marks

DATA = marks.DATA / "leetcode"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/leetcode is not there")

STARTER = "class Solution:\n    def double(self, n: int) -> int:\n        "
RECORD = {
    "task_id": "double-it",
    "problem_description": "Return twice n.\n\n",
    "starter_code": STARTER,
    "estimated_date": "2024-08-11",
    "prompt": "from typing import *\n",
    "completion": "class Solution:\n    def double(self, n: int) -> int:\n        return 2 * n\n",
    "entry_point": "Solution().double",
    "test": "def check(candidate):\n    assert candidate(n = 2) == 4\n",
}
OLD = {
    "task_id": "double-it",
    "prompt": "from typing import *\n",
    "completion": RECORD["completion"],
    "entry_point": "Solution().double",
    "test": RECORD["test"],
    "query": "Return twice n.\n\u00a0\nPlease complete the following python code precisely:\n"
    "```python\nclass Solution:\n    def double(self, n: int) -> int:\n```",
}
CONTEST = {
    "task_id": "weekly-contest-1-double-it",
    "prompt_sft": "Return twice n.\n\n\nPlease complete the code below to solve above prblem:\n"
    f"```python\n{STARTER}\n```",
    "test": "\nmy_solution = Solution()\n\ntest_input = {'n': 2}\n"
    "assert my_solution.double(**test_input) == 4\n",
    "start_time": 1705804200,  # 21 January 2024, 02:30 UTC
}
AFTER = (
    "\n\n### Format: You will use the following starter code to write the solution to the problem"
    " and enclose your code within delimiters.\n```python\nclass Solution:\n"
    "    def double(self, n: int) -> int:\n```\n\n"
    "### Answer: (use the provided format with backticks)\n\n"
)


def read(folder: Path, *records: dict[str, Any], **section: Any) -> list[Problem]:
    path = folder / "own.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return load_problems(DataSection(task="leetcode", path=str(path), **section))


@pytest.mark.parametrize("record", [RECORD, OLD])
def test_a_record_becomes_a_problem_as_livecodebench_asks_it(
    tmp_path: Path, record: dict[str, Any]
) -> None:
    (problem,) = read(tmp_path, record)
    assert problem.id == "leetcode/double-it"
    assert problem.question == "Return twice n."
    assert problem.after == AFTER
    assert problem.before.startswith("You are an expert Python programmer.")
    assert problem.before.endswith("### Question:\n")
    assert problem.solution == f"```python\n{RECORD['completion'].strip()}\n```"
    tests = problem.tests
    assert tests is not None
    assert (tests.entry_point, tests.preamble) == ("Solution().double", "from typing import *")
    assert tests.helpers == tests.preamble
    assert tests.program == RECORD["test"] + "\n\ncheck(candidate)\n".removeprefix("\n")


def test_a_weekly_contest_is_judged_by_its_own_calls(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, CONTEST)
    assert (problem.question, problem.after, problem.solution) == ("Return twice n.", AFTER, "")
    tests = problem.tests
    assert tests is not None
    assert tests.entry_point == "Solution().double"
    assert "from typing import *" in tests.preamble
    assert tests.program.endswith("assert my_solution.double(**test_input) == 4\n")


@pytest.mark.parametrize(
    ("since", "before", "count"),
    [
        (None, None, 2),
        ("2024-08-11", None, 1),
        ("2024-08-12", None, 0),
        (None, "2024-08-11", 1),
        ("2024-01-21", "2024-08-12", 2),
        ("2024-01-22", "2024-08-11", 0),
    ],
)
def test_a_window_holds_its_first_day_and_not_its_last(
    tmp_path: Path, since: str | None, before: str | None, count: int
) -> None:
    section: dict[str, Any] = {"since": since, "before_date": before}
    if count == 0:
        with pytest.raises(DataError, match="no record is left of those asked for"):
            read(tmp_path, RECORD, CONTEST, **section)
    else:
        assert len(read(tmp_path, RECORD, CONTEST, **section)) == count


@pytest.mark.parametrize(
    ("record", "section", "reason"),
    [
        ({**RECORD, "test": ""}, {}, "column `test` is empty: a program needs tests"),
        ({**RECORD, "problem_description": " "}, {}, "`problem_description` is empty"),
        ({**OLD, "query": "Return twice n."}, {}, "`query` must end in a class to complete"),
        ({**CONTEST, "test": "assert 1"}, {}, "must call a method of `my_solution`"),
        (OLD, {"since": "2024-01-01"}, "has no readable date (None)"),
        ({**RECORD, "estimated_date": "soon"}, {"since": "2024-01-01"}, "readable date ('soon')"),
        (RECORD, {"since": "yesterday"}, "data.since must be a day such as 2024-08-01"),
        (RECORD, {"before_date": "2024"}, "data.before_date must be a day"),
    ],
)
def test_what_cannot_be_judged_or_dated_is_refused(
    tmp_path: Path, record: dict[str, Any], section: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, record, **section)
    assert reason in str(caught.value)


@needs_data
@pytest.mark.parametrize(
    ("file", "count", "solved"),
    [
        ("LeetCodeDataset-v0.3.1-test.jsonl.gz", 228, 228),
        ("LeetCodeDataset-v0.2.0-train.jsonl.gz", 1890, 1890),
        ("20240121-Jul.jsonl", 180, 0),
    ],
)
def test_every_real_record_loads(file: str, count: int, solved: int) -> None:
    section = DataSection(task="leetcode", path=str(DATA / file))
    problems, refused = read_problems(section)
    assert (len(problems), refused) == (count, [])
    assert sum(bool(problem.solution) for problem in problems) == solved
    for problem in problems:
        assert problem.tests is not None
        method = problem.tests.entry_point.removeprefix("Solution().")
        assert re.search(rf"def {method} ?\(", problem.after)
        assert "```" not in problem.question
