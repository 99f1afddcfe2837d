r"""OlympiadBench: olympiad problems with open answers (hub id `Hothan/OlympiadBench`, or a file).

Its configuration `OE_TO_maths_en_COMP` is meant: mathematics, in English, without images.

Record 11 of olympiadbench/test.jsonl, shortened, holds
    id:                 1618
    question:           Find all triples $(a, b, c)$ of positive integers such that ...
    solution:           ["We have ...", perhaps more of them]
    final_answer:       ["$(1,8,19), (2,7,13), (4,5,7)$"]
    answer_type:        Tuple    (Numerical, Expression, Interval, Equation)
    is_multiple_answer: true
    unit, error:        null     (`km`; `1e-1`, the largest absolute error)
and becomes the problem
    id:        olympiadbench-1618
    question:  as above, after the record's `context` where it has one
    answer:    (1,8,19), (2,7,13), (4,5,7)
    golds:     (1,8,19) and (2,7,13) and (4,5,7): all must be given
    solution:  the first, and "The final answer is \boxed{(1,8,19), (2,7,13), (4,5,7)}."
    tolerance: the `error`, else None
    after:     the same request as GSM8K's
"""

from leaf.errors import DataError
from leaf.records import Problem
from leaf.tasks.gsm8k import AFTER
from leaf.tasks.reading import Row, optional_text_of, text_of
from leaf.tasks.task import record_task
from leaf.text.latex import parts


@record_task(
    "olympiadbench", "Hothan/OlympiadBench", config="OE_TO_maths_en_COMP", evaluation="train"
)
def olympiadbench(row: Row) -> Problem:
    """Make a problem of a record."""
    golds = tuple(_gold(part, row) for part in parts(_first(row, "final_answer")))
    if not golds:
        raise DataError(f"{row.place}: column `final_answer` holds no answer")
    answer = ", ".join(golds)
    context = optional_text_of(row, "context") if "context" in row.values else ""
    question = text_of(row, "question")
    return Problem(
        id=f"olympiadbench-{text_of(row, 'id')}",
        question=f"{context.rstrip()}\n{question}" if context else question,
        answer=answer,
        solution=f"{_first(row, 'solution').rstrip()}\nThe final answer is \\boxed{{{answer}}}.",
        after=AFTER,
        grader="olympiad",
        golds=golds,
        tolerance=_tolerance(row),
    )


def _first(row: Row, column: str) -> str:
    """Return the first text of a column that holds a list of them."""
    values = row.values.get(column)
    if not isinstance(values, list) or not values or not isinstance(values[0], str):
        raise DataError(f"{row.place}: column `{column}` must be a list of texts: {values!r:.60}")
    return values[0]


def _gold(part: str, row: Row) -> str:
    is_interval = row.values.get("answer_type") == "Interval"
    starts = [start for start in (part.find("("), part.find("[")) if start >= 0]
    # Record 2045 says `t(0,4]` for the values of t.
    return part[min(starts) :] if is_interval and starts else part


def _tolerance(row: Row) -> float | None:
    said = optional_text_of(row, "error") if "error" in row.values else ""
    if not said:
        return None
    try:
        errors = {float(one) for one in said.split(",") if one.strip()}
    except ValueError:
        errors = set()
    if len(errors) != 1 or not 0 < max(errors) < float("inf"):
        raise DataError(
            f"{row.place}: column `error` must be one number above 0 for all answers: {said!r:.40}"
        )
    return errors.pop()
