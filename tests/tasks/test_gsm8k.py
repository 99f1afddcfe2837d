"""GSM8K records become problems whose solution reads like a chat model's answer."""

import json
from pathlib import Path

import pytest

from leaf.errors import DataError
from leaf.grade import open_graders
from leaf.recipe import DataSection, GradeSection
from leaf.records import Answer, Outcome, Problem
from leaf.tasks import load_problems
from tests import marks

DATA = marks.DATA / "gsm8k"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/gsm8k is not there")


def load(path: Path, question: str, answer: str) -> Problem:
    path.write_text(json.dumps({"question": question, "answer": answer}) + "\n")
    (problem,) = load_problems(DataSection(task="gsm8k", path=str(path)))
    return problem


def test_a_record_becomes_a_problem_without_calculator_marks(tmp_path: Path) -> None:
    problem = load(
        tmp_path / "train.jsonl",
        "How many?",
        "Half is 48/2 = <<48/2=24>>24.\nTogether $<<48+24=72>>72.\n#### 72",
    )
    assert problem == Problem(
        id="gsm8k-train-1",
        question="How many?",
        answer="72",
        solution="Half is 48/2 = 24.\nTogether $72.\nThe final answer is \\boxed{72}.",
        after="\nReason step by step, and put your final answer within \\boxed{}.",
        grader="numbers",
    )


def test_a_thousands_comma_leaves_the_answer_but_not_the_steps(tmp_path: Path) -> None:
    problem = load(tmp_path / "t.jsonl", "?", "He earns 1,080 dollars.\n#### 1,080")
    assert problem.answer == "1080"
    assert problem.solution == "He earns 1,080 dollars.\nThe final answer is \\boxed{1080}."


@pytest.mark.parametrize("answer", ["72", "It is 72.\n####", "It is 72.\n#### many"])
def test_an_answer_without_its_number_is_refused_by_place(tmp_path: Path, answer: str) -> None:
    path = tmp_path / "own.jsonl"
    with pytest.raises(DataError) as caught:
        load(path, "?", answer)
    assert str(caught.value).startswith(f"{path}:1: column `answer` must end in `#### <number>`")


@needs_data
@pytest.mark.parametrize(("split", "count"), [("train", 7473), ("test", 1319)])
def test_every_real_record_loads_and_its_gold_solution_is_graded_right(
    split: str, count: int
) -> None:
    problems = load_problems(DataSection(task="gsm8k", path=str(DATA / f"{split}.jsonl")))
    assert len(problems) == count
    assert problems[-1].id == f"gsm8k-{split}-{count}"
    assert not [p.id for p in problems if "<<" in p.solution or "####" in p.solution]
    answers = [
        Answer(
            problem_id=p.id, text=p.solution, prompt_tokens=1, response_tokens=1, truncated=False
        )
        for p in problems
    ]
    with open_graders(GradeSection()) as grader:
        scores = grader.grade(problems, answers)
    assert [s.problem_id for s in scores if s.outcome is not Outcome.RIGHT] == []


@needs_data
def test_every_original_gold_answer_is_graded_right_too() -> None:
    lines = (DATA / "test.jsonl").read_text(encoding="utf-8").splitlines()
    problems = load_problems(DataSection(task="gsm8k", path=str(DATA / "test.jsonl")))
    answers = [
        Answer(
            problem_id=p.id,
            text=json.loads(line)["answer"],
            prompt_tokens=1,
            response_tokens=1,
            truncated=False,
        )
        for p, line in zip(problems, lines, strict=True)
    ]
    with open_graders(GradeSection()) as grader:
        assert all(score.right for score in grader.grade(problems, answers))
