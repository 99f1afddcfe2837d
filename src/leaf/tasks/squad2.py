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
from leaf.recipe import DataSection
from leaf.records import Problem
from leaf.tasks.contexts import distinct
from leaf.tasks.passages import AFTER, Asked, Passage, passage_problems
from leaf.tasks.reading import Row, read_rows, text_of

_AFTER = f"{AFTER}\nWhere the documents do not answer it, the line is: Answer: unanswerable"


def squad2(section: DataSection) -> list[Problem | DataError]:
    """Read SQuAD 2.0 from the hub, or from `section.path`, in the order of the file."""
    rows = read_rows(
        section.path or "rajpurkar/squad_v2",
        name=section.name,
        split=section.split or "train",
    )
    flat: list[Row | DataError] = []
    for row in rows:
        if isinstance(row, Row) and "paragraphs" in row.values:
            flat.extend(_questions_of(row))
        else:
            flat.append(row)
    return passage_problems(flat, section, _asked, after=_AFTER)


def _questions_of(article: Row) -> Iterator[Row | DataError]:
    """Give the questions of an article as flat records."""
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


def _asked(row: Row) -> Asked:
    passage = Passage(title=text_of(row, "title"), text=text_of(row, "context").strip(), gold=True)
    return Asked(
        place=row.place,
        id=f"squad2-{row.name}",
        question=text_of(row, "question").strip(),
        answers=_answers(row),
        passages=(passage,),
    )


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
