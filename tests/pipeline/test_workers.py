"""Answering streams through shards: who ends in one makes room for those of the next."""

import contextlib
from dataclasses import replace

import pytest

from leaf.generate.engine import Effort
from leaf.models.files import Source
from leaf.pipeline import workers
from leaf.pipeline.workers import AnswerWorker
from leaf.recipe import GenerateSection, ModelSection
from leaf.records import Answer, Problem
from leaf.store.runner import LocalRunner
from leaf.store.work import About


def answer_to(problem: Problem, draft: str) -> Answer:
    return Answer(
        problem_id=problem.id,
        text=draft or problem.question,
        prompt_tokens=1,
        response_tokens=1,
        truncated=False,
    )


class Reversing:
    """Takes three problems at a time and answers the last of them first."""

    def __init__(self):
        self.effort = Effort()
        self.taken = []

    def stream(self, asked):
        open_ = []
        for number, (problem, draft) in enumerate(asked):
            self.taken.append(problem.id)
            open_.append((number, answer_to(problem, draft)))
            if len(open_) == 3:
                yield open_.pop()
        while open_:
            yield open_.pop()


@pytest.fixture
def engine(monkeypatch):
    engine = Reversing()
    monkeypatch.setattr(workers, "open_engine", lambda *_: contextlib.nullcontext(engine))
    return engine


def job(drafts=None) -> AnswerWorker:
    return AnswerWorker(
        section=ModelSection(model="m"),
        source=Source(name="m", fingerprint="m"),
        generate=GenerateSection(),
        about=About(role="student"),
        drafts=drafts,
    )


def test_texts_that_end_an_answer_are_named_only_where_there_are_any() -> None:
    plain = job()
    stopped = replace(plain, generate=GenerateSection(stop=["\nQ:"]))
    assert "stop" not in plain.settings([])
    assert stopped.settings([]) == plain.settings([]) | {"stop": ["\nQ:"]}


SHARDS = [
    (shard, [Problem(id=f"{shard}{at}", question="q", answer="1", solution="") for at in range(n)])
    for shard, n in ((4, 2), (7, 3), (9, 1))
]


def test_each_shard_comes_whole_and_in_order_when_its_last_answer_is_there(engine):
    found = LocalRunner().run(job().open, iter(SHARDS), lambda _=1: None)
    shard, answers = next(found)
    # Both of shard 4 are still open.
    assert (shard, engine.taken) == (7, ["40", "41", "70", "71", "72"])
    done = {shard: answers, **dict(found)}
    assert {at: [one.problem_id for one in answers] for at, answers in done.items()} == {
        at: [one.id for one in problems] for at, problems in SHARDS
    }


def test_a_draft_reaches_the_problem_that_it_is_of(engine):
    drafts = {"71": "a draft", "90": "another"}
    done = dict(LocalRunner().run(job(drafts).open, iter(SHARDS), lambda _=1: None))
    said = {one.problem_id: one.text for answers in done.values() for one in answers}
    assert said == {**dict.fromkeys(said, "q"), **drafts}


def test_a_single_shard_is_answered_in_order(engine):
    with job().open(lambda _=1: None) as work:
        assert [one.problem_id for one in work(SHARDS[1][1])] == ["70", "71", "72"]
    assert engine.taken == ["70", "71", "72"]
