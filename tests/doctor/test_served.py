"""The doctor asks a teacher's server whether it is there and has the model."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import AutoModelForCausalLM

from leaf.doctor.finding import Finding
from leaf.doctor.machine import check_extras
from leaf.doctor.served import check_served
from leaf.recipe.reading import check_recipe
from tests.servers import LogprobServer, held_port


@pytest.fixture
def teacher(cue_pair: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(cue_pair / "teacher")


def check(cue_pair: Path, served: dict[str, Any], **distill: Any) -> list[Finding]:
    values = yaml.safe_load((cue_pair / "recipe.yaml").read_text())
    settings = {"teacher": "served", "served": served, **distill}
    recipe = check_recipe({**values, "distill": settings}, source="test")
    return [*check_extras(recipe), *check_served(recipe)]


def test_a_server_with_the_model_is_good_and_told_how_much_it_must_allow(
    cue_pair: Path, teacher: Any
) -> None:
    with LogprobServer(teacher, name="big") as server:
        (found,) = check(cue_pair, {"url": server.url, "model": "big"}, top_k=50)
    assert found.level == "good"
    assert f"{server.url} has model big; it must allow 50" in found.text


def test_a_server_without_the_model_is_bad_and_says_what_it_has(
    cue_pair: Path, teacher: Any
) -> None:
    with LogprobServer(teacher, name="big") as server:
        (found,) = check(cue_pair, {"url": server.url, "model": "bik"})
    assert found.level == "bad"
    assert "has no model `bik`; did you mean `big`? (there are big)" in found.text


def test_a_server_that_is_not_there_is_bad(cue_pair: Path) -> None:
    with held_port() as port:
        url = f"http://127.0.0.1:{port}/v1"
        (found,) = check(cue_pair, {"url": url})
    assert found.level == "bad"
    assert found.text.startswith(f"{url}: cannot be reached")


def test_a_key_that_is_not_set_is_bad(cue_pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEACHER_KEY", raising=False)
    (found,) = check(cue_pair, {"key_variable": "TEACHER_KEY"})
    assert found.level == "bad"
    assert "the environment variable TEACHER_KEY is not set" in found.text


@pytest.mark.parametrize("changes", [{"teacher": "online"}, {"cross_entropy": 1.0}], ids=str)
def test_no_server_is_asked_where_none_is_needed(cue_pair: Path, changes: dict[str, Any]) -> None:
    assert check(cue_pair, {"url": "http://127.0.0.1:9/v1"}, **changes) == []
