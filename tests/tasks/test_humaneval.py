"""HumanEval and HumanEval+ records become problems whose signature is never cut."""

import json
from pathlib import Path
from typing import Any

import pytest

from leaf.errors import DataError
from leaf.recipe import DataSection
from leaf.records import Problem
from leaf.tasks import load_problems, read_problems
from tests import marks

DATA = marks.DATA / "humaneval"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/humaneval is not there")

PROMPT = '''from typing import List


def double(x: int) -> int:
    return 2 * x


def évier(xs: List[int]) -> List[int]:
    """ Ünlike double, évier takes a list.
    >>> évier([1])
    [2]
    """
'''
RECORD = {
    "task_id": "HumanEval/7",
    "entry_point": "évier",
    "prompt": PROMPT,
    "canonical_solution": "    return [double(x) for x in xs]\n",
    "test": "\n\nMETADATA = {}\n\n\ndef check(candidate):\n    assert candidate([1]) == [2]\n",
}


def load(folder: Path, task: str = "humaneval", **changes: Any) -> Problem:
    path = folder / "own.jsonl"
    path.write_text(json.dumps({**RECORD, **changes}) + "\n")
    (problem,) = load_problems(DataSection(task=task, path=str(path)))
    return problem


def test_a_record_becomes_a_problem_as_evalplus_asks_it(tmp_path: Path) -> None:
    problem = load(tmp_path)
    assert problem.id == "HumanEval/7"
    assert problem.content == (
        "Please provide a self-contained Python script that solves the following problem in a "
        f"markdown code block:\n```\n{PROMPT.strip()}\n```\n"
    )
    assert problem.question == PROMPT.strip()
    assert problem.solution == (f"```python\n{PROMPT}    return [double(x) for x in xs]\n```")
    assert problem.grader == "code"


def test_what_stands_before_the_last_function_is_there_when_it_is_judged(tmp_path: Path) -> None:
    tests = load(tmp_path).tests
    assert tests is not None
    known = "from typing import List\n\n\ndef double(x: int) -> int:\n    return 2 * x"
    assert (tests.entry_point, tests.preamble, tests.helpers) == ("évier", known, known)
    assert tests.program.endswith("assert candidate([1]) == [2]\n\ncheck(candidate)\n")


def test_all_but_the_docstring_is_protected_and_the_name_in_it(tmp_path: Path) -> None:
    problem = load(tmp_path)
    pieces = [
        (place.what, problem.question[place.start : place.end]) for place in problem.protected
    ]
    assert pieces == [
        ("signature", PROMPT.partition(" Ünlike")[0]),
        ("signature", '"""'),
        ("entry point", "évier"),
        ("entry point", "évier"),
    ]


def test_each_data_set_has_ids_of_its_own(tmp_path: Path) -> None:
    assert load(tmp_path, "humaneval_plus").id == "HumanEvalPlus/7"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"test": ""}, "column `test` is empty: a program needs tests"),
        ({"test": None}, "column `test` is empty: a program needs tests"),
        ({"entry_point": "other"}, "must hold `other` with a docstring"),
        ({"prompt": "def évier(:"}, "column `prompt` is not Python"),
        ({"plus_input": [[[1]]]}, "inputs without expected results (EvalPlus's own format)"),
    ],
)
def test_a_record_that_cannot_be_judged_is_refused_by_place(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path, **changes)
    assert str(caught.value).startswith(f"{tmp_path}/own.jsonl:1: ")
    assert reason in str(caught.value)


def test_a_bad_record_does_not_spoil_its_file(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(f"{json.dumps({**RECORD, 'test': ''})}\n{json.dumps(RECORD)}\n")
    problems, refused = read_problems(DataSection(task="humaneval", path=str(path)))
    assert ([problem.id for problem in problems], len(refused)) == (["HumanEval/7"], 1)


def test_a_line_that_fails_for_every_program_is_mended(tmp_path: Path) -> None:
    broken = "def check(candidate):\n    assert _poly(*candidate(*inp), inp) <= 0.0001\n"
    tests = load(tmp_path, "humaneval_plus", test=broken).tests
    assert tests is not None
    assert "assert abs(_poly(*inp, candidate(*inp))) <= 0.0001" in tests.program
    assert "*candidate" not in tests.program


@needs_data
@pytest.mark.parametrize(
    ("task", "file"),
    [
        ("humaneval", "HumanEval.jsonl.gz"),
        ("humaneval_plus", "HumanEvalPlus-OriginFmt.jsonl.gz"),
    ],
)
def test_every_real_record_loads(task: str, file: str) -> None:
    problems = load_problems(DataSection(task=task, path=str(DATA / file)))
    assert len(problems) == 164
    for problem in problems:
        assert problem.tests is not None
        signature, end = problem.protected[:2]
        assert f"def {problem.tests.entry_point}(" in problem.question[: signature.end]
        assert problem.question[: signature.end].endswith(('"""', "'''"))
        assert problem.question[end.start : end.end][:3] in {'"""', "'''"}
        assert problem.content.count("```") == 2
