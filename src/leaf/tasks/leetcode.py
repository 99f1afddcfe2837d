"""LeetCode: methods of a class `Solution` (hub id `newfacade/LeetCodeDataset`, or its files).

Record 4 of LeetCodeDataset-v0.3.1-test holds
    task_id:             snake-in-matrix
    problem_description: There is a snake in an n x n matrix grid and can move in four ...
    starter_code:        class Solution:
                             def finalPositionOfSnake(self, n: int, commands: List[str]) -> int:
    estimated_date:      2024-08-11
    prompt:              imports, ListNode, TreeNode and what builds and compares them
    completion:          class Solution: ...
    entry_point:         Solution().finalPositionOfSnake
    test:                def check(candidate):
                             assert candidate(n = 2,commands = ['RIGHT', 'DOWN']) == 3
and becomes the problem
    id:       leetcode/snake-in-matrix
    before:   what LiveCodeBench asks chat models
    question: the description
    after:    the starter code, which the tests hold a program to, and the form of the answer
    solution: the completion, in a ```python block
    tests:    the entry point; `prompt` goes before the model's program; the program is `test` and
              `check(candidate)`

Two other shapes are read: v0.2.0 (no dates; description and starter code in `query`) and the 180
weekly contests of 20240121-Jul.jsonl (`prompt_sft`, `start_time`; no solutions; its tests call
`my_solution = Solution()`). `since` and `before_date` take a window of the dates.
"""

import re

from leaf.errors import DataError
from leaf.recipe import DataSection
from leaf.records import Problem, Tests
from leaf.tasks.coding import CONTEST, as_answer, contest_end, is_published, program_of, unix
from leaf.tasks.reading import Row, each, optional_text_of, text_of
from leaf.tasks.task import rows_of, task

IMPORTS = """\
import collections
import datetime
import functools
import math
import random
import string
from bisect import *
from collections import *
from functools import *
from heapq import *
from itertools import *
from math import *
from operator import *
from string import *
from typing import *

inf = float("inf")
"""
"""What LeetCode gives every program, for records that do not say it themselves."""

_STARTER = re.compile(r"\n*Please complete [^\n]*\n```python\n(?P<code>.*?)\n?```\s*\Z", re.DOTALL)
"""The end of a query that asks to complete a class."""

_METHOD = re.compile(r"\bmy_solution\.(\w+)\(")


@task("leetcode")
def leetcode(section: DataSection) -> list[Problem | DataError]:
    """Read LeetCodeDataset from the hub, or from `section.path`, in the order of the file."""
    rows = rows_of(section, "newfacade/LeetCodeDataset")
    return each(rows, lambda row: _problem(row, section))


def _problem(row: Row, section: DataSection) -> Problem | None:
    date = row.values.get("estimated_date") or row.values.get("start_time")
    if not is_published(section, date, row.place):
        return None
    question, starter = _asked(row)
    contest = "prompt_sft" in row.values
    return Problem(
        id=f"leetcode/{text_of(row, 'task_id')}",
        question=question,
        answer="",
        solution="" if contest else as_answer(optional_text_of(row, "completion")),
        before=CONTEST,
        after=contest_end(starter),
        grader="code",
        tests=_contest_tests(row) if contest else _tests(row),
    )


def _asked(row: Row) -> tuple[str, str]:
    """Return the description and the starter code."""
    if "problem_description" in row.values:
        return (
            unix(text_of(row, "problem_description")).strip(),
            unix(text_of(row, "starter_code")),
        )
    column = "prompt_sft" if "prompt_sft" in row.values else "query"
    query = unix(text_of(row, column))
    starter = _STARTER.search(query)
    if not starter or not query[: starter.start()].strip():
        raise DataError(
            f"{row.place}: column `{column}` must end in a class to complete, in a ```python block"
        )
    return query[: starter.start()].strip(), starter["code"]


def _tests(row: Row) -> Tests:
    known = unix(text_of(row, "prompt")).strip("\n")
    return Tests(
        entry_point=text_of(row, "entry_point"),
        preamble=known,
        program=f"{program_of(row, 'test')}\n\ncheck(candidate)\n",
        helpers=known,
    )


def _contest_tests(row: Row) -> Tests:
    program = program_of(row, "test")
    method = _METHOD.search(program)
    if not method:
        raise DataError(f"{row.place}: column `test` must call a method of `my_solution`")
    return Tests(
        entry_point=f"Solution().{method[1]}",
        preamble=IMPORTS,
        program=f"{program}\n",
        helpers=IMPORTS,
    )
