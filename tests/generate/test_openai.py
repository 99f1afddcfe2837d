"""Engine `openai` against a server whose every fault is decided here."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from leaf.errors import ServerError, UsageError
from leaf.generate.engine import seed_of
from leaf.generate.openai import ServedEngine, open_openai
from leaf.models.files import Source
from leaf.recipe import GenerateSection, ModelSection, ServerSection
from leaf.records import Problem
from tests.generate.chat_server import ChatServer, Reply, refused, said
from tests.servers import held_port

NOWHERE = Source(name="small", fingerprint="small")


def problem(text: str) -> Problem:
    return Problem(id=text, question=text, answer="1", solution="")


@contextlib.contextmanager
def engine(
    server: ChatServer | str,
    generate: GenerateSection | None = None,
    *,
    system: str | None = None,
    **changes: Any,
) -> Iterator[ServedEngine]:
    url = server if isinstance(server, str) else server.url
    settings = {"url": url, "workers": 3, "retries": 0, "timeout": 5.0, **changes}
    section = ModelSection(model="small", system=system, server=ServerSection(**settings))
    with open_openai(section, NOWHERE, generate or GenerateSection(), None) as opened:
        yield opened


def only_b(reply: Callable[[int], Reply]) -> Callable[[str, int], Reply]:
    """Answer everything but the question `b`."""
    return lambda text, before: reply(before) if text == "b" else said(f"re: {text}")


def failure_of(reply: Reply, **changes: Any) -> str:
    """Return why `b` has no answer, once its neighbours have theirs."""
    with ChatServer(only_b(lambda _: reply)) as server, engine(server, **changes) as opened:
        a, b, c = opened.answer([problem(text) for text in "abc"])
    assert (a.text, c.text, a.failure, c.failure) == ("re: a", "re: c", None, None)
    assert (b.problem_id, b.text, b.response_tokens, b.truncated) == ("b", "", 0, False)
    assert b.failure
    assert "\n" not in b.failure
    return b.failure


# What is asked and read.


def test_a_request_holds_messages_limit_and_greed_and_nothing_else() -> None:
    with (
        ChatServer() as server,
        engine(
            server, GenerateSection(max_new_tokens=9), system="Be short.", model="big"
        ) as opened,
    ):
        opened.answer([replace(problem("x"), before="See: ", after="?")])
    messages = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "See: x?"},
    ]
    expected = {"model": "big", "messages": messages, "max_tokens": 9, "temperature": 0.0}
    assert server.asked[-1] == expected


def test_a_sampled_answer_has_the_seed_of_its_problem() -> None:
    generate = GenerateSection(temperature=0.7, top_p=0.9, seed=5)
    with ChatServer() as server, engine(server, generate) as opened:
        opened.answer([problem("a"), problem("b")])
    seeds = {body["messages"][0]["content"]: body["seed"] for body in server.asked[1:]}
    assert seeds == {"a": seed_of(5, "a"), "b": seed_of(5, "b")}
    assert {(body["temperature"], body["top_p"]) for body in server.asked} == {(0.7, 0.9)}


def test_texts_that_end_an_answer_are_sent_and_looked_for_where_a_server_did_not() -> None:
    generate = GenerateSection(stop=["\nQuestion:"])
    with (
        ChatServer(lambda _text, _before: said("4\n\nQuestion: b?", end="length")) as server,
        engine(server, generate) as opened,
    ):
        (answer,) = opened.answer([problem("a")])
    assert server.asked[-1]["stop"] == ["\nQuestion:"]
    assert (answer.text, answer.truncated) == ("4\n", False)


def test_counts_and_the_limit_are_read_from_the_answer() -> None:
    def reply(text: str, _: int) -> Reply:
        return said("4", end="length" if text == "cut" else "stop")

    with ChatServer(reply) as server, engine(server) as opened:
        cut, whole = opened.answer([problem("cut"), problem("whole")])
    assert (cut.truncated, whole.truncated) == (True, False)
    assert (whole.prompt_tokens, whole.response_tokens) == (7, 3)
    assert (opened.effort.answers, opened.effort.tokens) == (2, 6)


def test_requests_go_side_by_side_and_answers_keep_their_order() -> None:
    here = threading.Barrier(3)

    def reply(text: str, _: int) -> Reply:
        here.wait(timeout=60)
        # The first is the slowest.
        time.sleep(0.02 * (9 - int(text)))
        return said(f"re: {text}")

    ticked: list[int] = []
    with ChatServer(reply) as server, engine(server) as opened:
        opened._tick = lambda done=1: ticked.append(done)
        answers = opened.answer([problem(str(number)) for number in range(9)])
    assert [answer.text for answer in answers] == [f"re: {number}" for number in range(9)]
    assert server.together == 3
    assert sum(ticked) == 9


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("x" * 1_000_000, "x" * 1_000_000),
        ("", ""),
        (None, ""),
        ("a\ud83db", "a\ufffdb"),
        ("é☕", "é☕"),
    ],
    ids=["a million characters", "empty", "null", "half a character", "other letters"],
)
def test_whatever_text_comes_is_one_that_a_file_can_hold(content: Any, text: str) -> None:
    with ChatServer(lambda *_: said(content)) as server, engine(server) as opened:
        (answer,) = opened.answer([problem("a")])
    assert answer.text == answer.text.encode().decode() == text
    assert answer.failure is None


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "It is "}, {"type": "text", "text": "4."}], "It is 4."),
        ([{"type": "thinking", "thinking": "2 + 2"}, {"type": "text", "text": "4"}], "4"),
        ([{"type": "output_text", "text": "a\ud83d"}], "a\ufffd"),
        ([], ""),
    ],
    ids=["two texts", "what it thought", "another name", "none"],
)
def test_a_message_in_parts_is_read_as_its_text(content: Any, text: str) -> None:
    with ChatServer(lambda *_: said(content)) as server, engine(server) as opened:
        (answer,) = opened.answer([problem("a")])
    assert (answer.text, answer.failure) == (text, None)


@pytest.mark.parametrize(
    ("end", "limit", "truncated"),
    [
        ("stop", 3, False),
        ("eos", 9, False),
        ("eos_token", 9, False),
        ("end_turn", 9, False),
        ("length", 9, True),
        ("max_tokens", 9, True),
        # The server of the test counts three tokens.
        (None, 4, False),
        (None, 3, True),
    ],
)
def test_every_name_of_an_end_is_understood(end: Any, limit: int, truncated: bool) -> None:
    generate = GenerateSection(max_new_tokens=limit)
    with ChatServer(lambda *_: said("4", end=end)) as server, engine(server, generate) as opened:
        (answer,) = opened.answer([problem("a")])
    assert (answer.text, answer.failure, answer.truncated) == ("4", None, truncated)


# Models that take other words.


def test_the_limit_has_the_name_that_the_model_takes_and_sampling_may_stay_unsaid() -> None:
    generate = GenerateSection(max_new_tokens=9, temperature=0.7)
    other = {"limit": "max_completion_tokens", "sampling": False}
    with ChatServer() as server, engine(server, generate, **other) as opened:
        opened.answer([problem("x")])
    for body, tokens in zip(server.asked, (1, 9), strict=True):
        assert body.keys() == {"model", "messages", "max_completion_tokens"}
        assert body["max_completion_tokens"] == tokens


@pytest.mark.parametrize(
    ("message", "way_out"),
    [
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "set server.limit: max_completion_tokens",
        ),
        (
            "Unsupported value: 'temperature' does not support 0 with this model.",
            "set server.sampling: false",
        ),
        (
            "temperature must be in [0, 2], got 3.0. (parameter=temperature, value=3.0)",
            "lower generate.temperature",
        ),
        (
            "max_tokens=600 cannot be greater than max_model_len=512. Please request fewer output "
            "tokens. (parameter=max_tokens, value=600)",
            "lower generate.max_new_tokens, or start vLLM with a larger --max-model-len",
        ),
    ],
)
def test_a_refused_word_names_the_setting(message: str, way_out: str) -> None:
    with (
        ChatServer(try_out=refused(400, message)) as server,
        pytest.raises(ServerError) as raised,
        engine(server),
    ):
        pass
    assert str(raised.value).endswith(way_out)


def test_an_answer_in_bytes_that_are_not_utf_8_fails_alone() -> None:
    reply = said("PLACE")
    failure = failure_of(replace(reply, body=reply.body.replace(b"PLACE", b"\xff\xfe\xfa")))
    assert "utf-8" in failure


# Faults of one request.


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (refused(500, "out of luck"), "(500: out of luck)"),
        (refused(400, "maximum context length is 8 tokens"), "maximum context length is 8"),
        (Reply(body=b"{garbage"), "Expecting"),
        (Reply(body=b"<html>hello</html>", kind="text/html"), "no chat completion: '<html>"),
        (Reply(body=b"[1, 2]"), "no chat completion"),
        (said("x", choices=[]), "no chat completion"),
        (said({"text": 4}), "no chat completion"),
        (said("x", end="content_filter"), "ended with 'content_filter'"),
        (said("x", usage=None), "without `usage`"),
        (replace(said("x"), announced=10_000), "cannot be reached"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_faulty_answer_is_one_failure_in_one_line(reply: Reply, words: str) -> None:
    assert words in failure_of(reply)


def test_a_request_without_an_answer_in_time_fails_alone() -> None:
    asked_no_more = threading.Event()

    def late(_: int) -> Reply:
        asked_no_more.wait(60)
        return said("late")

    with ChatServer(only_b(late)) as server, engine(server, timeout=2.0) as opened:
        a, b, c = opened.answer([problem(text) for text in "abc"])
        asked_no_more.set()
    assert (a.failure, c.failure) == (None, None)
    assert "no answer in time" in str(b.failure)


def test_a_fault_that_passes_is_tried_again_and_leaves_no_trace() -> None:
    twice = only_b(lambda before: said("ok") if before == 2 else refused(503, "busy"))
    with ChatServer(twice) as server, engine(server, retries=2) as opened:
        answers = opened.answer([problem(text) for text in "ab"])
    assert [answer.failure for answer in answers] == [None, None]
    assert answers[1].text == "ok"


def test_a_fault_that_stays_is_tried_so_often_and_then_reported() -> None:
    with (
        ChatServer(only_b(lambda _: refused(500, "no"))) as server,
        engine(server, retries=1) as opened,
    ):
        answers = opened.answer([problem("b")])
    assert answers[0].failure
    assert sum(body["messages"][0]["content"] == "b" for body in server.asked) == 2


# Faults of the server, before hours are spent.


def test_a_server_that_is_not_there_is_named() -> None:
    with held_port() as port, pytest.raises(ServerError) as raised:
        url = f"http://127.0.0.1:{port}/v1"
        with engine(url):
            pass
    assert str(raised.value).startswith(f"{url}: cannot be reached (")
    assert str(raised.value).endswith("start the model's server, or set server.url")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (refused(404, "The model `small` does not exist."), "set server.model, or server.url"),
        (refused(401, "no key"), "access refused (401); set server.key_variable"),
        (refused(400, "max_tokens is not supported"), "(400: max_tokens is not supported)"),
        (said("x", usage=None), "without `usage`"),
        (Reply(body=b"<html>", kind="text/html"), "mostly ends with /v1"),
        (Reply(body=b"{garbage"), "mostly ends with /v1"),
        (Reply(body=b""), "mostly ends with /v1"),
    ],
    ids=["model", "key", "setting", "usage", "place", "no JSON", "nothing"],
)
def test_a_server_that_cannot_be_used_is_found_by_the_first_token(reply: Reply, words: str) -> None:
    with (
        ChatServer(try_out=reply) as server,
        pytest.raises(ServerError) as raised,
        engine(server),
    ):
        pass
    assert str(raised.value).startswith(server.url)
    assert words in str(raised.value)
    assert len(server.asked) == 1


def test_a_server_that_goes_away_ends_the_work() -> None:
    with contextlib.ExitStack() as running:
        server = running.enter_context(ChatServer())
        with engine(server) as opened:
            opened.answer([problem("a")])
            running.close()
            with pytest.raises(ServerError, match="cannot be reached"):
                opened.answer([problem("a")])


def test_a_model_that_goes_away_ends_the_work_and_the_rest_is_not_asked() -> None:
    with (
        ChatServer(lambda *_: refused(404, "gone")) as server,
        engine(server) as opened,
        pytest.raises(ServerError, match="gone"),
    ):
        opened.answer([problem(str(number)) for number in range(200)])
    assert len(server.asked) < 100


def test_a_response_that_is_begun_is_refused() -> None:
    begun = Problem(id="a/r1", prompt="q", question="so", answer="1", solution="")
    with (
        ChatServer() as server,
        engine(server) as opened,
        pytest.raises(UsageError, match=r"begun \(a/r1\); response level needs engine hf"),
    ):
        opened.answer([problem("a"), begun])
    assert len(server.asked) == 1


def test_a_section_without_a_server_says_what_to_set() -> None:
    section = ModelSection(model="small")
    with pytest.raises(UsageError, match=r"set `server\.url`"):
        open_openai(section, NOWHERE, GenerateSection(), None).__enter__()


# The key.


def test_the_key_goes_into_the_header_and_into_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_KEY", "secret-123")
    reply = refused(500, "who is secret-123?")
    with (
        ChatServer(only_b(lambda _: reply)) as server,
        engine(server, key_variable="MODEL_KEY") as opened,
    ):
        answers = opened.answer([problem("a"), problem("b")])
    assert {head["authorization"] for head in server.headers} == {"Bearer secret-123"}
    assert "who is ***?" in str(answers[1].failure)
    assert "secret-123" not in json.dumps([str(answer) for answer in answers])


def test_without_a_key_variable_no_key_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret-123")
    with ChatServer() as server, engine(server) as opened:
        opened.answer([problem("a")])
    assert "secret-123" not in json.dumps(server.headers)


def test_a_key_that_is_not_set_and_a_missing_client_are_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MODEL_KEY", raising=False)
    with (
        pytest.raises(UsageError, match="MODEL_KEY is not set"),
        engine("x", key_variable="MODEL_KEY"),
    ):
        pass
    monkeypatch.setattr("leaf.models.server.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'pip install "leaf-distill\[served\]"'), engine("x"):
        pass
