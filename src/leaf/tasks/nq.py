"""Natural Questions with one gold passage among others, as in "Lost in the Middle" (no hub id).

Line 1 of nq_open_10docs_rebuilt_bm25.jsonl.gz holds
    question: who got the first nobel prize in physics
    answers:  ["Wilhelm Conrad Röntgen"]
    context:  [["The Grapes of Wrath", "The Grapes of Wrath The Grapes of ..."], ... ten]
    gold_idx: 7                        (from 0)
and becomes the problem
    id:          nq-nq_open_10docs_rebuilt_bm25-1
    question:    Document [1] (Title: The Grapes of Wrath) ... Question: who got the first nobel ...
    answer:      Wilhelm Conrad Röntgen, and further answers in `golds`
    solution:    Answer: Wilhelm Conrad Röntgen
    distractors, protected: as for hotpotqa

Published files of that form, such as nq-open-10_total_documents_gold_at_4.jsonl.gz of the
repository nelson-liu/lost-in-the-middle, have `ctxs`: objects with title, text and isgold. They are
no hub data set, so `path` names the file. In the local file real questions and gold passages stand
among distractors that were chosen anew, by BM25: results made with it must say so.
"""

from leaf.errors import DataError
from leaf.tasks.contexts import answers_of, read_passages
from leaf.tasks.passages import Asked
from leaf.tasks.reading import Row, text_of
from leaf.tasks.task import passage_task


@passage_task(
    "nq",
    needs="a file of github.com/nelson-liu/lost-in-the-middle, such as "
    "nq-open-10_total_documents_gold_at_4.jsonl.gz, or a hub id of that form",
    evaluation="train",
)
def nq(row: Row) -> Asked:
    """Read a question with one gold passage."""
    answers = answers_of(row, "answers")
    if not answers:
        raise DataError(f"{row.place}: column `answers` is empty; fill it or remove the record")
    return Asked(
        question=text_of(row, "question").strip(),
        answers=answers,
        passages=read_passages(row, "context", "ctxs"),
    )
