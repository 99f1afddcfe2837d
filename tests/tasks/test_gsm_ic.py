"""GSM-IC records become problems that know which sentence was planted."""

import json
from collections import Counter
from pathlib import Path

import pytest

from leaf.errors import DataError
from leaf.grade import open_graders
from leaf.recipe import DataSection, GradeSection
from leaf.records import Answer, Distractor, Problem
from leaf.tasks import load_problems
from tests.marks import DATA

FILE = DATA / "gsm_ic" / "gsm_ic_test.json"
needs_data = pytest.mark.skipif(not FILE.is_file(), reason="../shared/data/gsm_ic is not there")

RECORD = {
    "new_question": "Ben has 9 pens. Tom's aunt is 80 years old. How many pens has Ben?",
    "answer": "1,009",
    "sentence_template": "{role} is {number} years old.",
    "role": "Tom's aunt",
    "number": "80",
}


def write(folder: Path, *records: dict[str, object]) -> str:
    path = folder / "own.json"
    path.write_text(json.dumps(records), encoding="utf-8")
    return str(path)


def load(path: str) -> list[Problem]:
    return load_problems(DataSection(task="gsm_ic", path=path))


def test_a_record_becomes_a_problem_that_knows_its_planted_sentence(tmp_path: Path) -> None:
    (problem,) = load(write(tmp_path, RECORD))
    # "Ben has 9 pens. " has 16 characters, "Tom's aunt is 80 years old." has 27.
    assert problem == Problem(
        id="own-1",
        question=RECORD["new_question"],
        answer="1009",
        solution="",
        after="\nReason step by step, and put your final answer within \\boxed{}.",
        distractors=(Distractor(kind="sentence", start=16, end=43),),
    )
    assert problem.question[16:43] == "Tom's aunt is 80 years old."


def with_base(question: str, aunt: str = "Tom's aunt") -> dict[str, object]:
    planted = f"Ben has 9 pens. {aunt} is 80 years old. How many pens has Ben?"
    return {**RECORD, "new_question": planted, "role": aunt, "original_question": question}


def test_variants_name_the_base_problem_that_the_split_base_holds_once(tmp_path: Path) -> None:
    records = [with_base("A?"), with_base("B?"), with_base("A?", "Al")]
    path = write(tmp_path, *records)
    assert [problem.base for problem in load(path)] == ["own-base-1", "own-base-2", "own-base-1"]
    bases = load_problems(DataSection(task="gsm_ic", path=path, split="base"))
    assert [(base.id, base.question, base.answer) for base in bases] == [
        ("own-base-1", "A?", "1009"),
        ("own-base-2", "B?", "1009"),
    ]
    assert bases[0].after == load(path)[0].after
    assert not bases[0].distractors


@needs_data
def test_each_real_base_problem_has_ten_variants_with_its_answer() -> None:
    variants = load(str(FILE))
    section = DataSection(task="gsm_ic", path=str(FILE), split="base")
    answers = {base.id: base.answer for base in load_problems(section)}
    assert len(answers) == 100
    assert Counter(variant.base for variant in variants) == dict.fromkeys(answers, 10)
    assert [v.id for v in variants if v.answer != answers[v.base]] == []


def test_a_number_that_is_written_as_a_number_is_found_as_well(tmp_path: Path) -> None:
    (problem,) = load(write(tmp_path, {**RECORD, "number": 80, "answer": 9}))
    assert (problem.answer, problem.distractors[0].start) == ("9", 16)


def test_records_are_numbered_in_file_order(tmp_path: Path) -> None:
    path = write(tmp_path, RECORD, {**RECORD, "answer": "2"})
    assert [(p.id, p.answer) for p in load(path)] == [("own-1", "1009"), ("own-2", "2")]


def test_a_question_without_its_planted_sentence_is_refused_by_place(tmp_path: Path) -> None:
    path = write(tmp_path, RECORD, {**RECORD, "number": "81"})
    with pytest.raises(DataError) as caught:
        load(path)
    assert str(caught.value) == (
        f'{path} record 2: `new_question` does not hold its sentence "Tom\'s aunt is 81 years old."'
    )


@pytest.mark.parametrize("column", ["new_question", "sentence_template", "role", "number"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    record = {name: value for name, value in RECORD.items() if name != column}
    path = write(tmp_path, record)
    with pytest.raises(DataError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path} record 1: no column `{column}`")


def test_without_a_path_the_file_that_is_needed_is_named() -> None:
    with pytest.raises(DataError) as caught:
        load_problems(DataSection(task="gsm_ic"))
    assert str(caught.value) == "task `gsm_ic` needs `path` (data.path): its file gsm_ic_test.json"


@needs_data
def test_the_planted_sentence_is_found_in_every_real_record() -> None:
    problems = load(str(FILE))
    records = json.loads(FILE.read_text(encoding="utf-8"))
    assert len(problems) == len(records) == 1000
    exact = 0
    for problem, record in zip(problems, records, strict=True):
        (known,) = problem.distractors
        planted = problem.question[known.start : known.end]
        for name in ("role", "number"):
            assert record[name] in planted or record[name] == "n/a"
        # It is a sentence of its own; a few are followed by a second point in the data.
        before, after = problem.question[: known.start], problem.question[known.end :]
        assert before[-2:] in {". ", "? ", "! ", '" '}, before
        assert planted[-1] == "."
        assert after.removeprefix(".").startswith(" ")
        # What is left is the problem that it was planted into, word by word; in the other 300 the
        # data name somebody anew after the planted sentence, which made "he" unclear.
        exact += (before + after).split() == record["original_question"].split()
    assert exact == 700


@needs_data
def test_every_real_gold_answer_is_graded_right() -> None:
    problems = load(str(FILE))
    answers = [
        Answer(
            problem_id=p.id,
            text=f"The final answer is \\boxed{{{p.answer}}}.",
            prompt_tokens=1,
            response_tokens=1,
            truncated=False,
        )
        for p in problems
    ]
    with open_graders(GradeSection()) as grader:
        assert [s.problem_id for s in grader.grade(problems, answers) if not s.right] == []
