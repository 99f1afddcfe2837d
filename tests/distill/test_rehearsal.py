"""A training's beginning and end, tried on a tiny copy before it begins."""

import pytest
import torch
from transformers import (
    Glm4MoeConfig,
    LlamaConfig,
    Mamba2Config,
    MambaConfig,
    NemotronHConfig,
    PhimoeConfig,
    Qwen3NextConfig,
    ZambaConfig,
)

from leaf.distill import rehearsal
from leaf.distill.lora import add_adapters
from leaf.distill.rehearsal import rehearse_training
from leaf.errors import ModelError, RecipeError
from leaf.models.adapters import merge
from leaf.models.tiny import tiny_model
from leaf.recipe import DistillSection, LoraSection

LORA = DistillSection(tuning="lora")


def adapted(model, **section):
    """The layers that got an adapter."""
    add_adapters(model, LoraSection(rank=2, **section), seed=0)
    return {
        name.rpartition(".lora_A")[0] for name, _ in model.named_parameters() if "lora_A" in name
    }


@pytest.mark.parametrize("config", [Glm4MoeConfig, Qwen3NextConfig])
def test_dense_layers_of_a_mixture_get_what_is_asked_and_its_experts_nothing(config):
    model = tiny_model(config())
    linear = {
        name
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear) and layer is not model.get_output_embeddings()
    }
    names = [name for name, _ in model.named_parameters()]
    assert adapted(model) == linear
    merge(model)
    assert [name for name, _ in model.named_parameters()] == names


def test_a_named_layer_of_a_mixture_gets_it_where_it_is_dense():
    found = adapted(tiny_model(Glm4MoeConfig()), targets=["up_proj"])
    assert found
    assert all(name.endswith("up_proj") and ".experts" not in name for name in found)


@pytest.mark.parametrize(
    ("config", "layer"),
    [
        (Mamba2Config, "out_proj"),
        (NemotronHConfig, "out_proj"),
        (MambaConfig, "dt_proj"),  # read past the layer
        (ZambaConfig, "q_proj"),  # one weight of several layers
        (PhimoeConfig, "router"),  # a layer that gives more than a product
    ],
)
def test_layers_that_no_adapter_fits_are_left_out_or_refused(config, layer):
    assert not any(name.endswith(layer) for name in adapted(tiny_model(config())))
    with pytest.raises(RecipeError, match=rf"{layer} can have no adapter: its weight is read past"):
        adapted(tiny_model(config()), targets=[layer])
    rehearse_training(config(), LORA, name="own")


def test_rounding_that_some_weights_make_large_is_no_fault(monkeypatch):
    tried = []

    def off_by(gap):
        def check(*_):
            tried.append(gap)
            if len(tried) == 1:
                raise rehearsal._OffError("the model that comes out is off by", gap)

        return check

    monkeypatch.setattr(rehearsal, "_check", off_by(2e-4))
    rehearse_training(LlamaConfig(), DistillSection(), name="own")
    assert len(tried) == 2
    tried.clear()
    monkeypatch.setattr(rehearsal, "_check", off_by(2e-2))
    with pytest.raises(ModelError, match=r"own: cannot be trained \(full\): saving and loading"):
        rehearse_training(LlamaConfig(), DistillSection(), name="own")


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_what_comes_out_of_a_training_is_what_was_trained(tuning):
    rehearse_training(LlamaConfig(), DistillSection(tuning=tuning), name="own")


def test_a_merge_that_would_die_after_training_is_told_before(monkeypatch):
    def dies(model):
        raise AttributeError("'Experts' object has no attribute 'weight'")

    monkeypatch.setattr(rehearsal, "merge", dies)
    with pytest.raises(
        ModelError, match=r"own: cannot be trained \(lora\): merging adapters: 'Exp"
    ):
        rehearse_training(LlamaConfig(), LORA, name="own")


def test_a_merge_that_gives_another_model_is_told_before(monkeypatch):
    def forgets(model):
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.data.zero_()
        merge(model)

    monkeypatch.setattr(rehearsal, "merge", forgets)
    with pytest.raises(ModelError, match="the model that comes out is off by"):
        rehearse_training(LlamaConfig(), LORA, name="own")
