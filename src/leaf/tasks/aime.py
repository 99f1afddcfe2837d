r"""AIME: answers are whole numbers from 0 to 999 (hub id `di-zhang-fdu/AIME_1983_2024`, or a file).

Record 2 of aime/aime_1983_2023_with_solutions.json holds
    problem:  Let $f(x)=|x-p|+|x-15|+|x-p-15|$, where $0 < p < 15$. Determine the minimum value ...
    solution: It is best to get rid of the absolute values first. ... giving ... $\boxed{015}$.
    answer:   15
    year, aime_number, problem_number: 1983, 1, 2
and becomes the problem
    id:       aime-aime_1983_2023_with_solutions-2
    question: the problem
    answer:   15
    solution: as above; with "The final answer is \boxed{15}." at its end where it has no box
    after:    the same request as GSM8K's

On the hub the columns are `Question` and `Answer`, and there are no solutions: detection takes the
teacher's there (`attribute.reference: teacher`).
"""

import re

from leaf.errors import DataError
from leaf.records import Problem
from leaf.tasks.gsm8k import AFTER
from leaf.tasks.reading import Row, optional_text_of, text_of
from leaf.tasks.task import record_task
from leaf.text.latex import boxes

_WHOLE_NUMBER = re.compile(r"[0-9]{1,3}(?:\.0+)?")


@record_task("aime", "di-zhang-fdu/AIME_1983_2024", evaluation="train")
def aime(row: Row) -> Problem:
    """Make a problem of a record."""
    is_hub = "Question" in row.values
    said = text_of(row, "Answer" if is_hub else "answer").strip()
    if not _WHOLE_NUMBER.fullmatch(said):
        raise DataError(
            f"{row.place}: the answer must be a whole number from 0 to 999, but is {said!r:.40}"
        )
    answer = str(int(float(said)))
    solution = optional_text_of(row, "solution") if "solution" in row.values else ""
    if solution and not boxes(solution):
        solution += f"\nThe final answer is \\boxed{{{answer}}}."
    return Problem(
        id=f"aime-{row.name}",
        question=text_of(row, "Question" if is_hub else "problem"),
        answer=answer,
        solution=solution,
        after=AFTER,
        grader="numbers",
    )
