import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

NUMBERS = re.compile(r"\d+")


@pytest.fixture(scope="module")
def maker(tool: Callable[[str], ModuleType]) -> Any:
    return tool("make_demo_problems")


def test_the_shipped_files_are_what_the_tool_writes(maker: Any, tmp_path: Path) -> None:
    maker.main(to=tmp_path)

    for name in ("train.jsonl", "test.jsonl"):
        assert (tmp_path / name).read_bytes() == (maker.FOLDER / name).read_bytes()


def test_every_answer_follows_from_the_numbers_of_its_story(maker: Any) -> None:
    for row in maker.make_rows(300, seed=1, distracted=0.0):
        a, b = map(int, NUMBERS.findall(row.question))
        assert int(row.answer) == (a * b if "in each box" in row.question else a + b)


def test_a_solution_says_the_step_and_its_answer_last(maker: Any) -> None:
    for row in maker.make_rows(300, seed=1, distracted=0.5):
        a, b, result = map(int, NUMBERS.findall(row.solution))
        assert str(result) == row.answer
        assert result == (a * b if " x " in row.solution else a + b)


def test_a_distraction_adds_exactly_one_number_and_never_the_last_sentence(maker: Any) -> None:
    for row in maker.make_rows(300, seed=2, distracted=1.0):
        *story, question = re.split(r"(?<=\.) ", row.question)
        assert len(story) == 2
        assert question.startswith("How many")
        assert len(NUMBERS.findall(row.question)) == 3


def test_no_question_comes_twice(maker: Any) -> None:
    rows = maker.make_rows(300, seed=3, distracted=0.5)

    assert len({row.question for row in rows}) == 300


def test_records_have_the_columns_of_the_demo_recipe(maker: Any, tmp_path: Path) -> None:
    maker.main(to=tmp_path, train=2, test=1)

    lines = (tmp_path / "train.jsonl").read_text().splitlines()
    assert [sorted(json.loads(line)) for line in lines] == [["answer", "question", "solution"]] * 2
