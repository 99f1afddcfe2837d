"""Passages and question make one text; which passages, in which order, is seeded."""

import json
from pathlib import Path
from typing import Any

import pytest

from leaf.errors import DataError
from leaf.recipe import DataSection
from leaf.records import Distractor, Problem, Protected
from leaf.tasks import load_problems, read_problems

AFTER = (
    "\n\nAnswer the question from the documents, in as few words as you can. "
    "End with a line of this form:\nAnswer: [answer]"
)


def record(number: int, others: int = 1, **changes: Any) -> dict[str, Any]:
    """A question with one gold passage and others."""
    paragraphs = [
        {"title": f"G{number}", "text": f"Gold text {number}.", "is_supporting": True},
        *(
            {"title": f"O{number}.{other}", "text": f"Other {number}.{other}."}
            for other in range(others)
        ),
    ]
    asked = {"question": f"Who is {number}?", "possible_answers": f'["name{number}", "n{number}"]'}
    return {**asked, "paragraphs": paragraphs, **changes}


def read(
    path: Path, records: list[dict[str, Any]], **choices: Any
) -> tuple[list[Problem], list[DataError]]:
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return read_problems(DataSection(task="popqa", path=str(path), **choices))


def titles_of(problem: Problem) -> list[str]:
    lines = problem.question.splitlines()
    return [line.split("Title: ")[1].rstrip(")") for line in lines if "(Title: " in line]


def test_a_record_becomes_passages_and_a_question(tmp_path: Path) -> None:
    (problem,), _ = read(tmp_path / "t.jsonl", [record(1)])
    text = (
        "Document [1] (Title: G1)\nGold text 1.\n\n"
        "Document [2] (Title: O1.0)\nOther 1.0.\n\n"
        "Question: Who is 1?"
    )
    other, asked = text.index("Document [2]"), text.index("Who")
    assert problem == Problem(
        id="popqa-t-1",
        question=text,
        answer="name1",
        golds=("n1",),
        solution="Answer: name1",
        after=AFTER,
        grader="qa",
        distractors=(Distractor(kind="passage", start=other, end=text.index("\n\nQuestion")),),
        protected=(Protected(what="question", start=asked, end=len(text)),),
    )
    assert problem.question[problem.asked] == "Who is 1?"


def test_gold_passages_stay_and_the_others_are_drawn(tmp_path: Path) -> None:
    records = [record(number, others=9) for number in range(20)]
    problems, _ = read(tmp_path / "t.jsonl", records, passages=4)
    for number, problem in enumerate(problems):
        titles = titles_of(problem)
        assert len(titles) == len(set(titles)) == 4
        assert f"G{number}" in titles
        assert all(title.startswith((f"G{number}", f"O{number}.")) for title in titles)
        cut = {problem.question[one.start : one.end] for one in problem.distractors}
        assert len(cut) == 3
        assert not any("Gold" in text for text in cut)
    # 20 orders of four are not all the same: the gold passage is not always first.
    assert {titles_of(problem).index(f"G{n}") for n, problem in enumerate(problems)} == {0, 1, 2, 3}


def test_the_seed_decides_and_the_rest_of_the_file_does_not(tmp_path: Path) -> None:
    records = [record(number, others=9) for number in range(5)]
    first, _ = read(tmp_path / "t.jsonl", records, passages=5, seed=1)
    again, _ = read(tmp_path / "t.jsonl", records, passages=5, seed=1)
    fewer, _ = read(tmp_path / "t.jsonl", records[:2], passages=5, seed=1)
    other, _ = read(tmp_path / "t.jsonl", records, passages=5, seed=2)
    assert first == again
    assert first[:2] == fewer
    assert first != other


def test_what_a_record_lacks_comes_from_others_without_its_answer(tmp_path: Path) -> None:
    records = [record(number) for number in range(8)]
    records[3]["paragraphs"][1]["text"] = "A text that tells of Name0, by chance."
    records[4]["paragraphs"][1]["title"] = "G0"
    problems, _ = read(tmp_path / "t.jsonl", records, passages=10)
    titles = titles_of(problems[0])
    assert len(titles) == 10
    assert {"G0", "O0.0"} <= set(titles)
    assert "O3.0" not in titles  # it holds the answer
    assert titles.count("G0") == 1  # the other passage with its own gold title
    assert len(problems[0].distractors) == 9  # gold passages of others are not gold here


def test_more_gold_passages_than_asked_for_all_stay(tmp_path: Path) -> None:
    one = record(1)
    one["paragraphs"][1]["is_supporting"] = True
    (problem,), _ = read(tmp_path / "t.jsonl", [one], passages=1)
    assert sorted(titles_of(problem)) == ["G1", "O1.0"]
    assert problem.distractors == ()


def test_too_few_passages_in_the_whole_file_are_an_error_by_place(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with pytest.raises(DataError) as caught:
        read(path, [record(1), record(2)], passages=9)
    assert str(caught.value) == (
        f"{path}:1: data.passages is 9, but only 4 passages could be found; ask for fewer"
    )


def test_without_a_gold_passage_nothing_distracts_and_none_can_be_drawn(tmp_path: Path) -> None:
    bare = record(1, others=3)
    bare["paragraphs"][0]["is_supporting"] = False
    (problem,), _ = read(tmp_path / "t.jsonl", [bare])
    assert problem.distractors == ()
    problems, refused = read(tmp_path / "t.jsonl", [bare, record(2, others=3)], passages=2)
    assert [problem.id for problem in problems] == ["popqa-t-2"]
    assert "no passage is marked as gold" in str(refused[0])


def test_a_bad_record_does_not_spoil_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    records = [record(1), record(2, paragraphs=[]), record(3, possible_answers="[]"), record(4)]
    problems, refused = read(path, records)
    assert [problem.id for problem in problems] == ["popqa-t-1", "popqa-t-4"]
    assert [str(error) for error in refused] == [
        f"{path}:2: column `paragraphs` must hold passages, but is []",
        f"{path}:3: column `possible_answers` is empty; fill it or remove the record",
    ]


@pytest.mark.parametrize("task", ["nq", "popqa"])
def test_a_task_without_a_hub_set_says_what_its_path_is(task: str) -> None:
    with pytest.raises(DataError, match=rf"task `{task}` needs `path` \(data.path\): "):
        load_problems(DataSection(task=task))
