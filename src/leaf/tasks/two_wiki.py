"""2WikiMultiHopQA: two or four gold passages among ten (hub id `framolfese/2WikiMultihopQA`).

Line 1 of train_official10_500.jsonl holds
    question:    What is the date of birth of the performer of song Get Low (Dillon Francis And Dj
                 Snake Song)?
    answer:      October 5, 1987
    context:     [["Terence Robinson", "Terence D. Robinson( date of ..."], ... ten]
    supporting_titles: ["Dillon Francis", "Get Low (Dillon Francis and DJ Snake song)"]
    explanation: The performer of the song Get Low is Dillon Francis, and his date of birth is
                 October 5, 1987. Therefore, the final answer is October 5, 1987.
and becomes the problem
    id:          2wiki-train_official10_500-1
    question:    Document [1] (Title: Terence Robinson) ... Question: What is the date of birth ...
    answer:      October 5, 1987
    solution:    The performer of the song Get Low is Dillon Francis, and his date of birth is
                 October 5, 1987.
                 Answer: October 5, 1987
    distractors, protected: as for hotpotqa

The hub's records (splits train, validation and a test without answers) have no explanation: there
the solution is the last line alone.
"""

import re

from leaf.errors import DataError
from leaf.recipe import DataSection
from leaf.records import Problem
from leaf.tasks.contexts import distinct, read_passages
from leaf.tasks.passages import Asked, passage_problems
from leaf.tasks.reading import Row, optional_text_of, read_rows, text_of

_LAST_SENTENCE = re.compile(
    r"(?<=[.”\"])\s+(?:(?:Therefore|Hence|Thus|So), the|The) final answer is [^\n]*\Z"
)
"""Says what the last line says too; where the answer only ends a sentence it stays."""


def two_wiki(section: DataSection) -> list[Problem | DataError]:
    """Read 2WikiMultiHopQA from the hub, or from `section.path`, in the order of the file."""
    rows = read_rows(
        section.path or "framolfese/2WikiMultihopQA",
        name=section.name,
        split=section.split or "train",
    )
    return passage_problems(rows, section, _asked)


def _asked(row: Row) -> Asked:
    worked = optional_text_of(row, "explanation") if "explanation" in row.values else ""
    return Asked(
        place=row.place,
        id=f"2wiki-{row.name}",
        question=text_of(row, "question").strip(),
        answers=distinct([text_of(row, "answer")]),
        passages=read_passages(row, "context"),
        steps=_LAST_SENTENCE.sub("", worked),
    )
