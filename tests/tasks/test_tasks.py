"""What `load_problems` does for every task."""

import json
from pathlib import Path

import pytest

from leaf.errors import DataError
from leaf.recipe import ColumnsSection, DataSection
from leaf.tasks import TASKS, load_problems


@pytest.fixture
def ten(tmp_path: Path) -> str:
    path = tmp_path / "ten.jsonl"
    records = [{"question": f"{n}?", "answer": n, "key": f"k{n % 9}"} for n in range(10)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def test_problems_come_in_file_order_up_to_the_limit(ten: str) -> None:
    problems = load_problems(DataSection(task="table", path=ten, limit=3))
    assert [p.answer for p in problems] == ["0", "1", "2"]


def test_a_limit_beyond_the_data_takes_all(ten: str) -> None:
    assert len(load_problems(DataSection(task="table", path=ten, limit=11))) == 10


def test_shuffling_depends_on_the_seed_alone_and_comes_before_the_limit(ten: str) -> None:
    def order(seed: int, limit: int | None = None) -> list[str]:
        section = DataSection(task="table", path=ten, shuffle=True, seed=seed, limit=limit)
        return [p.id for p in load_problems(section)]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == sorted(f"ten-{n}" for n in range(1, 11))
    assert order(1, limit=4) == order(1)[:4]


def test_the_recipes_words_replace_the_tasks_own(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"question": "How many?", "answer": "One.\\n#### 1"}\n')
    section = DataSection(
        task="gsm8k", path=str(path), grader="math", before="Think. ", after=" Now."
    )
    (problem,) = load_problems(section)
    assert problem.grader == "math"
    assert problem.content == "Think. How many? Now."


def test_an_empty_text_replaces_the_tasks_own_as_well(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"question": "How many?", "answer": "One.\\n#### 1"}\n')
    (problem,) = load_problems(DataSection(task="gsm8k", path=str(path), after=""))
    assert problem.content == "How many?"


def test_an_unknown_task_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(DataError) as caught:
        load_problems(DataSection(task="gms8k"))
    assert str(caught.value) == (
        f"task `gms8k` is unknown; did you mean `gsm8k`? there are: {', '.join(TASKS)}"
    )


def test_two_records_with_one_id_are_refused_by_number(ten: str) -> None:
    section = DataSection(task="table", path=ten, columns=ColumnsSection(id="key"), limit=2)
    with pytest.raises(DataError) as caught:
        load_problems(section)
    assert str(caught.value).startswith(f"{ten}: records 1 and 10 both have the id `k0`")
