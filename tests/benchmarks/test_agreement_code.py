"""The agreement benchmark grades each answer twice and lists what differs."""

import json
from pathlib import Path

import pytest

from benchmarks.agreement_code import app, program_in
from leaf.errors import DataError
from tests.marks import needs_bwrap

RECORD = {
    "task_id": "HumanEval/0",
    "entry_point": "add",
    "prompt": 'def add(x, y):\n    """Add."""\n',
    "canonical_solution": "    return x + y\n",
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
}
STDIN = {
    "question_id": "1",
    "question_content": "Double it.",
    "starter_code": "",
    "metadata": "{}",
    "public_test_cases": json.dumps([{"input": "2\n", "output": "4\n", "testtype": "stdin"}]),
}
METHOD = {
    "question_id": "2",
    "question_content": "Double it.",
    "starter_code": "class Solution:\n    def double(self, x: int) -> List[int]:\n",
    "metadata": json.dumps({"func_name": "double"}),
    "public_test_cases": json.dumps([{"input": "2", "output": "[2, 2]", "testtype": "functional"}]),
}
RIGHT = "```python\ndef add(x, y):\n    return x + y\n```"
WRONG = "```python\ndef add(x, y):\n    return x\n```"


def write(path: Path, lines: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def run(
    folder: Path, task: str, records: list[dict[str, str]], said: list[tuple[str, str]]
) -> None:
    data = write(folder / "data.jsonl", records)
    answers = write(
        folder / "answers.jsonl", [{"problem_id": key, "text": text} for key, text in said]
    )
    words = ["--task", task, "--path", str(data), "--answers", str(answers), "--json"]
    app(words, result_action="return_value")


@needs_bwrap
def test_both_judges_agree_on_plain_answers_and_a_difference_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [RIGHT, WRONG, "I do not know.", f"{WRONG}\nNo:\n{RIGHT}"]
    run(tmp_path, "humaneval", [RECORD], [("HumanEval/0", text) for text in texts])
    *lines, last = capsys.readouterr().out.splitlines()
    found = json.loads(last)
    assert found["name"] == "agreement_code"
    # The other judge takes the first block, ours the last one that defines the function.
    assert found["figures"] == {
        "n": 4,
        "ours": 0.5,
        "theirs": 0.25,
        "differences": 1,
        "ungradable": 1,
    }
    assert lines[0].startswith("HumanEval/0: ours right (no reason), theirs failed: Assertion")


@needs_bwrap
def test_standard_input_and_methods_are_judged_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    method = "```python\nclass Solution:\n    def double(self, x: int) -> List[int]:\n"
    method += "        return {}\n```"
    said = [
        ("livecodebench_public/1", "```python\nprint(2 * int(input()))\n```"),
        ("livecodebench_public/1", "```python\nprint(input())\n```"),
        ("livecodebench_public/2", method.format("(x, x)")),
        ("livecodebench_public/2", method.format("2 * x")),
    ]
    run(tmp_path, "livecodebench", [STDIN, METHOD], said)
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert (figures["ours"], figures["theirs"], figures["differences"]) == (0.5, 0.5, 0)


def test_an_answer_to_an_unknown_problem_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="problem `HumanEval/9` is not in"):
        run(tmp_path, "humaneval", [RECORD], [("HumanEval/9", RIGHT)])


def test_the_other_judge_takes_the_first_block_that_defines_the_function() -> None:
    assert program_in(f"```\nx = 1\n```\n{WRONG}\n{RIGHT}", "add") == "def add(x, y):\n    return x"
    assert program_in("```python\ndef add(x, y):\n    return x", "add").endswith("return x")
    assert program_in("return 1", "add") == "return 1"
