"""Questions with passages: the shape that hotpotqa, 2wiki, musique, nq, popqa and squad2 share.

A record with the passages A (gold), B and the question Q becomes the problem
    question:    Document [1] (Title: A)
                 <text of A>

                 Document [2] (Title: B)
                 <text of B>

                 Question: Q
    after:       a request for a short answer and a last line `Answer: ...`
    answer:      the gold answer; `golds` are its aliases
    solution:    Answer: <answer>     (after the explanation, where the data have one)
    distractors: B, of kind `passage`: every passage that is not gold
    protected:   Q, as `question`

So passages and question are scored and may be cut, but never the words that ask. A passage that is
not gold is one that nobody marked as needed: it may hold the answer all the same (in nq it often
does).

`data.passages: N` keeps the gold passages, draws others until there are N and orders all of them
anew, by `data.seed` and the problem's id. Where a record has too few, the rest are passages of
other records, under titles that this one has not and without its answer. More gold passages than N
are all kept.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from leaf.errors import DataError
from leaf.recipe import DataSection
from leaf.records import Distractor, Problem, Protected
from leaf.tasks.reading import Row, each

AFTER = (
    "\n\nAnswer the question from the documents, in as few words as you can. "
    "End with a line of this form:\nAnswer: [answer]"
)
"""What follows each question where the recipe does not say otherwise."""

_DRAWS = 200
"""How often a passage of another record is drawn for one place before the record is given up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """A titled text."""

    title: str
    text: str
    gold: bool = False
    """Whether the data say that the answer needs it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a record asks, before its passages are chosen."""

    question: str
    answers: tuple[str, ...]
    """As good as each other; none: the question has no answer."""
    passages: tuple[Passage, ...]
    """In the order of the data."""
    steps: str = ""
    """Worked explanation without its final line, or ""."""


def passage_problems(
    rows: Sequence[Row | DataError],
    section: DataSection,
    task: str,
    read: Callable[[Row], Asked | None],
    after: str,
) -> list[Problem | DataError]:
    """Make a problem of each row; what fails stands there as its error.

    Args:
        rows: As `read_rows` gives them.
        section: Says how many passages, and by which seed.
        task: What ids begin with.
        read: Returns None for a record that is not part of the task, raises `DataError` for a bad
            one.
        after: The request.
    """
    asked = each(rows, lambda row: (row, asked) if (asked := read(row)) else None)
    pool = [p for one in asked if isinstance(one, tuple) for p in one[1].passages]

    def problem(row: Row, one: Asked) -> Problem:
        id = f"{task}-{row.name}"
        return _problem(id, with_passages(one, id, row.place, section, pool), after)

    return each(asked, lambda pair: problem(*pair))


def with_passages(
    asked: Asked, id: str, place: str, section: DataSection, pool: Sequence[Passage]
) -> Asked:
    """Choose `section.passages` of them, seeded; None keeps them as they are."""
    if section.passages is None:
        return asked
    rng = random.Random(f"{section.seed}/{id}")
    gold = [passage for passage in asked.passages if passage.gold]
    others = [passage for passage in asked.passages if not passage.gold]
    if not gold:
        raise DataError(
            f"{place}: no passage is marked as gold, so none can be kept for sure; leave "
            "data.passages out"
        )
    wanted = max(section.passages - len(gold), 0)
    chosen = rng.sample(others, min(wanted, len(others)))
    chosen += _borrowed(asked, pool, wanted - len(chosen), rng)
    if len(chosen) < wanted:
        raise DataError(
            f"{place}: data.passages is {section.passages}, but only "
            f"{len(gold) + len(chosen)} passages could be found; ask for fewer"
        )
    chosen += gold
    rng.shuffle(chosen)
    return replace(asked, passages=tuple(chosen))


def _borrowed(
    asked: Asked, pool: Sequence[Passage], count: int, rng: random.Random
) -> list[Passage]:
    """Draw passages of other records that neither share a title with this one nor answer it."""
    titles = {passage.title for passage in asked.passages}
    # As words: `no` stands in almost every text, but seldom as one.
    answers = [re.compile(rf"\b{re.escape(said)}\b", re.IGNORECASE) for said in asked.answers]
    drawn: list[Passage] = []
    for _draw in range(count * _DRAWS):
        if len(drawn) == count:
            break
        other = rng.choice(pool)
        is_new = other.title not in titles and other.text not in {one.text for one in drawn}
        if not other.title:
            is_new = other.text not in {one.text for one in (*asked.passages, *drawn)}
        if is_new and not any(said.search(other.text) for said in answers):
            drawn.append(replace(other, gold=False))
    return drawn


def laid_out(passages: Sequence[Passage]) -> tuple[str, tuple[Distractor, ...]]:
    """Return what stands before the question, and what of it is known to distract.

    A single passage without a title stands there as it is.
    """
    text = ""
    distractors = []
    for number, passage in enumerate(passages, start=1):
        title = f" (Title: {passage.title})" if passage.title else ""
        document = f"Document [{number}]{title}\n{passage.text}"
        if len(passages) == 1 and not passage.title:
            document = passage.text
        if not passage.gold and any(other.gold for other in passages):
            distractors.append(
                Distractor(kind="passage", start=len(text), end=len(text) + len(document))
            )
        text += f"{document}\n\n"
    return f"{text}Question: ", tuple(distractors)


def _problem(id: str, asked: Asked, after: str) -> Problem:
    text, distractors = laid_out(asked.passages)
    question = Protected(what="question", start=len(text), end=len(text) + len(asked.question))
    answer = asked.answers[0] if asked.answers else ""
    return Problem(
        id=id,
        question=text + asked.question,
        answer=answer,
        golds=asked.answers[1:],
        solution=f"{asked.steps}\nAnswer: {answer or 'unanswerable'}".lstrip(),
        after=after,
        grader="qa",
        distractors=distractors,
        protected=(question,),
    )
