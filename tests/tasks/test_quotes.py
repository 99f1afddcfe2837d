"""Long answers: what the answer rests on, quoted, then the answer."""

import json
from pathlib import Path
from typing import Any

import pytest

from leaf.grade import open_graders
from leaf.prune.segments import segments
from leaf.recipe import DataSection, GradeSection
from leaf.records import Answer, Problem
from leaf.tasks import read_problems
from leaf.text.units import pieces

SENTENCES = {
    "A": ["Ann was born in 1900.", " She wrote books.", " She died in 1980."],
    "B": ["Bo is a town.", " It has a lake."],
    "C": ["Nothing."],
}
HUB = {
    "question": "Who?",
    "answer": "Ann",
    "context": {"title": [*SENTENCES], "sentences": [*SENTENCES.values()]},
    "supporting_facts": {"title": ["B", "A", "A"], "sent_id": [1, 2, 0]},
}
SOLUTION = (
    'From "A": Ann was born in 1900. She died in 1980.\n\nFrom "B": It has a lake.\n\nAnswer: Ann'
)
PAIRS = {
    **HUB,
    "context": [[title, texts] for title, texts in SENTENCES.items()],
    "supporting_facts": [["B", 1], ["A", 2], ["A", 0]],
}
WHOLE = {
    "question": "Who?",
    "answer": "Ann",
    "context": [[title, "".join(texts)] for title, texts in SENTENCES.items()],
    "supporting_titles": ["A", "B"],
}


def problem_of(tmp_path: Path, record: dict[str, Any], **section: Any) -> Problem:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(record))
    own = {"task": "hotpotqa_quotes", "path": str(path), **section}
    (problem,), refused = read_problems(DataSection.model_validate(own))
    assert not refused
    return problem


@pytest.mark.parametrize("record", [HUB, PAIRS], ids=["columns", "pairs"])
def test_supporting_sentences_are_quoted_a_paragraph_a_passage(
    tmp_path: Path, record: dict[str, Any]
) -> None:
    problem = problem_of(tmp_path, record)
    assert (problem.solution, problem.answer, problem.grader) == (SOLUTION, "Ann", "qa")
    assert [distractor.kind for distractor in problem.distractors] == ["passage"]


def test_gold_passages_are_quoted_whole_where_no_sentence_is_named(tmp_path: Path) -> None:
    found = problem_of(tmp_path, WHOLE).solution.split("\n\n")
    assert found == [
        'From "A": Ann was born in 1900. She wrote books. She died in 1980.',
        'From "B": Bo is a town. It has a lake.',
        "Answer: Ann",
    ]


def test_a_record_without_a_gold_passage_is_left_out_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(f"{json.dumps({**WHOLE, 'supporting_titles': []})}\n{json.dumps(HUB)}")
    problems, (error,) = read_problems(DataSection(task="hotpotqa_quotes", path=str(path)))
    assert len(problems) == 1
    said = f"{path}:1: no passage is marked as gold, so there is nothing to quote"
    assert str(error) == said


@pytest.mark.parametrize(
    ("said", "right", "score"),
    [
        (SOLUTION, True, 1.0),
        # All of its 8 words stand in the 19 in their order: 2 * 8 / (19 + 8).
        ('From "B": It has a lake.\n\nAnswer: Ann', True, 2 * 8 / 27),
        ("Answer: Ann", False, 2 * 2 / 21),
    ],
)
def test_a_long_answer_is_right_from_a_mark_on(
    tmp_path: Path, said: str, right: bool, score: float
) -> None:
    grader = {"rouge_l": {"against": "solution", "threshold": 0.5}}
    problem = problem_of(tmp_path, HUB, grader=grader)
    answer = Answer(
        problem_id=problem.id, text=said, prompt_tokens=1, response_tokens=1, truncated=False
    )
    with open_graders(GradeSection()) as graders:
        (found,) = graders.grade([problem], [answer])
    assert found.right is right
    assert found.measures[-1].value == pytest.approx(score)


def test_a_response_is_cut_by_paragraph(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, HUB)
    found = segments(problem, problem.solution, 3, lambda text: "Answer" in text)
    assert isinstance(found, list)
    # Three segments: a quotation, a quotation, the answer. Each of the first two is a paragraph.
    assert [one.question.strip() for one in found] == SOLUTION.split("\n\n")[:2]
    assert all(len(pieces(one.question, "paragraph")) == 1 for one in found)
    assert len(pieces(problem.solution, "paragraph")) == 3
