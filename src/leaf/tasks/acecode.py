"""AceCode-87K: questions with tests that a model wrote (hub id `TIGER-Lab/AceCode-87K`).

A record holds
    id:         oss_13
    question:   Write a function called `double(x)` that returns twice a number. ...
    test_cases: assert double(2) == 4, and about fifteen more
    inferences: answers of several models, each with its pass_rate: 0.75, 1.0, ...
and becomes the problem
    id:        acecode/oss_13
    question:  as above
    after:     a request for one ```python block
    solution:  the first answer whose pass rate is 1; "" where none passed every test
    protected: `double`, wherever the question says it
    tests:     entry point `double`; the program is `test_cases`
    source:    oss      (the id without its number)

The tests were written and filtered by models, so a few are wrong.
"""

from typing import Any

from leaf.errors import DataError
from leaf.records import Problem, Tests
from leaf.tasks.coding import as_answer, assertions_of, called_by, names_in, unix
from leaf.tasks.reading import Row, text_of
from leaf.tasks.task import record_task

AFTER = "\n\nPlease provide a self-contained Python script in one ```python code block."
"""What follows each question where the recipe does not say otherwise."""


@record_task("acecode", "TIGER-Lab/AceCode-87K")
def acecode(row: Row) -> Problem:
    """Make a problem of a record."""
    question = unix(text_of(row, "question")).strip()
    assertions = assertions_of(row, "test_cases")
    entry_point = called_by(assertions, "", row.place)
    id = text_of(row, "id")
    return Problem(
        id=f"acecode/{id}",
        question=question,
        answer="",
        solution=_passed(row),
        after=AFTER,
        grader="code",
        protected=names_in(question, entry_point),
        tests=Tests(entry_point=entry_point, program="\n".join(assertions) + "\n"),
        source=id.rpartition("_")[0],
    )


def _passed(row: Row) -> str:
    """Return the first answer that passed every test, as a chat model would say it."""
    inferences: Any = row.values.get("inferences") or []
    try:
        # A JSON file gives decimals as they are written: a text.
        passed = [
            unix(one["completion"]).strip() for one in inferences if float(one["pass_rate"]) >= 1
        ]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DataError(
            f"{row.place}: column `inferences` must hold a list with `completion` and `pass_rate`"
        ) from None
    answer = passed[0] if passed else ""
    return answer if "```" in answer else as_answer(answer)
