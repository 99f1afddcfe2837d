"""MuSiQue, answerable questions: two to four gold passages among 20 (hub `dgslibisey/MuSiQue`).

Line 1 of train_official20_100.jsonl holds
    question:       Who was the first president of the association which published Journal of
                    Psychotherapy Integration?
    answer:         G. Stanley Hall
    answer_aliases: ["Stanley Hall"]
    context:        [["Journal of Mathematical Physics", "The Journal of ..."], ... twenty]
    supporting_idx: [6, 10]            (from 0)
and becomes the problem
    id:          musique-train_official20_100-1
    question:    Document [1] (Title: Journal of ...) ... Question: Who was the first president ...
    answer:      G. Stanley Hall; `golds` holds Stanley Hall
    solution:    Answer: G. Stanley Hall
    distractors, protected: as for hotpotqa

The hub's records (splits train and validation) have `paragraphs`: objects with title,
paragraph_text and is_supporting. Records whose `answerable` is false are no part of the task.
"""

from leaf.errors import DataError
from leaf.recipe import DataSection
from leaf.records import Problem
from leaf.tasks.contexts import answers_of, distinct, read_passages
from leaf.tasks.passages import Asked, passage_problems
from leaf.tasks.reading import Row, read_rows, text_of


def musique(section: DataSection) -> list[Problem | DataError]:
    """Read MuSiQue from the hub, or from `section.path`, in the order of the file."""
    rows = read_rows(
        section.path or "dgslibisey/MuSiQue", name=section.name, split=section.split or "train"
    )
    return passage_problems(rows, section, _asked)


def _asked(row: Row) -> Asked | None:
    if row.values.get("answerable") is False:
        return None
    aliases = answers_of(row, "answer_aliases") if row.values.get("answer_aliases") else ()
    return Asked(
        place=row.place,
        id=f"musique-{row.name}",
        question=text_of(row, "question").strip(),
        answers=distinct([text_of(row, "answer"), *aliases]),
        passages=read_passages(row, "context", "paragraphs"),
    )
