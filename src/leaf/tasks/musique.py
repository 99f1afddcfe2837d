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

from leaf.tasks.contexts import answers_of, distinct, read_passages
from leaf.tasks.passages import Asked
from leaf.tasks.reading import Row, text_of
from leaf.tasks.task import passage_task


@passage_task("musique", "dgslibisey/MuSiQue", evaluation="validation")
def musique(row: Row) -> Asked | None:
    """Read a question, unless it has no answer."""
    if row.values.get("answerable") is False:
        return None
    aliases = answers_of(row, "answer_aliases") if row.values.get("answer_aliases") else ()
    return Asked(
        question=text_of(row, "question").strip(),
        answers=distinct([text_of(row, "answer"), *aliases]),
        passages=read_passages(row, "context", "paragraphs"),
    )
