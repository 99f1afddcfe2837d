"""Models in memory: what is taken, and that it is given back as it came."""

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
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


def test_a_changed_copy_is_not_taken_for_the_original(student: leaf.Model) -> None:
    question = "Ada has 3 pens. It is late. Ben has 4 cups. How many pens does Ada have?"
    copies = [
        copy.deepcopy(student),
        pickle.loads(pickle.dumps(student)),  # noqa: S301 - our own
        leaf.Model(copy.deepcopy(student.model), student.tokenizer),
    ]
    for scaled in copies:
        with torch.no_grad():
            for each in scaled.model.parameters():
                each.mul_(0.5)
    looks = [leaf.explain(student, scaled, question, "3") for scaled in copies]
    teachers = [[unit.teacher for unit in look.ranked[0].measured] for look in looks]
    assert teachers[0] == teachers[1] == teachers[2]
    assert teachers[0] != [unit.student for unit in looks[0].ranked[0].measured]


def test_weights_changed_between_two_calls_count_in_the_second(student: leaf.Model) -> None:
    question = "Ada has 3 pens. It is late. Ben has 4 cups. How many pens does Ada have?"
    own = copy.deepcopy(student)
    before = leaf.score(own, None, [question], ["3"])[0].measured
    with torch.no_grad():
        own.model.get_input_embeddings().weight.mul_(0.5)
    assert leaf.score(own, None, [question], ["3"])[0].measured != before


def test_two_models_around_one_object_are_two(student: leaf.Model) -> None:
    object_ = copy.deepcopy(student.model).requires_grad_(True).train()
    first, second = (leaf.Model(object_, student.tokenizer, system=text) for text in (None, "Hi."))
    before = state_of(object_)
    look = leaf.explain(first, second, "Ada has 3 pens. It is late. How many has Ada?", "3")
    assert all(unit.student != unit.teacher for unit in look.ranked[0].measured)
    assert state_of(object_) == before


def test_calls_from_several_threads_leave_everything_as_it_was(student: leaf.Model) -> None:
    question = "Ada has 3 pens. It is late. How many pens does Ada have?"
    own = leaf.Model(copy.deepcopy(student.model).requires_grad_(True).train(), student.tokenizer)
    before = state_of(own.model), transformers.utils.logging.get_verbosity()
    alone = leaf.score(own, None, [question], ["3"])[0].units
    with ThreadPoolExecutor(3) as threads:
        calls = [threads.submit(leaf.score, own, None, [question], ["3"]) for _ in range(6)]
    assert [call.result()[0].units for call in calls] == [alone] * 6
    assert (state_of(own.model), transformers.utils.logging.get_verbosity()) == before
