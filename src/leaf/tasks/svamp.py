r"""SVAMP: word problems of one or two steps, many with a number too many (hub id `ChilleD/SVAMP`).

Line 1 of svamp/test.jsonl holds
    Body:     There are 87 oranges and 290 bananas in Philip's collection. If the bananas are
              organized into 2 groups and oranges are organized into 93 groups
    Question: How big is each group of bananas?
    Answer:   145.0
    Equation: ( 290.0 / 2.0 )
and becomes the problem
    id:       svamp-test-1
    question: body and question, with a space between them, as its authors join them
    answer:   145
    after:    the same request as GSM8K's
    source:   irrelevant_number: 87 and 93 are not in the equation; plain where all are

The data hold no worked solution, so detection takes the teacher's (`attribute.reference: teacher`).
"""

import re

from leaf.errors import DataError
from leaf.records import Problem
from leaf.tasks.gsm8k import AFTER
from leaf.tasks.reading import Row, text_of
from leaf.tasks.task import record_task

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_AMOUNT = re.compile(r"[0-9]+(?:\.[0-9]+)?")


@record_task("svamp", "ChilleD/SVAMP", split="test")
def svamp(row: Row) -> Problem:
    """Make a problem of a record."""
    answer = text_of(row, "Answer").strip()
    if not _NUMBER.fullmatch(answer):
        raise DataError(f"{row.place}: column `Answer` must be a number, but is {answer!r:.40}")
    question = f"{text_of(row, 'Body').strip()} {text_of(row, 'Question').strip()}"
    return Problem(
        id=f"svamp-{row.name}",
        question=question,
        answer=re.sub(r"\.0+$", "", answer),
        solution="",
        after=AFTER,
        grader="numbers",
        source=_part(question, str(row.values.get("Equation") or "")),
    )


def _part(question: str, equation: str) -> str:
    """Return which part a question belongs to; "" where the record has no equation.

    Numbers go by their value: one too many that equals a needed one is not seen.
    """
    asked, needed = (set(map(float, _AMOUNT.findall(text))) for text in (question, equation))
    if not needed:
        return ""
    return "irrelevant_number" if asked - needed else "plain"
