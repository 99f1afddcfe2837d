"""Each question set with passages: its local file, its hub's form, and what its docstring shows."""

import json
from pathlib import Path
from typing import Any

import pytest

from leaf.recipe import DataSection
from leaf.records import Problem
from leaf.tasks import read_problems
from tests.marks import DATA


def real(task: str, name: str) -> list[Problem]:
    if not (DATA / name).is_file():
        pytest.skip(f"../shared/data/{name} is not there")
    problems, refused = read_problems(DataSection(task=task, path=str(DATA / name)))
    assert refused == []
    return problems


def one(task: str, path: Path, **values: Any) -> Problem:
    path.write_text(json.dumps(values) + "\n")
    (problem,), refused = read_problems(DataSection(task=task, path=str(path)))
    assert refused == []
    return problem


@pytest.mark.parametrize(
    ("task", "name", "count", "golds"),
    [
        ("hotpotqa", "hotpotqa/dev_distractor_eval500.jsonl", 497, {2}),
        ("hotpotqa", "hotpotqa/dev_distractor_rest.jsonl", 1091, {2}),
        ("hotpotqa", "hotpotqa/train_distractor_subset.jsonl", 594, {0, 2}),
        ("2wiki", "2wiki/dev_official10_200.jsonl", 164, {2, 4}),
        ("2wiki", "2wiki/train_official10_500.jsonl", 500, {2, 4}),
        ("musique", "musique/dev_official20_200.jsonl", 200, {2, 3, 4}),
        ("musique", "musique/train_official20_100.jsonl", 100, {2, 3, 4}),
        ("nq", "nq/nq_open_10docs_rebuilt_bm25.jsonl.gz", 2655, {1}),
        ("popqa", "popqa/popqa_1000_with_passages.jsonl", 1000, {2}),
        ("squad2", "squad2/dev-v2.0.json", 6078, {1}),
    ],
)
def test_every_real_record_loads_with_its_gold_passages_outside_the_distractors(
    task: str, name: str, count: int, golds: set[int]
) -> None:
    problems = real(task, name)
    assert len(problems) == count
    found = set()
    for problem in problems:
        documents = problem.question.count("Document [")
        # Without a gold passage nobody knows what distracts.
        gold = documents - len(problem.distractors) if problem.distractors else None
        found.add(0 if gold is None and 0 in golds else gold or documents)
        for place in problem.distractors:
            text = problem.question[place.start : place.end]
            assert text.startswith("Document [")
            assert text.count("\n\nDocument [") == 0
        (question,) = problem.protected
        assert problem.question[: question.start].endswith("\n\nQuestion: ")
        assert question.end == len(problem.question)
    assert found == golds


def test_the_shown_record_of_hotpotqa() -> None:
    problem = real("hotpotqa", "hotpotqa/dev_distractor_eval500.jsonl")[0]
    assert problem.id == "hotpotqa-dev_distractor_eval500-1"
    assert problem.question.startswith("Document [1] (Title: Meet Corliss Archer)\nMeet Corliss")
    assert (problem.answer, problem.solution) == ("Chief of Protocol", "Answer: Chief of Protocol")
    left = problem.question
    for place in reversed(problem.distractors):
        left = left[: place.start] + left[place.end :]
    assert "(Title: Shirley Temple)" in left
    assert "(Title: Kiss and Tell (1945 film))" in left
    assert left.count("Document [") == 2


def test_the_shown_record_of_2wiki_ends_its_explanation_as_was_asked() -> None:
    problems = real("2wiki", "2wiki/train_official10_500.jsonl")
    assert problems[0].solution == (
        "The performer of the song Get Low is Dillon Francis, and his date of birth is October 5, "
        "1987.\nAnswer: October 5, 1987"
    )
    assert not [p.id for p in problems if "Therefore, the final answer" in p.solution]
    within = next(p for p in problems if "so the final answer is Swedish" in p.solution)
    assert within.solution.endswith("is Swedish, so the final answer is Swedish.\nAnswer: Swedish")


def test_the_shown_record_of_musique() -> None:
    problem = real("musique", "musique/train_official20_100.jsonl")[0]
    assert (problem.answer, problem.golds) == ("G. Stanley Hall", ("Stanley Hall",))
    cut = [problem.question[one.start : one.end] for one in problem.distractors]
    assert not [text for text in cut if "[7]" in text or "[11]" in text]


def test_the_shown_record_of_nq() -> None:
    problem = real("nq", "nq/nq_open_10docs_rebuilt_bm25.jsonl.gz")[0]
    assert problem.answer == "Wilhelm Conrad Röntgen"
    cut = [problem.question[one.start : one.end] for one in problem.distractors]
    assert len(cut) == 9
    assert not [text for text in cut if "List of Nobel laureates in Physics" in text]


def test_a_record_of_hotpotqa_as_the_hub_has_it(tmp_path: Path) -> None:
    problem = one(
        "hotpotqa",
        tmp_path / "hub.jsonl",
        id="5a7a",
        question="Which came first?",
        answer="A",
        supporting_facts={"title": ["A"], "sent_id": [0]},
        context={"title": ["A", "B"], "sentences": [["One.", " Two."], ["Three."]]},
    )
    assert "Document [1] (Title: A)\nOne. Two.\n\n" in problem.question
    (place,) = problem.distractors
    assert problem.question[place.start : place.end] == "Document [2] (Title: B)\nThree."


def test_records_of_musique_as_the_hub_has_them(tmp_path: Path) -> None:
    values = {
        "question": "When?",
        "answer": "1960",
        "answer_aliases": [],
        "paragraphs": [
            {"idx": 0, "title": "A", "paragraph_text": "In 1960.", "is_supporting": True},
            {"idx": 1, "title": "B", "paragraph_text": "Never.", "is_supporting": False},
        ],
    }
    path = tmp_path / "hub.jsonl"
    lines = [json.dumps({**values, "answerable": answerable}) for answerable in (True, False)]
    path.write_text("\n".join(lines))
    problems, refused = read_problems(DataSection(task="musique", path=str(path)))
    # A question that cannot be answered is no part of the task, and no error.
    assert [problem.id for problem in problems] == ["musique-hub-1"]
    assert refused == []
    assert len(problems[0].distractors) == 1


def test_a_question_of_squad2_without_an_answer(tmp_path: Path) -> None:
    problems = real("squad2", "squad2/dev-v2.0.json")
    assert sum(problem.answer == "" for problem in problems) == 3168
    first, bare = problems[0], next(one for one in problems if not one.answer)
    assert (first.id, first.answer, first.golds) == ("squad2-dev-v2.0-1.1.1", "France", ())
    assert (bare.golds, bare.solution) == ((), "Answer: unanswerable")
    assert "Answer: unanswerable" in bare.after
    assert bare.after == first.after


def test_a_record_of_squad2_as_the_hub_has_it(tmp_path: Path) -> None:
    problem = one(
        "squad2",
        tmp_path / "hub.jsonl",
        id="56dd",
        title="Normans",
        context="The Normans came from Denmark.",
        question="From where?",
        answers={"text": ["Denmark", "from Denmark", "Denmark"], "answer_start": [22, 17, 22]},
    )
    assert (problem.answer, problem.golds) == ("Denmark", ("from Denmark",))
    assert problem.id == "squad2-hub-1"


def test_a_bad_question_of_squad2_is_named_by_its_place(tmp_path: Path) -> None:
    good = {"question": "Who?", "answers": [{"text": "Ada", "answer_start": 0}]}
    path = tmp_path / "dev.json"
    questions = [good, 3, {**good, "answers": "Ada"}, {**good, "question": " "}]
    paragraphs = [{"context": "Ada.", "qas": questions}, {"context": "Bo."}]
    path.write_text(
        json.dumps({"version": "2", "data": [{"title": "T", "paragraphs": paragraphs}]})
    )
    problems, refused = read_problems(DataSection(task="squad2", path=str(path)))
    assert [problem.id for problem in problems] == ["squad2-dev-1.1.1"]
    at = f"{path} record 1 paragraph"
    assert [str(error) for error in refused] == [
        f"{at} 1 question 2: must be an object, but is 3",
        f"{at} 1 question 3: column `answers` must list objects with a `text`, but is 'Ada'",
        f"{at} 1 question 4: column `question` is empty; fill it or remove the record",
        f"{at} 2: has no list of questions `qas`",
    ]
