"""A request that failed is never a result: it is counted, named, and asked again."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from leaf.generate import find_for, open_engine
from leaf.generate.engine import Engine, Unanswered, unanswered
from leaf.grade import GRADERS, Grader, Tools
from leaf.grade.judgement import Judgement, decided
from leaf.pipeline.session import Session
from leaf.recipe import GenerateSection, ModelSection, Section, ServerSection
from leaf.recipe.reading import check_recipe
from leaf.records import Answer, Outcome, Problem
from leaf.store.store import Store
from leaf.store.work import About
from tests.command_line import leaf
from tests.generate.chat_server import ChatServer, Reply, refused, said

COUNT = 20


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Questions 0, 1, ... whose answers are their own numbers."""
    path = tmp_path / "table.jsonl"
    rows = [{"question": f"Say {n}", "answer": str(n)} for n in range(COUNT)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def right(text: str, before: int) -> Reply:
    return said(text.split()[1])


def but(*numbers: int, reply: Reply) -> Callable[[str, int], Reply]:
    """Answer right but for some questions."""

    def answered(text: str, before: int) -> Reply:
        return reply if int(text.split()[1]) in numbers else right(text, before)

    return answered


def evaluate(server: ChatServer, table: Path, out: Path, *sets: str) -> Any:
    words = ["evaluate", "--model", "m", "--engine", "openai", "--url", server.url]
    words += ["--benchmark", f"table={table}", "--out", str(out)]
    for setting in ("student.server.retries=0", "store.shard_size=8", *sets):
        words += ["--set", setting]
    return leaf(*words)


def asked(server: ChatServer) -> list[str]:
    return [body["messages"][-1]["content"] for body in server.asked][1:]


BUSY = refused(429, "slow down")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (BUSY, "(429: slow down)"),
        (refused(500, "out of luck"), "(500: out of luck)"),
        (refused(408, "late"), "(408: late)"),
        (Reply(body=b'{"error": {"code": 429, "message": "x"}}'), "no chat completion"),
        (Reply(body=b"<html>please wait</html>", kind="text/html"), "no chat completion"),
        (said("x", end="error"), "ended with 'error'"),
        (Reply(body=said("x").body, announced=9999), "cannot be reached"),
    ],
    ids=["429", "500", "408", "200 with an error", "200 with a page", "end: error", "cut"],
)
def test_a_failed_request_is_no_result_and_the_same_command_asks_it_alone_again(
    table: Path, tmp_path: Path, reply: Reply, words: str
) -> None:
    with ChatServer(but(3, 4, 17, reply=reply)) as server:
        done = evaluate(server, table, tmp_path / "out")
    assert done.code == 1
    assert "table: 3 of 20 are missing, since requests failed, the last: " in done.err
    assert words in done.err
    assert done.err.count("leaf: ") == 1
    assert not (tmp_path / "out" / "scores.json").exists()
    assert not list((tmp_path / "out" / "store").glob("*/*/done.json"))
    # Under another address it would be another model.
    again = ChatServer(right, port=server.port)
    with again:
        done = evaluate(again, table, tmp_path / "out")
    assert done.code == 0, done.err
    assert sorted(asked(again)) == ["Say 17", "Say 3", "Say 4"]
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert scores["scores"]["table"]["mean"] == 1.0
    assert scores["scores"]["table"]["ungradable"] == 0


def test_what_comes_in_the_end_is_what_would_have_come_at_once(table: Path, tmp_path: Path) -> None:
    """Byte for byte, but for notes of time."""
    with ChatServer(right) as server:
        assert evaluate(server, table, tmp_path / "whole").code == 0
    with ChatServer(but(0, 9, reply=BUSY), port=server.port) as server:
        assert evaluate(server, table, tmp_path / "out").code == 1
    with ChatServer(but(9, reply=BUSY), port=server.port) as server:
        assert evaluate(server, table, tmp_path / "out").code == 1
    with ChatServer(right, port=server.port) as server:
        assert evaluate(server, table, tmp_path / "out").code == 0

    def results(folder: Path) -> dict[str, bytes]:
        files = (path for path in (folder / "store").rglob("*") if path.is_file())
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in files
            if path.name != "times.jsonl"
        }

    assert results(tmp_path / "out") == results(tmp_path / "whole")


def test_a_run_goes_on_without_as_many_answers_as_it_may(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with ChatServer(but(3, 4, reply=BUSY)) as server:
        assert evaluate(server, table, out, "generate.missing=1").code == 1
        done = evaluate(server, table, out, "generate.missing=2")
        assert done.code == 0
        assert "2 of 20 requests failed, the last: " in done.err
        assert "(429: slow down)" in done.err
    scores = json.loads((out / "scores.json").read_text())
    assert scores["missing"] == {"table": 2}
    assert (scores["scores"]["table"]["ungradable"], scores["scores"]["table"]["n"]) == (2, 20)
    lines = [
        json.loads(line) for line in (out / "answers" / "table.jsonl").read_text().splitlines()
    ]
    reasons = {line["id"]: line["reason"] for line in lines if line["outcome"] == "ungradable"}
    assert reasons.keys() == {"table-4", "table-5"}
    assert all("no answer: " in reason and "429" in reason for reason in reasons.values())
    # They are still asked for again, and nothing of it stays.
    with ChatServer(right, port=server.port) as server:
        assert evaluate(server, table, out, "generate.missing=2").code == 0
        assert sorted(asked(server)) == ["Say 3", "Say 4"]
    scores = json.loads((out / "scores.json").read_text())
    assert (scores["missing"], scores["scores"]["table"]["ungradable"]) == ({}, 0)


def test_a_prompt_that_is_too_long_is_an_outcome_and_not_asked_again(
    table: Path, tmp_path: Path
) -> None:
    reply = refused(400, "This model's maximum context length is 8 tokens")
    with ChatServer(but(3, reply=reply)) as server:
        assert evaluate(server, table, tmp_path / "out").code == 0
        before = len(server.asked)
        assert evaluate(server, table, tmp_path / "out").code == 0
    assert len(server.asked) == before
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert scores["scores"]["table"]["ungradable"] == 1


def test_a_server_that_allows_so_many_requests_a_while_is_waited_for(
    table: Path, tmp_path: Path
) -> None:
    """Seven requests a second, then 429 with the second in which it may be asked again."""
    lock, times, waits = threading.Lock(), list[float](), list[float]()
    refused_at: dict[str, float] = {}

    def limited(text: str, before: int) -> Reply:
        with lock:
            now = time.monotonic()
            if text in refused_at:
                waits.append(now - refused_at.pop(text))
            times[:] = [at for at in times if now - at < 1.0]
            if len(times) >= 7:
                refused_at[text] = now
                return refused(429, "slow down", Retry_After="1")
            times.append(now)
        return right(text, before)

    with ChatServer(limited) as server:
        done = evaluate(server, table, tmp_path / "out", "student.server.retries=8")
    assert done.code == 0, done.err
    # Nobody asks again before the second is over, with a hair's breadth for clocks.
    assert waits == [] or min(waits) > 0.99
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert scores["scores"]["table"]["mean"] == 1.0


def test_a_server_that_is_gone_keeps_what_it_answered(table: Path, tmp_path: Path) -> None:
    gone = refused(401, "no key")
    with ChatServer(but(*range(12, COUNT), reply=gone)) as server:
        done = evaluate(server, table, tmp_path / "out", "student.server.workers=1")
    assert done.code == 1
    assert "8 of 20 are missing" in done.err
    assert "access refused (401)" in done.err
    # After the first refusal nobody was asked.
    assert len(asked(server)) == 13
    with ChatServer(right, port=server.port) as server:
        assert evaluate(server, table, tmp_path / "out").code == 0
        assert len(asked(server)) == 8


def test_where_nothing_comes_through_not_every_question_is_tried_for_long(
    table: Path, tmp_path: Path
) -> None:
    with ChatServer(lambda *_: BUSY) as server:
        done = evaluate(server, table, tmp_path / "out", "student.server.workers=2")
    assert done.code == 1
    assert "20 of 20 are missing" in done.err
    assert len(asked(server)) <= 2 * 4 + 1


# Every engine, local ones too: what it says is `Unanswered` is.


class Moody:
    """An engine of somebody's own."""

    def __init__(self, fails: set[str]) -> None:
        from leaf.generate.engine import Effort

        self.effort = Effort()
        self.fails = fails
        self.asked: list[str] = []

    def answer(
        self, problems: Sequence[Problem], drafts: Sequence[str] | None = None
    ) -> list[Answer]:
        self.asked += [problem.id for problem in problems]
        return [
            unanswered(problem.id, "exit 9")
            if problem.id in self.fails
            else Answer(
                problem_id=problem.id,
                text=problem.answer,
                prompt_tokens=1,
                response_tokens=1,
                truncated=False,
            )
            for problem in problems
        ]

    def stream(self, problems: Any) -> Iterator[tuple[int, Answer]]:
        return enumerate(self.answer([problem for problem, _ in problems]))


def test_an_engine_of_ones_own_can_say_that_a_request_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leaf.generate import ENGINES
    from leaf.models.files import Source

    engine = Moody({"p1"})
    monkeypatch.setitem(ENGINES, "hf", lambda *_: contextlib.nullcontext(engine))
    problems = [Problem(id=f"p{n}", question="q", answer=str(n), solution="") for n in range(3)]
    section, source = ModelSection(model="m"), Source(name="m", fingerprint="m")
    values = {"name": "own", "data": {"task": "table"}, "evaluate": {"benchmarks": {}}}
    values |= {"student": {"model": "m"}, "teacher": {"model": "m"}}
    values |= {"generate": {"missing": 1}}
    session = Session(check_recipe(values, source="own"), Store(tmp_path))
    answers, scores = session.answers(section, source, problems, About(role="student"))
    assert [isinstance(answer, Unanswered) for answer in answers] == [False, True, False]
    assert [score.outcome for score in scores] == [
        Outcome.RIGHT,
        Outcome.UNGRADABLE,
        Outcome.RIGHT,
    ]
    assert "exit 9" in session.notes[0]
    engine.fails.clear()
    engine.asked.clear()
    session = Session(session.recipe, Store(tmp_path))
    _, scores = session.answers(section, source, problems, About(role="student"))
    assert engine.asked == ["p1"]
    assert all(score.right for score in scores)


# A judge.


class Judged(Grader):
    """Asks a served model whether an answer is right."""

    name = "judged"

    class Options(Section):
        """Where."""

        url: str = ""

    options: Options

    def grade_many(
        self, problems: Sequence[Problem], answers: Sequence[Answer], tools: Tools
    ) -> list[Judgement]:
        said = tools.keep(self, self._engine).answer(list(problems))
        return [
            decided(one.text == problem.answer, one.text)
            for one, problem in zip(said, problems, strict=True)
        ]

    @contextmanager
    def _engine(self) -> Iterator[Engine]:
        server = ServerSection(url=self.options.url, retries=0)
        section = ModelSection(model="judge", engine="openai", server=server)
        generate = GenerateSection()
        with open_engine(section, find_for(section, generate), generate) as engine:
            yield engine


def test_a_judge_whose_request_failed_gives_no_verdict(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(GRADERS, "judged", Judged)
    with (
        ChatServer(right) as model,
        ChatServer(but(9, 10, reply=refused(502, "bad gateway"))) as judge,
    ):
        own = f"evaluate.benchmarks.table.grader.judged.url={judge.url}"
        done = evaluate(model, table, tmp_path / "out", own)
        assert done.code == 1
        assert "2 of 8 requests failed, the last: " in done.err
        assert "(502: bad gateway)" in done.err
        graded = list((tmp_path / "out" / "store" / "scores").glob("*/part-*"))
        assert [path.name for path in graded] == ["part-00000.parquet"]
        before = len(judge.asked), len(model.asked)
    with ChatServer(right, port=model.port) as model, ChatServer(right, port=judge.port) as judge:
        done = evaluate(model, table, tmp_path / "out", own)
        assert done.code == 0, done.err
        assert model.asked == []
        # Shards of 8: the first was judged.
        assert len(asked(judge)) == COUNT - 8
    assert before[0] > 8


def test_the_shipped_judge_follows_the_same_rule_and_is_asked_for_what_is_missing_alone(
    table: Path, tmp_path: Path
) -> None:
    def lost(prompt: str, before: int) -> Reply:
        number = int(prompt.partition("<answer>\n")[2].partition("\n")[0])
        return refused(502, "bad gateway") if number in (9, 10) else said("right")

    with ChatServer(right) as model, ChatServer(lost) as judge:
        server = f"{{url: '{judge.url}', retries: 0}}"
        own = f"evaluate.benchmarks.table.grader={{judge: {{model: m, server: {server}}}}}"
        done = evaluate(model, table, tmp_path / "out", own)
        assert done.code == 1
        assert "grading table: 2 of 20 are missing, since requests failed, the last: " in done.err
        assert "(502: bad gateway)" in done.err
        done = evaluate(model, table, tmp_path / "out", own, "generate.missing=2")
        assert done.code == 0, done.err
        assert "note: grading table: 2 of 20 requests failed" in done.err
        before = len(asked(judge))
    assert before > 20
    with (
        ChatServer(right, port=model.port) as model,
        ChatServer(lambda *_: said("right"), port=judge.port) as judge,
    ):
        done = evaluate(model, table, tmp_path / "out", own)
        assert done.code == 0, done.err
        assert (model.asked, len(asked(judge))) == ([], 2)
