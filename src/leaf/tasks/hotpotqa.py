"""HotpotQA, distractor setting: two gold passages among ten (hub id `hotpotqa/hotpot_qa`).

Line 1 of dev_distractor_eval500.jsonl holds
    question: What government position was held by the woman who portrayed Corliss Archer in the
              film Kiss and Tell?
    answer:   Chief of Protocol
    context:  [["Meet Corliss Archer", "Meet Corliss Archer, a program from ..."], ... ten]
    supporting_titles: ["Kiss and Tell (1945 film)", "Shirley Temple"]
and becomes the problem
    id:          hotpotqa-dev_distractor_eval500-1
    question:    Document [1] (Title: Meet Corliss Archer)
                 Meet Corliss Archer, a program from ...
                 ...
                 Question: What government position was held by ...
    answer:      Chief of Protocol
    solution:    Answer: Chief of Protocol
    distractors: the eight passages that are not gold
    protected:   the question's own words

The hub's records (configuration `distractor`, splits train and validation) have `context` as
columns of titles and sentences and `supporting_facts` in place of `supporting_titles`. Records that
name no gold passage have no distractors, and cannot be read with `data.passages`.
"""

from leaf.tasks.contexts import distinct, read_passages
from leaf.tasks.passages import Asked
from leaf.tasks.reading import Row, text_of
from leaf.tasks.task import passage_task


@passage_task("hotpotqa", "hotpotqa/hotpot_qa", config="distractor", evaluation="validation")
def hotpotqa(row: Row) -> Asked:
    """Read a question with two gold passages."""
    return Asked(
        question=text_of(row, "question").strip(),
        answers=distinct([text_of(row, "answer")]),
        passages=read_passages(row, "context"),
    )
