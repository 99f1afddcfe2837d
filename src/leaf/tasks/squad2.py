"""SQuAD 2.0: one passage a question, half of them without an answer (hub `rajpurkar/squad_v2`).

The first question of dev-v2.0.json, which nests questions in paragraphs in articles, holds
    title:    Normans
    context:  The Normans (Norman: Nourmands; French: Normands; Latin: Normanni) were the ...
    question: In what country is Normandy located?
    answers:  [{"text": "France", "answer_start": 159}, ... four times]
and becomes the problem
    id:        squad2-dev-v2.0-1.1.1   (article, paragraph, question; squad2-validation-1 of the
                                       hub, whose records are flat)
    question:  Document [1] (Title: Normans) ... Question: In what country is Normandy located?
    answer:    France                  (each different answer once, the others in `golds`)
    solution:  Answer: France
    protected: as for hotpotqa; no distractors, as the only passage is gold

A question without an answer (`answers` is empty) has the answer "" and the solution
`Answer: unanswerable`: the request says so, and the grader takes that.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from leaf.errors import DataError
from leaf.tasks.contexts import distinct
from leaf.tasks.passages import AFTER, Asked, Passage
from leaf.tasks.reading import Row, text_of
from leaf.tasks.task import passage_task


def _questions_of(article: Row) -> Iterator[Row | DataError]:
    """Give the questions of an article as flat records; a flat record is one already."""
    if "paragraphs" not in article.values:
        yield article
    for number, paragraph in enumerate(_list_in(article.values, "paragraphs"), start=1):
        questions = _list_in(paragraph, "qas")
        if not questions:
            yield DataError(f"{article.place} paragraph {number}: has no list of questions `qas`")
        for order, question in enumerate(questions, start=1):
            place = f"{article.place} paragraph {number} question {order}"
            if not isinstance(question, Mapping):
                yield DataError(f"{place}: must be an object, but is {question!r:.60}")
                continue
            around = {"title": article.values.get("title"), "context": paragraph.get("context")}
            yield Row(
                place=place,
                name=f"{article.name}.{number}.{order}",
                values={**question, **around},
            )


def _list_in(value: Any, key: str) -> Sequence[Any]:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, list) else []


@passage_task(
    "squad2",
    "rajpurkar/squad_v2",
    evaluation="validation",
    flatten=_questions_of,
    after=f"{AFTER}\nWhere the documents do not answer it, the line is: Answer: unanswerable",
)
def squad2(row: Row) -> Asked:
    """Read a question with its only passage."""
    passage = Passage(title=text_of(row, "title"), text=text_of(row, "context").strip(), gold=True)
    question = text_of(row, "question").strip()
    return Asked(question=question, answers=_answers(row), passages=(passage,))


def _answers(row: Row) -> tuple[str, ...]:
    """Return the answers of a flat record, or of a nested one; none where there is none."""
    value = row.values.get("answers")
    texts = value.get("text") if isinstance(value, Mapping) else value
    if isinstance(value, list):
        texts = [one.get("text") if isinstance(one, Mapping) else None for one in value]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise DataError(
            f"{row.place}: column `answers` must list objects with a `text`, but is {value!r:.60}"
        )
    return distinct(texts)
