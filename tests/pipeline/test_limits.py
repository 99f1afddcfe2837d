"""Answers within another limit: those that ended by themselves are taken over, others asked."""

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from leaf.generate import find_for
from leaf.generate.engine import Effort
from leaf.models.files import Source
from leaf.pipeline import workers
from leaf.pipeline.workers import AnswerWorker
from leaf.recipe import DataSection, GenerateSection, ModelSection
from leaf.recipe.data import WorldSection
from leaf.records import Answer, Problem
from leaf.store.store import Store
from leaf.store.work import About
from leaf.tasks import load_problems

LENGTHS = [1, 5, 2, 9, 3, 4, 7]
"""Tokens of the whole answer to each problem."""

PROBLEMS = [
    Problem(id=str(at), question=f"{length}", answer="1", solution="")
    for at, length in enumerate(LENGTHS)
]


class Counting:
    """Says as many words as the question names, within the limit."""

    def __init__(self, limit: int, asked: list[str]) -> None:
        self.effort = Effort()
        self.limit = limit
        self.asked = asked

    def stream(self, asked: Iterable[tuple[Problem, str]]) -> Iterator[tuple[int, Answer]]:
        for number, (problem, _) in enumerate(asked):
            self.asked.append(problem.id)
            length = min(int(problem.question), self.limit)
            yield (
                number,
                Answer(
                    problem_id=problem.id,
                    text="word " * length,
                    prompt_tokens=1,
                    response_tokens=length,
                    truncated=int(problem.question) > self.limit,
                ),
            )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the problems in the order in which an engine was asked."""
    asked: list[str] = []
    monkeypatch.setattr(
        workers,
        "open_engine",
        lambda _section, _source, generate, _tick: contextlib.nullcontext(
            Counting(generate.max_new_tokens, asked)
        ),
    )
    return asked


def work(limit: int, **generate: float | str) -> AnswerWorker:
    return AnswerWorker(
        about=About(role="student"),
        section=ModelSection(model="m"),
        source=Source(name="m", fingerprint="m"),
        generate=GenerateSection.model_validate({"max_new_tokens": limit, **generate}),
    )


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name not in ("times.jsonl", ".shards.jsonl", ".lock")
    }


@pytest.mark.parametrize(
    ("first", "then", "anew"), [(4, 8, ["1", "3", "6"]), (8, 4, ["1", "3", "6"]), (2, 9, "13456")]
)
def test_only_those_that_did_not_end_within_both_limits_are_asked(
    tmp_path: Path, asked: list[str], first: int, then: int, anew: list[str]
) -> None:
    store = Store(tmp_path / "store")
    store.compute(work(first), PROBLEMS, shard_size=2)
    asked.clear()

    found, log = store.compute(work(then), PROBLEMS, shard_size=2)

    assert asked == list(anew)
    assert [one.response_tokens for one in found] == [min(each, then) for each in LENGTHS]
    fresh = Store(tmp_path / "fresh")
    fresh.compute(work(then), PROBLEMS, shard_size=2)
    assert files(fresh.root / "answers" / log.key) == files(store.root / "answers" / log.key)


def test_a_result_that_is_begun_goes_on_and_takes_nothing_over(
    tmp_path: Path, asked: list[str]
) -> None:
    begun, store = Store(tmp_path / "begun"), Store(tmp_path / "store")
    key = work(8).key(PROBLEMS, shard_size=2)
    folders = [each.folder("answers", key) for each in (begun, store)]
    store.compute(work(4), PROBLEMS, shard_size=2)
    begun.compute(work(8), PROBLEMS, shard_size=2)
    shutil.copytree(*folders)
    for name in ("done.json", "part-00001.parquet"):
        (folders[1] / name).unlink()
    asked.clear()

    store.compute(work(8), PROBLEMS, shard_size=2)

    assert asked == ["2", "3"]
    assert files(folders[0]) == files(folders[1])


@pytest.mark.parametrize(("engine", "anew"), [("hf", 3), ("llamacpp", 7), ("openai", 7)])
def test_sampled_answers_are_taken_over_from_an_engine_that_says_them_again(
    tmp_path: Path, asked: list[str], engine: str, anew: int
) -> None:
    store = Store(tmp_path)
    store.compute(work(4, temperature=0.7, engine=engine), PROBLEMS, shard_size=2)
    asked.clear()
    store.compute(work(8, temperature=0.7, engine=engine), PROBLEMS, shard_size=2)
    assert len(asked) == anew


@pytest.mark.parametrize("change", [{"stop": ["x"]}, {"temperature": 0.5}, {"engine": "openai"}])
def test_nothing_is_taken_over_where_more_than_the_limit_is_another(
    tmp_path: Path, asked: list[str], change: dict[str, object]
) -> None:
    store = Store(tmp_path)
    store.compute(work(4), PROBLEMS, shard_size=2)
    asked.clear()
    store.compute(work(8, **change), PROBLEMS, shard_size=2)  # type: ignore[arg-type]
    assert len(asked) == len(PROBLEMS)


@pytest.mark.parametrize("temperature", [2.0, 4.0])
def test_a_real_engine_says_the_same_within_a_longer_limit(
    tmp_path: Path, temperature: float
) -> None:
    model = ModelSection.model_validate(
        {"model": "package:playground/models/student", "dtype": "float32"}
    )
    problems = load_problems(
        DataSection(task="playground", world=WorldSection(size=24, seed=3), path=None)
    )
    base = work(6, temperature=temperature)
    short = replace(base, section=model, source=find_for(model, base.generate))
    longer = replace(short, generate=short.generate.model_copy(update={"max_new_tokens": 12}))

    store, fresh = Store(tmp_path / "store"), Store(tmp_path / "fresh")
    cut, _ = store.compute(short, problems, shard_size=8)
    found, _ = store.compute(longer, problems, shard_size=8)
    expected, _ = fresh.compute(longer, problems, shard_size=8)

    assert 0 < sum(one.truncated for one in cut) < len(cut)
    assert found == expected
