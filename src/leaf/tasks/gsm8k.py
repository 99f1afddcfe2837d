r"""GSM8K: grade-school word problems (hub id `openai/gsm8k`, or its JSONL file).

Line 1 of train.jsonl holds
    question: Natalia sold clips to 48 of her friends in April, and then she sold half as many clips
              in May. How many clips did Natalia sell altogether in April and May?
    answer:   Natalia sold 48/2 = <<48/2=24>>24 clips in May.
              Natalia sold 48+24 = <<48+24=72>>72 clips altogether in April and May.
              #### 72
and becomes the problem
    id:       gsm8k-train-1
    question: as above
    answer:   72
    solution: Natalia sold 48/2 = 24 clips in May.
              Natalia sold 48+24 = 72 clips altogether in April and May.
              The final answer is \boxed{72}.
    after:    a request for step by step reasoning and the final answer in \boxed{}

The solution is the reference response of detection, so it should look like what a chat model would
say to that request: without the calculator marks `<<...>>`, and with the answer in a box.
"""

import re

from leaf.errors import DataError
from leaf.records import Problem
from leaf.tasks.reading import Row, text_of
from leaf.tasks.task import record_task

AFTER = "\nReason step by step, and put your final answer within \\boxed{}."
"""What follows each question where the recipe does not say otherwise."""

_CALCULATOR = re.compile(r"<<[^<>]*>>")
_NUMBER = re.compile(r"-?[0-9][0-9,]*(\.[0-9]+)?")


@record_task("gsm8k", "openai/gsm8k", config="main")
def gsm8k(row: Row) -> Problem:
    """Make a problem of a record."""
    worked = text_of(row, "answer")
    steps, mark, number = worked.rpartition("####")
    number = number.strip()
    if not mark or not _NUMBER.fullmatch(number):
        raise DataError(
            f"{row.place}: column `answer` must end in `#### <number>`, but ends in "
            f"{worked[-40:]!r}; records of your own are read with `task: table`"
        )
    answer = number.replace(",", "")
    steps = _CALCULATOR.sub("", steps).strip()
    return Problem(
        id=f"gsm8k-{row.name}",
        question=text_of(row, "question"),
        answer=answer,
        solution=f"{steps}\nThe final answer is \\boxed{{{answer}}}.".lstrip(),
        after=AFTER,
        grader="numbers",
    )
