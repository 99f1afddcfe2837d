"""GSM-IC: GSM8K problems with one planted irrelevant sentence, from its JSON file (no hub id).

Record 1 of gsm_ic_test.json holds
    new_question:      85 paper stars are required to fill a glass jar. Luke has already made 33
                       stars, but he needs to fill 4 bottles. Tom is 80 years old. How many more
                       stars must Luke make?
    answer:            307
    sentence_template: {role} is {number} years old.
    role, number:      Tom, 80
    original_question:  the same without "Tom is 80 years old."
and becomes the problem
    id:          gsm_ic_test-1
    question:    new_question
    answer:      307
    after:       the same request as GSM8K's
    distractors: one of kind `sentence`: "Tom is 80 years old."
    base:        gsm_ic_test-base-1

The split `base` holds each original question once, numbered as they appear in the file: from this
record `gsm_ic_test-base-1`, original_question with the same answer.

The data hold no worked solution, so detection takes the teacher's (`attribute.reference: teacher`).
"""

from leaf.errors import DataError
from leaf.recipe import DataSection
from leaf.records import Distractor, Problem
from leaf.tasks.gsm8k import AFTER
from leaf.tasks.reading import Row, each, text_of
from leaf.tasks.task import no_path, rows_of, task


@task("gsm_ic")
def gsm_ic(section: DataSection) -> list[Problem | DataError]:
    """Read GSM-IC from `section.path`, in the order of the file."""
    if section.path is None:
        raise no_path("gsm_ic", section, "its file gsm_ic_test.json")
    rows = rows_of(section, "", split="test")
    bases: dict[str, str] = {}
    if section.split == "base":
        return each(rows, lambda row: _base_problem(row, bases))
    return each(rows, lambda row: _variant(row, bases))


def _base_problem(row: Row, bases: dict[str, str]) -> Problem | None:
    question = text_of(row, "original_question")
    if question in bases:
        return None
    return Problem(
        id=_base(row, bases),
        question=question,
        answer=_answer(row),
        solution="",
        after=AFTER,
    )


def _base(row: Row, bases: dict[str, str]) -> str:
    """Return the id of a record's original question, "" where it has none; `bases` grows."""
    if "original_question" not in row.values:
        return ""
    name = f"{row.name.rpartition('-')[0]}-base-{len(bases) + 1}"
    return bases.setdefault(text_of(row, "original_question"), name)


def _answer(row: Row) -> str:
    return text_of(row, "answer").replace(",", "")


def _variant(row: Row, bases: dict[str, str]) -> Problem:
    base = _base(row, bases)
    question = text_of(row, "new_question")
    template = text_of(row, "sentence_template")
    filled = {name: text_of(row, name) for name in ("role", "number")}
    sentence = template
    for name, value in filled.items():
        sentence = sentence.replace(f"{{{name}}}", value)
    start = question.find(sentence)
    if start < 0:
        raise DataError(f"{row.place}: `new_question` does not hold its sentence {sentence!r:.80}")
    return Problem(
        id=row.name,
        question=question,
        answer=_answer(row),
        solution="",
        after=AFTER,
        distractors=(Distractor(kind="sentence", start=start, end=start + len(sentence)),),
        base=base,
    )
