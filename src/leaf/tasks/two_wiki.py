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

from leaf.tasks.contexts import distinct, read_passages
from leaf.tasks.passages import Asked
from leaf.tasks.reading import Row, optional_text_of, text_of
from leaf.tasks.task import passage_task

_LAST_SENTENCE = re.compile(
    r"(?<=[.”\"])\s+(?:(?:Therefore|Hence|Thus|So), the|The) final answer is [^\n]*\Z"
)
"""Says what the last line says too; where the answer only ends a sentence it stays."""


@passage_task("2wiki", "framolfese/2WikiMultihopQA", evaluation="validation")
def two_wiki(row: Row) -> Asked:
    """Read a question with its explanation."""
    worked = optional_text_of(row, "explanation") if "explanation" in row.values else ""
    return Asked(
        question=text_of(row, "question").strip(),
        answers=distinct([text_of(row, "answer")]),
        passages=read_passages(row, "context"),
        steps=_LAST_SENTENCE.sub("", worked),
    )
