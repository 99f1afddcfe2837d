"""PopQA with passages: questions about entities, and the passages that tell (no hub id).

Line 1 of popqa_1000_with_passages.jsonl holds
    question:         What is George Rankin's occupation?
    possible_answers: ["politician", "political leader", "political figure", "polit.", "pol"]
    paragraphs:       [{"title": "George Rankin", "text": ..., "is_supporting": true},
                       {"title": "Politician", "text": ..., "is_supporting": true}]
and becomes the problem
    id:        popqa-popqa_1000_with_passages-1
    question:  Document [1] (Title: George Rankin) ... Question: What is George Rankin's occupation?
    answer:    politician, the others in `golds`
    solution:  Answer: politician
    protected: as for hotpotqa; no distractors, as both passages are gold

`data.passages: 10` sets them among eight passages of other records (`leaf.tasks.passages`). The
hub's `akariasai/PopQA` has questions and answers but no passages, so `path` names a file.
"""

from leaf.errors import DataError
from leaf.tasks.contexts import answers_of, read_passages
from leaf.tasks.passages import Asked
from leaf.tasks.reading import Row, text_of
from leaf.tasks.task import passage_task


@passage_task(
    "popqa",
    needs="a file of PopQA's records with a column `paragraphs` (the hub's akariasai/PopQA has no "
    "passages)",
    split="test",
)
def popqa(row: Row) -> Asked:
    """Read a question about an entity."""
    answers = answers_of(row, "possible_answers")
    if not answers:
        raise DataError(
            f"{row.place}: column `possible_answers` is empty; fill it or remove the record"
        )
    return Asked(
        question=text_of(row, "question").strip(),
        answers=answers,
        passages=read_passages(row, "paragraphs", "ctxs"),
    )
