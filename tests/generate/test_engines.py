"""Which engine answers for a model, and what that needs on this machine."""

from pathlib import Path

import pytest

from leaf.errors import ModelError
from leaf.generate import ENGINES, check_trainable, engine_of, find_for
from leaf.models.files import find
from leaf.recipe import GenerateSection, ModelSection, ServerSection

SERVER = ServerSection(url="http://host:1/v1", model="big")


def test_a_model_s_own_engine_goes_before_the_recipe_s() -> None:
    generate = GenerateSection(engine="vllm")
    assert engine_of(ModelSection(model="m"), generate) == "vllm"
    assert engine_of(ModelSection(model="m", engine="hf"), generate) == "hf"


def test_a_served_model_needs_no_file_and_is_named_by_server_and_model() -> None:
    source = find_for(ModelSection(model="org/m", server=SERVER), GenerateSection(engine="openai"))
    assert (source.name, source.fingerprint) == ("big", "http://host:1/v1: big")


def test_a_model_that_is_loaded_here_is_found_as_ever(talker: Path) -> None:
    section = ModelSection(model=str(talker))
    assert find_for(section, GenerateSection()) == find(section)


@pytest.mark.parametrize("engine", list(ENGINES))
def test_only_engines_that_load_a_folder_may_answer_for_a_student_that_is_trained(
    engine: str,
) -> None:
    section = ModelSection.model_validate({"model": "small.gguf", "engine": engine})
    if engine in ("hf", "vllm"):
        check_trainable(section, GenerateSection())
        return
    with pytest.raises(ModelError, match=rf"engine {engine} cannot answer; set student\.engine"):
        check_trainable(section, GenerateSection())
