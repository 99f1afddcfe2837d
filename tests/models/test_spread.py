"""A model spread over memory and disk says and scores what it does whole."""

import gc
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, MixtralConfig, MixtralForCausalLM

from leaf.attribute import MeasuredModel, detector_class
from leaf.errors import ModelError, UsageError
from leaf.generate.hf import HuggingFaceEngine
from leaf.models.files import cache_folder, find
from leaf.models.load import Loaded, load
from leaf.models.prompt_format import prompt_format_of
from leaf.models.spread import is_spread
from leaf.recipe import DataSection, GenerateSection, ModelSection, WorldSection
from leaf.tasks import load_problems

NAME = "package:playground/models/student"
PROBLEMS = load_problems(DataSection(task="playground", split="both", world=WorldSection(size=6)))


def section(places: Any) -> ModelSection:
    return ModelSection.model_validate({"model": NAME, "dtype": "float32", "device_map": places})


@pytest.fixture(scope="module")
def whole() -> Loaded:
    return load(section(None))


@pytest.fixture(scope="module")
def places(whole: Loaded) -> dict[str, str]:
    """Every second layer on disk."""
    named = {name for name, _ in whole.model.named_children() if name != "model"}
    inner = {f"model.{name}" for name, _ in whole.model.model.named_children()} - {"model.layers"}
    layers = range(whole.model.config.num_hidden_layers)
    spread = {f"model.layers.{at}": "disk" if at % 2 else "cpu" for at in layers}
    return dict.fromkeys(named | inner, "cpu") | spread


def test_scores_losses_and_texts_are_those_of_the_whole_model(
    whole: Loaded, places: dict[str, str]
) -> None:
    spread = load(section(places))
    assert is_spread(spread.model)
    assert any(each.device.type == "meta" for each in spread.model.parameters())
    assert not is_spread(whole.model)
    references = [problem.solution for problem in PROBLEMS]
    for name in ("gradient", "ablation"):
        found, wanted = (
            detector_class(name)().measure(
                MeasuredModel(loaded=each, chat=prompt_format_of(each.tokenizer, section(None))),
                PROBLEMS,
                references,
            )
            for each in (spread, whole)
        )
        for one, other in zip(found, wanted, strict=True):
            assert one.scores == pytest.approx(other.scores, rel=1e-4, abs=1e-6)
            assert one.loss == pytest.approx(other.loss, rel=1e-4)
    texts = [
        [
            answer.text
            for answer in HuggingFaceEngine(
                each,
                prompt_format_of(each.tokenizer, section(None)),
                GenerateSection(max_new_tokens=12),
            ).answer(PROBLEMS)
        ]
        for each in (spread, whole)
    ]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ({"model.embed_tokens": "cpu"}, "leaves out model.layers.0."),
        ({"model.nothing": "cpu"}, "names `model.nothing`, but the model has no such module"),
        ({"": "cpu", "model.layrs": "disk"}, "did you mean `model.layers`"),
        ({"": "disk"}, "output head on disk"),
        ({"": "mps"}, "puts the whole model on mps, but there are: cpu, disk"),
        (
            {"": "cpu", "model.layers": "disk"},
            "`model.layers` on disk, but the whole model, which holds it, on cpu",
        ),
    ],
)
def test_a_map_is_held_against_the_model_before_weights_are_read(
    places: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", None)
    with pytest.raises((ModelError, UsageError), match=said) as error:
        load(section(places))
    assert "\n" not in str(error.value)


def test_layers_on_disk_are_had_without_a_word_of_accelerate(
    places: dict[str, str], caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    spread = load(section(places))
    assert is_spread(spread.model)
    assert spread.device.type == "cpu"
    assert not caplog.records
    assert not recwarn.list


@pytest.mark.parametrize("broken", ["a layer left out", "a device that is not here", "the head"])
def test_a_map_that_cannot_be_had_is_one_line(places: dict[str, str], broken: str) -> None:
    wrong: dict[str, Any] = dict(places)
    if broken == "a layer left out":
        del wrong["model.layers.0"]
        said = "model.layers.0"
    elif broken == "the head":
        wrong |= {"lm_head": "disk", "model.embed_tokens": "disk"}
        said = "output head on disk"
    else:
        wrong["model.layers.0"] = torch.cuda.device_count()
        said = f"cuda:{torch.cuda.device_count()}, but there are: cpu, disk"
    with pytest.raises((ModelError, UsageError), match=said) as error:
        load(section(wrong))
    assert "\n" not in str(error.value)


def experts(folder: Path, seed: int) -> str:
    """Make a mixture of experts, whose weights are written anew on their way to the disk."""
    source = find(section(None)).folder
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors", "generation*"))
    torch.manual_seed(seed)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "head_dim": 16, "num_local_experts": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 1}
    MixtralForCausalLM(MixtralConfig(vocab_size=502, **sizes, **heads)).save_pretrained(folder)
    return str(folder)


def test_each_of_two_models_on_disk_has_its_own_weights_for_as_long_as_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    parts = ("model.embed_tokens", "model.norm", "model.rotary_emb", "lm_head")
    places = {**dict.fromkeys(parts, "cpu"), "model.layers": "disk"}
    names = [experts(tmp_path / f"experts-{seed}", seed) for seed in (0, 1)]
    spread, whole = (
        [load(section(on).model_copy(update={"model": name})).model for name in names]
        for on in (places, None)
    )
    ids = torch.tensor([[5, 6, 7, 8]])
    for one, other in zip(spread, whole, strict=True):
        torch.testing.assert_close(one(ids).logits, other(ids).logits)
    written = cache_folder() / "offload"
    assert [*written.rglob("*.safetensors")]
    del spread, one
    gc.collect()
    assert not [*written.iterdir()]
