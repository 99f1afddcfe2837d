"""Models in memory: what is taken, and that it is given back as it came."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

import leaf
from leaf.api.model import section_of, source_of
from leaf.errors import ModelError, UsageError
from leaf.models.load import loaded
from tests.api.conftest import state_of


@pytest.fixture
def model(cue_pair: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(cue_pair / "student")


@pytest.fixture(scope="module")
def tokenizer(cue_pair: Path) -> Any:
    return AutoTokenizer.from_pretrained(cue_pair / "student")


def use(model: leaf.Model) -> None:
    with loaded(section_of(model), source_of(model)) as opened:
        assert not any(module.training for module in opened.model.modules())
        assert not any(each.requires_grad for each in opened.model.parameters())
        opened.model.set_attn_implementation("eager")


def test_a_model_in_training_is_given_back_as_it_came(model: Any, tokenizer: Any) -> None:
    model.train()
    model.model.layers[0].eval()
    next(model.parameters()).requires_grad_(False)
    model(torch.tensor([[1, 2]]), labels=torch.tensor([[1, 2]])).loss.backward()
    before = state_of(model)
    use(leaf.Model(model, tokenizer))
    assert state_of(model) == before


def test_it_is_given_back_as_it_came_where_the_work_fails(model: Any, tokenizer: Any) -> None:
    model.train()
    before = state_of(model)
    taken = leaf.Model(model, tokenizer)
    with pytest.raises(ZeroDivisionError), loaded(section_of(taken), source_of(taken)):
        _ = 1 / 0
    assert state_of(model) == before


def test_adapters_of_peft_stay_in_use(model: Any, tokenizer: Any) -> None:
    wrapped = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"]))
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    ids = torch.tensor([[1, 2, 3]])
    expected = wrapped(ids).logits
    taken = leaf.Model(wrapped, tokenizer)
    with loaded(section_of(taken), source_of(taken)) as opened:
        torch.testing.assert_close(opened.model(ids).logits, expected)
    assert any(each.requires_grad for each in wrapped.parameters())


def test_what_is_no_causal_language_model_is_refused_in_one_line(tokenizer: Any) -> None:
    with pytest.raises(ModelError, match=r"^Linear: is no transformers model for causal"):
        leaf.Model(torch.nn.Linear(2, 2), tokenizer)


def test_a_model_without_numbers_is_refused(tiny_model: Callable[..., Any], tokenizer: Any) -> None:
    model = tiny_model("llama", dtype=torch.float32).to("meta")
    with pytest.raises(ModelError, match="parameters must lie on one device, but lie on meta"):
        leaf.Model(model, tokenizer)


def test_a_slow_tokenizer_is_refused(model: Any) -> None:
    with pytest.raises(ModelError, match="no fast tokenizer"):
        leaf.Model(model, object())


def test_an_unknown_dtype_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"dtype: unknown `float23`; did you mean `float32`"):
        leaf.Model.load("package:playground/models/student", dtype="float23")


def test_repr_is_one_short_line(model: Any, tokenizer: Any) -> None:
    text = repr(leaf.Model(model, tokenizer, name="cue"))
    assert text.startswith("Model('cue', ")
    assert text.endswith(" parameters, float32, cpu)")
