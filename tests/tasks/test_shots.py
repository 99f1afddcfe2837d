"""Few-shot examples stand before each question, and nothing of them is scored."""

import json
from pathlib import Path
from typing import Any

import pytest

from leaf.errors import DataError
from leaf.recipe import DataSection, ShotsSection
from leaf.records import Turn
from leaf.tasks import load_problems


def write(path: Path, *records: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def sums(count: int) -> list[dict[str, Any]]:
    return [{"q": f"{n} + {n}?", "answer": 2 * n, "work": f"It is {2 * n}."} for n in range(count)]


def section(data: str, **shots: Any) -> DataSection:
    return DataSection.model_validate(
        {
            "task": "table",
            "path": data,
            "columns": {"question": "q", "solution": "work"},
            "after": " Be brief.",
            "shots": shots,
        }
    )


def test_examples_of_another_file_stand_before_the_question_as_text(tmp_path: Path) -> None:
    examples = write(tmp_path / "examples.jsonl", {"ask": "5 + 5?", "answer": 10, "say": "10"})
    columns = {"question": "ask", "solution": "say"}
    data = section(write(tmp_path / "a.jsonl", *sums(2)), count=1, path=examples, columns=columns)
    for number, problem in enumerate(load_problems(data)):
        assert problem.content == f"5 + 5? Be brief.\n10\n\n{number} + {number}? Be brief."
        assert problem.question == f"{number} + {number}?"


def test_examples_of_the_same_file_are_never_the_question_itself(tmp_path: Path) -> None:
    data = section(write(tmp_path / "a.jsonl", *sums(3)), count=2)
    problems = load_problems(data)
    for problem in problems:
        assert problem.before.count("It is") == 2
        assert problem.question not in problem.before
    assert load_problems(data) == problems


def test_examples_as_turns_follow_the_system_turn(tmp_path: Path) -> None:
    chat = [{"role": "system", "content": "Add."}, {"role": "user", "content": "1 + 1?"}]
    path = write(tmp_path / "chat.jsonl", {"q": chat, "answer": 2, "work": ""})
    examples = write(tmp_path / "a.jsonl", {"q": "2 + 2?", "answer": 4, "work": "4"})
    (problem,) = load_problems(section(path, count=1, path=examples, layout="turns"))
    assert problem.turns == (
        Turn(role="system", text="Add."),
        Turn(role="user", text="2 + 2? Be brief."),
        Turn(role="assistant", text="4"),
    )
    assert problem.content == "1 + 1? Be brief."


def test_too_few_examples_say_how_many_there_are(tmp_path: Path) -> None:
    data = section(write(tmp_path / "a.jsonl", *sums(3)), count=3)
    with pytest.raises(DataError, match=r"data.shots.count is 3, but only 2 other records have"):
        load_problems(data)


def test_shots_change_with_their_seed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *sums(30))
    first, other = (load_problems(section(path, count=3, seed=seed)) for seed in (0, 1))
    assert first[0].before != other[0].before
    assert isinstance(section(path, count=3).shots, ShotsSection)
