"""The doctor says who answers, and what would stop that."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from leaf.doctor.engines import check_engines, check_weights
from leaf.doctor.finding import Finding
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe
from tests.generate.chat_server import ChatServer, Reply
from tests.servers import held_port


def recipe_of(cue_pair: Path, **changes: dict[str, Any]) -> Recipe:
    values = yaml.safe_load((cue_pair / "recipe.yaml").read_text())
    for section, added in changes.items():
        values[section] = {**values.get(section, {}), **added}
    return check_recipe(values, source="test")


def check(cue_pair: Path, **changes: dict[str, Any]) -> list[Finding]:
    return list(check_engines(recipe_of(cue_pair, **changes)))


def served(url: str, **changes: Any) -> dict[str, Any]:
    return {"engine": "openai", "server": {"url": url, **changes}}


def test_nothing_is_said_where_this_package_answers(cue_pair: Path) -> None:
    assert check(cue_pair) == []


def test_a_server_that_does_not_list_the_model_is_a_warning(cue_pair: Path) -> None:
    with ChatServer() as server:
        (found,) = check(cue_pair, teacher=served(server.url, model="big"))
    assert found.level == "warn"
    assert (
        f"teacher: {server.url} is there, but does not list model big (listed: none)" in found.text
    )


def test_a_server_with_the_model_is_good(cue_pair: Path) -> None:
    listing = Reply(body=b'{"object": "list", "data": [{"id": "big", "object": "model"}]}')
    with ChatServer(listing=listing) as server:
        (found,) = check(cue_pair, teacher=served(server.url, model="big"))
    assert (found.level, found.text) == (
        "good",
        f"teacher: {server.url} is there and has model big",
    )


def test_a_server_that_is_not_there_is_bad(cue_pair: Path) -> None:
    with held_port() as port:
        url = f"http://127.0.0.1:{port}/v1"
        (found,) = check(cue_pair, teacher=served(url))
    assert found.level == "bad"
    assert found.text.startswith(f"teacher: {url}: cannot be reached")


def test_a_key_that_is_not_set_is_bad(cue_pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_KEY", raising=False)
    (found,) = check(cue_pair, teacher=served("http://127.0.0.1:9/v1", key_variable="MODEL_KEY"))
    assert found.level == "bad"
    assert "server.key_variable: the environment variable MODEL_KEY is not set" in found.text


def test_an_engine_that_is_not_installed_is_bad_and_names_its_extra(
    cue_pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leaf.generate.vllm.find_spec", lambda name: None)
    monkeypatch.setattr("leaf.generate.llamacpp.find_spec", lambda name: None)
    for engine in ("vllm", "llamacpp"):
        (found,) = check(cue_pair, teacher={"engine": engine})
        assert found.level == "bad"
        assert found.text.endswith(f'pip install "leaf-distill[{engine}]"')


def test_llama_cpp_wants_a_gguf_file(cue_pair: Path) -> None:
    (found,) = check(cue_pair, teacher={"engine": "llamacpp"})
    assert found.level == "bad"
    assert "engine llamacpp reads GGUF files alone" in found.text
    (found,) = check(cue_pair, teacher={"engine": "llamacpp", "model": "big.gguf"})
    assert (found.level, found.text) == ("good", "teacher: engine llamacpp answers")


def test_a_student_that_is_trained_must_be_answered_for_from_a_folder(cue_pair: Path) -> None:
    *_, found = check(cue_pair, student={"engine": "llamacpp", "model": "small.gguf"})
    assert found.level == "bad"
    assert "a trained student is a folder of weights" in found.text


def test_response_level_needs_an_engine_that_goes_on(cue_pair: Path) -> None:
    with ChatServer() as server:
        *_, found = check(
            cue_pair,
            teacher=served(server.url),
            prune={"levels": ["instruction", "response"]},
        )
    assert found.level == "bad"
    assert found.text.startswith("teacher: engine openai cannot go on with a response")


def test_what_still_loads_a_served_teacher_is_said_with_the_way_out(cue_pair: Path) -> None:
    teacher = served("http://127.0.0.1:9/v1")

    def loads(**changes: Any) -> list[str]:
        attribute = {"detector": "gradient", "controls": [], **changes.pop("attribute", {})}
        recipe = recipe_of(cue_pair, teacher=teacher, attribute=attribute, **changes)
        return [finding.text for finding in check_weights(recipe)]

    (both,) = loads()
    assert "for detection (gradient) and training (distill.teacher: online)" in both
    assert "distill.teacher: served for training" in both
    (detection,) = loads(distill={"teacher": "served"})
    assert "training" not in detection
    # Random marks as many units as the gradient of both models would.
    (alone,) = loads(attribute={"detector": "random"}, distill={"teacher": "served"})
    assert "detection (gradient)" in alone
    (ablation,) = loads(attribute={"detector": "ablation"}, distill={"teacher": "hidden"})
    assert "detection (ablation" in ablation
    assert loads(prune={"strategy": "inject"}, distill={"teacher": "served"}) == []
    assert list(check_weights(recipe_of(cue_pair))) == []


def test_a_device_map_says_where_another_engine_has_no_use_for_it(cue_pair: Path) -> None:
    (found,) = check_weights(recipe_of(cue_pair, teacher={"engine": "vllm", "device_map": "auto"}))
    assert found.level == "warn"
    assert found.text.startswith("teacher.device_map: engine vllm answers without it")
