'''HumanEval and HumanEval+: functions to complete from their signature and docstring.

Hub ids `openai/openai_humaneval` and `evalplus/humanevalplus`, or their JSONL files
(HumanEval.jsonl.gz, HumanEvalPlus-OriginFmt.jsonl.gz). Record 54 of HumanEval holds
    task_id:            HumanEval/53
    entry_point:        add
    prompt:             def add(x: int, y: int):
                            """Add two numbers x and y
                            >>> add(2, 3)
                            5
                            """
    canonical_solution: return x + y     (indented)
    test:               def check(candidate):
                            ...
                            assert candidate(0, 1) == 1
and becomes the problem
    id:        HumanEval/53              (HumanEvalPlus/53 in the other)
    before:    what EvalPlus asks chat models, up to "in a markdown code block:" and its fence
    question:  the prompt
    solution:  the prompt and the canonical solution, in a ```python block
    protected: all but the text of the last docstring, and `add` wherever that says it
    tests:     entry point `add`; the program is `test` and `check(candidate)`

A program is judged after what the prompt holds before the last `def`: imports and helper functions.
EvalPlus's other format (base_input, plus_input) has no expected results: it is refused. One line of
HumanEvalPlus/32 fails for every program, the reference too; it is mended (`_MENDED`).
'''

import ast

from leaf.errors import DataError
from leaf.records import Problem, Protected, Tests
from leaf.tasks.coding import (
    REQUEST,
    REQUEST_END,
    as_answer,
    names_in,
    parsed,
    program_of,
    unix,
)
from leaf.tasks.reading import Row, text_of
from leaf.tasks.task import record_task

_MENDED = {
    "assert _poly(*candidate(*inp), inp) <= 0.0001": (
        "assert abs(_poly(*inp, candidate(*inp))) <= 0.0001"
    )
}
"""Lines of the tests that cannot be meant: a root is a number, and has no items to pass on. What
stands for it is EvalPlus's own rule for that problem."""


@record_task("humaneval", "openai/openai_humaneval", split="test")
def humaneval(row: Row) -> Problem:
    """Make a problem of a record of HumanEval."""
    return _problem(row, "HumanEval")


@record_task("humaneval_plus", "evalplus/humanevalplus", split="test")
def humaneval_plus(row: Row) -> Problem:
    """Make a problem of a record of HumanEval+."""
    return _problem(row, "HumanEvalPlus")


def refuse_inputs_alone(row: Row) -> None:
    """Refuse EvalPlus's own format, whose expected results only its own code can make.

    Raises:
        DataError: the record is of that format.
    """
    if "plus_input" in row.values:
        raise DataError(
            f"{row.place}: holds inputs without expected results (EvalPlus's own format); "
            "take the file whose name ends in -OriginFmt, or the hub data set"
        )


def _problem(row: Row, family: str) -> Problem:
    refuse_inputs_alone(row)
    entry_point = text_of(row, "entry_point")
    prompt = unix(text_of(row, "prompt"))
    question = prompt.strip()
    start, end, definition = _docstring(question, entry_point, row.place)
    known = _before_definition(question, definition)
    program = program_of(row, "test")
    for broken, mended in _MENDED.items():
        program = program.replace(broken, mended)
    return Problem(
        id=f"{family}/{text_of(row, 'task_id').rpartition('/')[2]}",
        question=question,
        answer="",
        solution=as_answer(f"{prompt}{unix(text_of(row, 'canonical_solution'))}"),
        before=REQUEST,
        after=REQUEST_END,
        grader="code",
        protected=(
            Protected(what="signature", start=0, end=start),
            Protected(what="signature", start=end, end=len(question)),
            *(place for place in names_in(question, entry_point, start) if place.end <= end),
        ),
        tests=Tests(
            entry_point=entry_point,
            preamble=known,
            program=f"{program}\n\ncheck(candidate)\n",
            # HumanEval/32 judges with `poly`, which its prompt defines.
            helpers=known,
        ),
    )


def _docstring(question: str, entry_point: str, place: str) -> tuple[int, int, ast.FunctionDef]:
    """Return where the text of the entry point's docstring starts and ends, and its function."""
    for node in parsed(question, f"{place}: column `prompt`").body:
        if isinstance(node, ast.FunctionDef) and node.name == entry_point:
            for line in node.body:
                if isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant):
                    start = _character(question, line.lineno, line.col_offset)
                    end = _character(question, line.end_lineno or 0, line.end_col_offset or 0)
                    quotes = 3 if question[start : start + 3] in {'"""', "'''"} else 1
                    return start + quotes, end - quotes, node
    raise DataError(f"{place}: column `prompt` must hold `{entry_point}` with a docstring")


def _before_definition(question: str, node: ast.FunctionDef) -> str:
    """Return what a prompt holds before its last function: imports and helpers."""
    return "".join(question.splitlines(keepends=True)[: node.lineno - 1]).strip()


def _character(text: str, line: int, column: int) -> int:
    """Return the character of a place that `ast` gives: lines from 1, columns in UTF-8 bytes."""
    lines = text.split("\n")
    before = sum(len(one) + 1 for one in lines[: line - 1])
    return before + len(lines[line - 1].encode()[:column].decode())
