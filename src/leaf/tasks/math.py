r"""MATH: competition problems (hub id `DigitalLearningGmbH/MATH-lighteval`, or its records).

Line 1 of math/train.jsonl holds
    problem:  Let \[f(x) = \left\{ ... \right.\] Find $a+b$ if the piecewise function ...
    solution: For the piecewise function to be continuous, ... So $a+b=-3+3=\boxed{0}$.
    answer:   0        (not on the hub; else what the last box of the solution holds)
    level, type, dup_of_math_test: Level 5, Algebra, false
and becomes the problem
    id:       math-train-1
    question: the problem
    answer:   0
    solution: as above
    after:    the same request as GSM8K's

A record that says `dup_of_math_test` is in the test set too and no part of the task. The hub's
`EleutherAI/hendrycks_math` has the same columns, one configuration (`name`) a subject. MATH-500
(`math500`; hub id `HuggingFaceH4/MATH-500`, split `test`) has them too, with `subject` for `type`.
"""

from leaf.errors import DataError
from leaf.records import Problem
from leaf.tasks.gsm8k import AFTER
from leaf.tasks.reading import Row, optional_text_of, text_of
from leaf.tasks.task import record_task
from leaf.text.latex import boxes


@record_task("math", "DigitalLearningGmbH/MATH-lighteval")
def math(row: Row) -> Problem | None:
    """Make a problem of a record of the train set."""
    return _problem(row, "math")


@record_task("math500", "HuggingFaceH4/MATH-500", split="test")
def math500(row: Row) -> Problem | None:
    """Make a problem of a record of the 500."""
    return _problem(row, "math500")


def boxed_problem(row: Row, *, id: str, answer: str = "") -> Problem:
    r"""Make a problem of a record whose `solution` ends in a box.

    Args:
        row: With the columns `problem` and `solution`.
        id: Of the problem.
        answer: The gold answer; "" for what the last box holds.

    Raises:
        DataError: there is no gold answer.
    """
    solution = text_of(row, "solution")
    gold = answer or next(reversed(boxes(solution)), "")
    if not gold:
        raise DataError(
            f"{row.place}: no gold answer: column `solution` has no filled \\boxed{{}}, as a proof "
            f"has none; it ends in {solution[-40:]!r}"
        )
    return Problem(
        id=id,
        question=text_of(row, "problem"),
        answer=gold,
        solution=solution,
        after=AFTER,
        grader="math",
    )


def _problem(row: Row, task: str) -> Problem | None:
    if row.values.get("dup_of_math_test"):
        return None
    answer = optional_text_of(row, "answer") if "answer" in row.values else ""
    return boxed_problem(row, id=f"{task}-{row.name}", answer=answer.strip())
