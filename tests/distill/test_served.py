"""A teacher on a server is kept as one in memory is, and what a server lacks is said in a line."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from leaf.distill import Distiller, Sample, TrainingExample
from leaf.distill.cache import TeacherCache, fill
from leaf.distill.keep import keep_tops
from leaf.distill.sample import content_key
from leaf.distill.served import check_model, keep_served, missing_served, open_client
from leaf.distill.teacher import OnlineStates, TopKTeacher
from leaf.errors import MissingError, ServerError, UsageError
from leaf.models.files import Source
from leaf.models.load import Loaded
from leaf.models.output_head import output_head
from leaf.models.prompt_format import EncodedExample
from leaf.recipe import DistillSection, ServedSection
from leaf.recipe.reading import RecipeError, load_recipe
from tests.servers import Answer, LogprobServer, held_port

ITEMS = [
    EncodedExample(ids=(5, 9, 22, 7, 31, 40, 3, 18, 2), prompt_length=6),
    EncodedExample(ids=(11, 4, 58, 2), prompt_length=1),
    EncodedExample(ids=(5, 9, 22, 31, 40, 3, 18, 2), prompt_length=5),
]


def loaded(model: Any) -> Loaded:
    source = Source(name="tiny", fingerprint="tiny")
    return Loaded(
        source=source, model=model, tokenizer=None, device=torch.device("cpu"), dtype=model.dtype
    )


@pytest.fixture(scope="module")
def teacher(tiny_model: Callable[..., Any]) -> Any:
    return tiny_model("llama", seed=2, dtype=torch.float32)


def local(teacher: Any, *, k: int, vocabulary: int = 61) -> list[dict[str, torch.Tensor]]:
    head = output_head(teacher).first(vocabulary)
    settings = {"k": k, "temperature": 1.0, "token_budget": 99, "chunk": 4}
    return keep_tops(OnlineStates(loaded(teacher)), head, **settings)(ITEMS)


def asked(
    server: LogprobServer, *, k: int = 8, vocabulary: int = 61, **changes: Any
) -> list[dict[str, torch.Tensor]]:
    """Ask about the three conversations; nothing is tried twice."""
    section = ServedSection(url=server.url, workers=2, **changes)
    name = section.model or "teacher"
    with open_client(section, retries=0, timeout=10.0) as client:
        return keep_served(section, client, name, k=k, vocabulary=vocabulary)(ITEMS)


def refused(server: LogprobServer, **changes: Any) -> str:
    with server, pytest.raises(ServerError) as raised:
        asked(server, **changes)
    text = str(raised.value)
    assert "\n" not in text
    assert text.startswith(server.url)
    return text


def twisted(change: Callable[[list[Any]], Any]) -> Callable[[Answer], Answer]:
    """Return a twist of the prompt_logprobs."""

    def twist(answer: Answer) -> Answer:
        choice = answer[1]["choices"][0]
        choice["prompt_logprobs"] = change(choice["prompt_logprobs"])
        return answer

    return twist


# What is kept.


@pytest.mark.parametrize("k", [1, 8, 61, 99])
def test_a_server_s_entries_are_those_of_the_model_in_memory(teacher: Any, k: int) -> None:
    with LogprobServer(teacher, most=99) as server:
        found = asked(server, k=k)
    for ours, theirs in zip(found, local(teacher, k=k), strict=True):
        assert ours["ids"].dtype is torch.int32
        assert ours["log"].dtype is torch.float32
        assert torch.equal(ours["ids"], theirs["ids"])
        torch.testing.assert_close(ours["log"], theirs["log"], rtol=1e-6, atol=1e-6)


def test_training_from_a_server_is_training_from_the_local_cache(
    teacher: Any, tiny_model: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [
        TrainingExample(problem_id=str(n), content="", response="", counterfactual=n == 2)
        for n in range(3)
    ]
    samples = [Sample(row=row, tokens=item) for row, item in zip(rows, ITEMS, strict=True)]
    gradients = []
    with LogprobServer(teacher) as server:
        for name, entries in (("local", local(teacher, k=8)), ("served", asked(server))):
            (tmp_path / name).mkdir()
            cache = TeacherCache(tmp_path / name, "key", "topk")
            cache.add(ITEMS, entries)
            student = tiny_model("llama", seed=1, dtype=torch.float32)
            section = DistillSection(compute_dtype="float32")
            made = Distiller(loaded(student), TopKTeacher(cache=cache, entries=61), section)
            loss = made.backward(samples, 0.3).loss
            flat = [parameter.grad.flatten() for parameter in student.parameters()]
            gradients.append(torch.cat([torch.tensor([loss]), *flat]))
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-5, atol=1e-6)


def test_requests_hold_the_student_s_token_ids_and_come_back_in_order(teacher: Any) -> None:
    with LogprobServer(teacher) as server:
        asked(server)
    assert sorted(body["prompt"] for body in server.asked) == sorted(
        list(item.ids) for item in ITEMS
    )
    assert {body["prompt_logprobs"] for body in server.asked} == {8}


def test_what_the_student_cannot_say_is_left_out_and_the_rest_renormalised(
    teacher: Any, tiny_model: Callable[..., Any]
) -> None:
    # With every token known, dropping those from 50 on is the softmax over the first 50.
    items = [item for item in ITEMS if max(item.ids) < 50]
    with LogprobServer(teacher) as server:
        section = ServedSection(url=server.url)
        with open_client(section) as client:
            entries = keep_served(section, client, "teacher", k=61, vocabulary=50)(items)
    for item, entry in zip(items, entries, strict=True):
        logits = teacher(input_ids=torch.tensor([item.ids])).logits[0, item.prompt_length - 1 : -1]
        expected = torch.log_softmax(logits[:, :50], -1).sort(descending=True)
        assert torch.equal(entry["ids"].long(), expected.indices)
        torch.testing.assert_close(entry["log"], expected.values, rtol=0, atol=1e-5)


def test_a_second_fill_asks_nothing(teacher: Any, tmp_path: Path) -> None:
    with LogprobServer(teacher) as server:
        section = ServedSection(url=server.url)
        with open_client(section) as client:
            produce = keep_served(section, client, "teacher", k=8, vocabulary=61)
            for _ in range(2):
                cache = TeacherCache(tmp_path, "key", "topk")
                fill(cache, ITEMS, produce, lambda done: None)
    assert len(server.asked) == len(ITEMS) == len({content_key(item) for item in ITEMS})


def test_what_a_server_answered_is_kept_and_the_rest_is_asked_again(
    teacher: Any, tmp_path: Path
) -> None:
    busy = {ITEMS[0].ids, ITEMS[2].ids}

    def fill_by(server: LogprobServer) -> None:
        section = ServedSection(url=server.url)
        with open_client(section, retries=0) as client:
            produce = keep_served(section, client, "teacher", k=8, vocabulary=61)
            fill(TeacherCache(tmp_path, "key", "topk"), ITEMS, produce, lambda done: None)

    class Busy(LogprobServer):
        def complete(self, body: dict[str, Any]) -> Answer:
            if tuple(body["prompt"]) in busy:
                return 429, {"error": {"message": "slow down"}}
            return super().complete(body)

    with Busy(teacher) as server, pytest.raises(MissingError) as raised:
        fill_by(server)
    assert str(raised.value).startswith("2 requests of 3 rows failed, the last: http://")
    assert "(429: slow down)" in str(raised.value)
    assert len(TeacherCache(tmp_path, "key", "topk").missing(ITEMS)) == 2
    with LogprobServer(teacher) as server:
        fill_by(server)
    assert {tuple(body["prompt"]) for body in server.asked} == busy
    assert not TeacherCache(tmp_path, "key", "topk").missing(ITEMS)


# The key.


def test_the_key_is_sent_as_bearer_and_lies_nowhere_on_disk(
    teacher: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_KEY", "secret-123")
    with LogprobServer(teacher, key="secret-123") as server:
        entries = asked(server, key_variable="TEACHER_KEY")
    assert {head["authorization"] for head in server.headers} == {"Bearer secret-123"}
    TeacherCache(tmp_path, "key", "topk").add(ITEMS, entries)
    assert all(b"secret-123" not in path.read_bytes() for path in tmp_path.rglob("*"))


def test_without_a_key_variable_no_key_is_sent_whatever_the_environment_holds(
    teacher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "secret-123")
    with LogprobServer(teacher) as server:
        asked(server)
    assert all("authorization" not in head for head in server.headers)
    assert "secret-123" not in json.dumps(server.headers)


def test_a_refused_key_is_not_shown(teacher: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", "wrong-456")
    text = refused(LogprobServer(teacher, key="secret-123"), key_variable="TEACHER_KEY")
    assert text.endswith(": access refused (401); check the key in TEACHER_KEY")


def test_a_missing_key_names_the_setting(teacher: Any) -> None:
    text = refused(LogprobServer(teacher, key="secret-123"))
    assert text.endswith("set distill.served.key_variable")


def test_a_server_s_words_are_shown_without_the_key(
    teacher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_KEY", "secret-123")
    server = LogprobServer(
        teacher, twist=lambda _: (422, {"error": {"message": "bad\nrequest of secret-123"}})
    )
    text = refused(server, key_variable="TEACHER_KEY")
    assert "(422: bad request of ***)" in text


def test_an_empty_key_variable_is_found_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TEACHER_KEY", raising=False)
    section = ServedSection(key_variable="TEACHER_KEY")
    with pytest.raises(UsageError, match="the environment variable TEACHER_KEY is not set"):
        open_client(section).__enter__()


def test_a_missing_client_is_said_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_served(ServedSection()) is None
    monkeypatch.setattr("leaf.models.server.find_spec", lambda name: None)
    assert 'pip install "leaf-distill[served]"' in str(missing_served(ServedSection()))


# What a server lacks.


def test_a_server_that_is_not_there_is_named() -> None:
    with held_port() as port, pytest.raises(ServerError) as raised:
        url = f"http://127.0.0.1:{port}/v1"
        section = ServedSection(url=url)
        with open_client(section, retries=0) as client:
            keep_served(section, client, "teacher", k=8, vocabulary=61)(ITEMS)
    assert str(raised.value).startswith(f"{url}: cannot be reached (")
    assert "start the teacher's server" in str(raised.value)


def test_a_server_that_does_not_answer_in_time_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        section = ServedSection(url=f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
        with (
            open_client(section, retries=0, timeout=0.2) as client,
            pytest.raises(ServerError, match="no answer in time"),
        ):
            keep_served(section, client, "teacher", k=8, vocabulary=61)(ITEMS[:1])


def test_a_model_that_is_not_there_is_named(teacher: Any) -> None:
    text = refused(LogprobServer(teacher), model="teachr")
    assert "The model `teachr` does not exist." in text
    assert "distill.served.model" in text


def test_a_model_is_looked_up_by_name(teacher: Any) -> None:
    with LogprobServer(teacher) as server:
        section = ServedSection(url=server.url)
        with open_client(section) as client:
            check_model(section, client, "teacher")
            with pytest.raises(ServerError, match="no model `teachr`; did you mean `teacher`"):
                check_model(section, client, "teachr")


def test_a_url_without_its_end_is_named(teacher: Any) -> None:
    with LogprobServer(teacher) as server:
        section = ServedSection(url=server.url.removesuffix("/v1"))
        with open_client(section) as client, pytest.raises(ServerError, match="ends with /v1"):
            keep_served(section, client, "teacher", k=8, vocabulary=61)(ITEMS)


def test_a_limit_below_k_is_said_with_the_option_that_raises_it(teacher: Any) -> None:
    text = refused(LogprobServer(teacher, most=5))
    assert "Requested prompt logprobs of 8, which is greater than max allowed: 5" in text
    assert text.endswith("start vLLM with --max-logprobs 8, or lower distill.top_k")


@pytest.mark.parametrize("context", [8, 9])
def test_a_row_without_room_in_the_server_s_context_is_said_with_the_way_out(
    teacher: Any, context: int
) -> None:
    """The longest row has 9 tokens, and one more is asked for."""
    text = refused(LogprobServer(teacher, context=context))
    assert text.endswith("start vLLM with a larger --max-model-len, or lower distill.cutoff")
    with LogprobServer(teacher, context=10) as server:
        assert len(asked(server)) == len(ITEMS)


def test_a_server_that_ignores_the_extension_is_refused(teacher: Any) -> None:
    text = refused(LogprobServer(teacher, twist=twisted(lambda _: None)))
    assert "the answer has no prompt_logprobs" in text


def test_fewer_tokens_than_k_are_refused(teacher: Any) -> None:
    cut = twisted(lambda found: [entry and dict(list(entry.items())[:3]) for entry in found])
    text = refused(LogprobServer(teacher, twist=cut))
    assert "3 tokens at place " in text
    assert "but distill.top_k is 8" in text


def test_too_many_tokens_beyond_the_student_s_vocabulary_are_said(teacher: Any) -> None:
    text = refused(LogprobServer(teacher), vocabulary=10)
    assert "beyond the student's vocabulary of 10, but distill.top_k is 8" in text


def test_an_answer_about_another_number_of_tokens_is_refused(teacher: Any) -> None:
    text = refused(LogprobServer(teacher, twist=twisted(lambda found: [None, *found])))
    assert "tokens, but was shown" in text


def test_an_answer_about_other_tokens_is_refused(teacher: Any) -> None:
    other = twisted(lambda found: [entry and dict(list(entry.items())[1:]) for entry in found])
    # Without the token itself, and with as many as were asked for: what another text would have.
    text = refused(LogprobServer(teacher, twist=other), k=3)
    assert "that it was shown; it must take token ids as they are" in text


def test_logits_are_not_taken_for_log_probabilities(teacher: Any) -> None:
    def raised(found: list[Any]) -> list[Any]:
        for entry in found[1:]:
            for about in entry.values():
                about["logprob"] += 3.0
        return found

    text = refused(LogprobServer(teacher, twist=twisted(raised)))
    assert "more than 1; start vLLM with --logprobs-mode raw_logprobs" in text


def test_a_map_of_another_shape_is_refused(teacher: Any) -> None:
    flat = twisted(lambda found: [entry and {"7": -1.0} for entry in found])
    assert "are not as vLLM writes them" in refused(LogprobServer(teacher, twist=flat))


def test_what_is_no_completion_is_refused(teacher: Any) -> None:
    server = LogprobServer(teacher, twist=lambda _: (200, {"hello": "there"}))
    assert "the answer has no prompt_logprobs" in refused(server)


def test_a_fault_of_the_server_is_tried_again(teacher: Any) -> None:
    faults = iter([True])

    def once(answer: Answer) -> Answer:
        return (500, {"error": {"message": "busy"}}) if next(faults, False) else answer

    with LogprobServer(teacher, twist=once) as server:
        section = ServedSection(url=server.url)
        with open_client(section, retries=1) as client:
            found = keep_served(section, client, "teacher", k=8, vocabulary=61)(ITEMS[:1])
    assert len(server.asked) == 2
    assert found[0]["ids"].shape == (3, 8)


# The recipe.


def test_a_temperature_cannot_be_had_from_a_server() -> None:
    words = ["distill.teacher=served", "distill.temperature=2.0"]
    with pytest.raises(RecipeError, match=r"distill.temperature \(2\) must be 1 with"):
        load_recipe("demo", words)
    assert load_recipe("demo", words[:1]).distill.teacher == "served"
