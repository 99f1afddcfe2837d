"""The task of docs/extending.md: as long as it says, and used as it says."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from leaf.grade import open_graders
from leaf.recipe import DataSection, GradeSection
from leaf.records import Answer, Outcome
from leaf.tasks import TASKS, about, read_problems
from tests.examples.conftest import EXAMPLES

RIDDLES = "How many legs have two cows?\t8\na line without a tab\nWhat is 2 + 3?\t5\n"


@pytest.fixture
def riddles(example: Callable[[str], ModuleType], tmp_path: Path) -> Iterator[DataSection]:
    """The `data` of a recipe that names the task; the task is gone again afterwards."""
    example("own_task")
    path = tmp_path / "riddles.tsv"
    path.write_text(RIDDLES)
    yield DataSection(task="riddles", path=str(path))
    del TASKS["riddles"]


def test_a_new_task_takes_at_most_thirty_lines() -> None:
    lines = (EXAMPLES / "own_task.py").read_text().splitlines()

    assert len(lines) <= 30


def test_its_records_become_problems_and_the_bad_one_is_named(riddles: DataSection) -> None:
    problems, refused = read_problems(riddles)

    assert [(one.id, one.question, one.answer) for one in problems] == [
        ("riddle-1", "How many legs have two cows?", "8"),
        ("riddle-3", "What is 2 + 3?", "5"),
    ]
    assert [str(one) for one in refused] == [
        f"{riddles.path}:2: no tab between question and answer"
    ]


def test_answers_to_its_problems_are_graded(riddles: DataSection) -> None:
    problems, _ = read_problems(riddles)
    said = ("Two cows have four legs each. #### 8", "#### 6")
    answers = [
        Answer(
            problem_id=problem.id, text=text, prompt_tokens=9, response_tokens=3, truncated=False
        )
        for problem, text in zip(problems, said, strict=True)
    ]

    with open_graders(GradeSection()) as grader:
        scores = grader.grade(problems, answers)

    assert [score.outcome for score in scores] == [Outcome.RIGHT, Outcome.WRONG]


def test_it_stands_among_the_tasks_with_its_line(riddles: DataSection) -> None:
    assert about()["riddles"].startswith("A task of your own")
