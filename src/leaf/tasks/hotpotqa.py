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

from leaf.errors import DataError
from leaf.recipe import DataSection
from leaf.records import Problem
from leaf.tasks.contexts import distinct, read_passages
from leaf.tasks.passages import Asked, passage_problems
from leaf.tasks.reading import Row, read_rows, text_of


def hotpotqa(section: DataSection) -> list[Problem | DataError]:
    """Read HotpotQA from the hub, or from `section.path`, in the order of the file."""
    rows = read_rows(
        section.path or "hotpotqa/hotpot_qa",
        name=section.name or "distractor",
        split=section.split or "train",
    )
    return passage_problems(rows, section, _asked)


def _asked(row: Row) -> Asked:
    return Asked(
        place=row.place,
        id=f"hotpotqa-{row.name}",
        question=text_of(row, "question").strip(),
        answers=distinct([text_of(row, "answer")]),
        passages=read_passages(row, "context"),
    )
