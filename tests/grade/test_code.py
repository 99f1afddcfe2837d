"""The program of an answer is found in chat style, bare or as a completion, in linear time."""

import time
from dataclasses import replace

import pytest

from leaf import records
from leaf.grade.code import Code, code_blocks, find_program
from leaf.grade.judgement import NOT_FINISHED, Judgement, Program
from leaf.records import Answer, Outcome, Problem

PROGRAM = "def add(x, y):\n    return x + y"
SIGNATURE = 'def add(x, y):\n    """Add."""'
PROBLEM = Problem(
    id="p",
    question=SIGNATURE,
    answer="",
    solution="",
    grader="code",
    tests=records.Tests(entry_point="add", program="assert add(1, 2) == 3\n"),
)


def said(text: str, *, truncated: bool = False) -> Answer:
    return Answer(
        problem_id="p", text=text, prompt_tokens=1, response_tokens=1, truncated=truncated
    )


def found(text: str, *, name: str = "add", truncated: bool = False) -> str | None:
    return find_program(text, name=name, signature=SIGNATURE, truncated=truncated)


def block(code: str, language: str = "python") -> str:
    return f"```{language}\n{code}\n```"


def test_a_program_is_what_stands_in_the_block() -> None:
    assert found(f"Sure! Here it is:\n\n{block(PROGRAM)}\n\nIt adds.") == PROGRAM


def test_the_last_block_that_defines_the_entry_point_counts() -> None:
    better = PROGRAM.replace("x + y", "y + x")
    example = block("print(add(1, 2))\nprint(add(3, 4))\nprint(add(5, 6))\nprint(add(7, 8))")
    assert found(f"{block(PROGRAM)}\nSimpler:\n{block(better)}\nUse:\n{example}") == better


def test_a_class_or_a_lambda_may_be_the_entry_point() -> None:
    method = "class Solution:\n    def add(self):\n        return 1"
    assert found(f"{block(method)}\n{block('x = 1')}", name="Solution") == method
    assert found(f"{block('add = lambda x, y: x + y')}\n{block('x = 1')}").startswith("add = ")  # type: ignore[union-attr]


def test_a_name_that_only_begins_alike_is_not_the_entry_point() -> None:
    other = "def add_all(*numbers):\n    return sum(numbers)"
    assert found(f"{block(PROGRAM)}\n{block(other)}") == PROGRAM


def test_without_the_entry_point_the_longest_python_block_counts() -> None:
    shell = block("pip install something-very-long-and-of-no-use-here", "bash")
    assert found(f"{block('x = 1')}\n{shell}\n{block('x = 1 + 1')}") == "x = 1 + 1"


def test_of_a_whole_program_the_last_python_block_counts() -> None:
    text = f"{block('print(input())')}\n{block('n = 1')}\nRun it:\n{block('python a.py', 'sh')}"
    assert found(text, name="") == "n = 1"


@pytest.mark.parametrize("example", ["3 4\n7", "print(3)", "Input: 3"])
def test_of_a_whole_program_a_block_that_says_python_counts_before_one_that_says_nothing(
    example: str,
) -> None:
    program = "print(sum(map(int, input().split())))"
    assert found(f"{block(program)}\nExample:\n{block(example, '')}", name="") == program
    assert found(f"{block(example, '')}\n```\npy\n{program}\n```", name="") == program


@pytest.mark.parametrize("language", ["", "py", "Python", "python3", "python title=a.py", "java"])
def test_any_language_of_a_block_that_defines_the_entry_point_is_taken(language: str) -> None:
    assert found(block(PROGRAM, language)) == PROGRAM


@pytest.mark.parametrize("name", ["python", "Python", "py", "python3 "])
def test_a_language_below_the_fence_is_no_part_of_the_program(name: str) -> None:
    (block,) = code_blocks(f"```\n{name}\ndef f():\n    return python\n```")
    assert block.code == "def f():\n    return python"


def test_a_language_after_the_fence_leaves_the_first_line_alone() -> None:
    (block,) = code_blocks("```python\npython\n```")
    assert block.code == "python"


def test_a_block_in_a_list_loses_the_indentation_of_its_fence() -> None:
    text = "1. So:\n   ```python\n   def add(x, y):\n       return x + y\n   ```\n"
    assert found(text) == PROGRAM


def test_tildes_and_longer_fences_are_fences_and_shorter_ones_inside_are_not() -> None:
    assert found(f"~~~python\n{PROGRAM}\n~~~") == PROGRAM
    with_marks = 'def add(x, y):\n    """\n```\n    """\n    return x + y'
    assert found(f"````python\n{with_marks}\n````") == with_marks


def test_a_block_that_was_never_closed_is_taken_whole() -> None:
    assert found(f"```python\n{PROGRAM}") == PROGRAM


def test_a_block_whose_end_was_forgotten_ends_where_the_next_one_begins() -> None:
    assert found(f"```python\n{PROGRAM}\n```python\nprint(add(1, 2))\n```") == PROGRAM


def test_windows_line_ends_do_not_hide_a_fence() -> None:
    assert found(block(PROGRAM).replace("\n", "\r\n")) == PROGRAM.replace("\n", "\r\n") + "\r"


def test_a_bare_program_is_taken_without_the_sentences_around_it() -> None:
    text = f"Here is a function:\n\nimport math\n\n{PROGRAM}\n\nThis function adds two numbers."
    assert found(text) == f"import math\n\n{PROGRAM}"


def test_a_bare_program_keeps_its_top_level_lines() -> None:
    code = f"from math import *\nLIMIT = 3\n@cache\n{PROGRAM}\nif LIMIT:\n    pass\nadd(1, 2)"
    assert found(code) == code


def test_an_indented_completion_goes_on_from_the_signature() -> None:
    completion = "    total = x + y\n    return total\n\n\nThis adds both."
    assert found(completion) == f"{SIGNATURE}\n    total = x + y\n    return total\n\n"


def test_an_indented_block_goes_on_from_the_signature_too() -> None:
    assert found(block("    return x + y")) == f"{SIGNATURE}\n    return x + y"


def test_a_truncated_answer_loses_the_statement_that_was_being_written() -> None:
    text = f"```python\n{PROGRAM}\n\n@slow\ndef main():\n    print(ad"
    assert found(text, truncated=True) == f"{PROGRAM}\n"


def test_a_truncated_answer_after_a_closed_block_is_whole() -> None:
    assert found(f"{block(PROGRAM)}\nThe func", truncated=True) == PROGRAM


def test_a_truncated_answer_falls_back_to_an_earlier_program() -> None:
    assert found(f"{block(PROGRAM)}\n```python\ndef add(x, y):", truncated=True) == PROGRAM


@pytest.mark.parametrize(
    "text",
    ["```python\ndef add(x, y):\n    return x", "def add(x, y):\n    ret", "    return x +", "So"],
)
def test_an_entry_point_cut_at_the_token_limit_is_not_gradable(text: str) -> None:
    judgement = Code().judge(PROBLEM, said(text, truncated=True))
    assert isinstance(judgement, Judgement)
    assert (judgement.outcome, judgement.reason) == (Outcome.UNGRADABLE, NOT_FINISHED)


def test_a_whole_program_cut_at_the_token_limit_is_not_gradable() -> None:
    text = f"{block('print(1)')}\nBetter:\n```python\nprint(input())\nprint("
    assert found(text, name="", truncated=True) is None


@pytest.mark.parametrize("text", ["I do not know.", "The answer is 4.", "```python\n```", "\n\n"])
def test_an_answer_without_a_program_is_not_gradable(text: str) -> None:
    judgement = Code().judge(PROBLEM, said(text))
    assert isinstance(judgement, Judgement)
    assert (judgement.outcome, judgement.reason) == (Outcome.UNGRADABLE, "no program found")


def test_a_problem_without_tests_is_not_gradable() -> None:
    judgement = Code().judge(replace(PROBLEM, tests=None), said(block(PROGRAM)))
    assert isinstance(judgement, Judgement)
    assert judgement.reason == "the problem has no tests"


def test_what_is_found_goes_to_the_sandbox_with_the_tests() -> None:
    assert Code().judge(PROBLEM, said(block(PROGRAM))) == Program(
        source=PROGRAM, tests=PROBLEM.tests
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "unit",
    [
        "```",
        "``` ",
        "```a`",
        "```\n",
        "```python\n",
        "~",
        "a",
        " ",
        "\n",
        "\t\n",
        "if:",
        "if :# ",
        "def add\n",
        "def add(x, y):\n    return x\n",
        "a=",
        "a, ",
        "from a ",
        "@a\n",
        "(",
        "é\u2028\x00",
        "\ud800",
    ],
)
@pytest.mark.parametrize("start", ["", "```", "    ", "def add(x):\n", "if ", "```python\n"])
def test_long_answers_take_time_linear_in_their_length(unit: str, start: str) -> None:
    text = (start + unit * (200_000 // len(unit)))[:200_000] + "`!"
    begun = time.process_time()
    for truncated in (False, True):
        found(text, truncated=truncated)
    # About 0.1 s; the square of the length would take minutes.
    assert time.process_time() - begun < 3


def test_a_million_characters_are_no_trouble() -> None:
    long = PROGRAM + "\n# " + "x" * 1_000_000
    assert found(f"{block('x' * 1_000_000)}\n{block(long)}") == long
