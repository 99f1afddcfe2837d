"""MBPP and MBPP+: short functions, described in a sentence.

Hub ids `google-research-datasets/mbpp` (configuration `full`) and `evalplus/mbppplus`, or their
files (mbpp.jsonl, MbppPlus-OriginFmt.jsonl.gz). Record 2 of mbpp.jsonl holds
    task_id:   2
    text:      Write a function to find the shared elements from the given two lists.
    code:      def similar_elements(test_tup1, test_tup2): ...
    test_list: assert similar_elements((3, 4, 5, 6),(5, 7, 4, 10)) == (4, 5), and two more
and becomes the problem
    id:       mbpp/2                    (mbpp_plus/2 in the other)
    before:   what EvalPlus asks chat models, up to its fence and three quotes
    question: the text
    after:    the first test, which says how the function is called, and the end of the fence
    solution: the code, in a ```python block
    tests:    entry point `similar_elements`; the program is `test_setup_code` and `test_list`,
              in MBPP+ its column `test`: over a hundred inputs, their results and the tolerance

A file of MBPP holds all its splits; `split` (null: train) takes 1-10 prompt, 11-510 test, 511-600
validation, 601-974 train. MBPP+ takes its problems from all of them (108 of its 378 from train), so
a study trains on MBPP or measures MBPP+, and not both. Four tests of MBPP+ are mended (`_MENDED`).
"""

from leaf.errors import DataError, nearest
from leaf.recipe import DataSection
from leaf.records import Problem, Tests
from leaf.tasks.coding import (
    REQUEST,
    REQUEST_END,
    as_answer,
    assertions_of,
    called_by,
    lines_of,
    program_of,
    unix,
)
from leaf.tasks.humaneval import refuse_inputs_alone
from leaf.tasks.reading import Row, each, optional_text_of, text_of
from leaf.tasks.task import record_task, rows_of, task

_SPLITS = {
    "prompt": range(1, 11),
    "test": range(11, 511),
    "validation": range(511, 601),
    "train": range(601, 975),
}

_MENDED = {
    # 737, 787, 794: the comparison is made and never asserted, so that every program passes.
    "        exact_match = exp == (out is not None)\n\n\n": (
        "        exact_match = exp == (out is not None)\n    assert exact_match\n\n\n"
    ),
    # 255: right results of up to 1,663,740 tuples of 77 names, 2 GB; of any input it is computed.
    "'Bird', 'Fish'], 77]": "'Bird', 'Fish'], 7]",
    "'Bird', 'Fish'], 76]": "'Bird', 'Fish'], 6]",
    "[[2, True, 7, -44], 76]": "[[2, True, 7, -44], 6]",
    "7.2887651994648195, 56.50649563542532], 77]": "7.2887651994648195, 56.50649563542532], 7]",
}
"""Parts of MBPP+'s tests that cannot be meant."""


@task("mbpp")
def mbpp(section: DataSection) -> list[Problem | DataError]:
    """Read a split of MBPP from the hub, or from `section.path`, in the order of the file."""
    split = section.split or "train"
    if split not in _SPLITS:
        raise DataError(
            f"mbpp: no split `{split}`{nearest(split, _SPLITS) or ';'} "
            f"there are: {', '.join(_SPLITS)}"
        )
    rows = rows_of(section, "google-research-datasets/mbpp", config="full")
    return each(rows, lambda row: _mbpp(row, split))


def _mbpp(row: Row, split: str) -> Problem | None:
    number = text_of(row, "task_id")
    if not number.isdecimal():
        raise DataError(f"{row.place}: column `task_id` must be a number, but is {number!r:.60}")
    if int(number) not in _SPLITS[split]:
        return None
    assertions = assertions_of(row, "test_list")
    setup = unix(optional_text_of(row, "test_setup_code"))
    return _problem(
        row,
        id=f"mbpp/{number}",
        question=text_of(row, "text"),
        assertions=assertions,
        # The setup makes values of classes that the model's program defines.
        program="\n".join((setup, *assertions)).strip(),
    )


@record_task("mbpp_plus", "evalplus/mbppplus", split="test")
def mbpp_plus(row: Row) -> Problem:
    """Make a problem of a record of MBPP+."""
    refuse_inputs_alone(row)
    imports = lines_of(row, "test_imports")
    program = program_of(row, "test")
    for broken, mended in _MENDED.items():
        program = program.replace(broken, mended)
    return _problem(
        row,
        id=f"mbpp_plus/{text_of(row, 'task_id')}",
        question=text_of(row, "prompt"),
        assertions=assertions_of(row, "test_list"),
        program="\n".join((*imports, program)),
    )


def _problem(row: Row, *, id: str, question: str, assertions: list[str], program: str) -> Problem:
    code = unix(text_of(row, "code"))
    return Problem(
        id=id,
        question=unix(question).strip(),
        answer="",
        solution=as_answer(code),
        before=f'{REQUEST}"""\n',
        after=f'\n{assertions[0]}\n"""{REQUEST_END}',
        grader="code",
        tests=Tests(entry_point=called_by(assertions, code, row.place), program=f"{program}\n"),
    )
