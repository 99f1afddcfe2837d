"""What is kept of a teacher is what the model alone says of each row."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from leaf.distill.keep import keep_states, keep_tops
from leaf.distill.teacher import OnlineStates
from leaf.models.files import Source
from leaf.models.load import Loaded
from leaf.models.output_head import output_head
from leaf.models.prompt_format import EncodedExample

ITEMS = [
    EncodedExample(ids=(5, 9, 22, 7, 31, 40, 3, 18, 2), prompt_length=6),
    EncodedExample(ids=(5, 9, 58, 2), prompt_length=3),
    EncodedExample(ids=(5, 9, 22, 31, 40, 3, 18, 2), prompt_length=5),
]


@pytest.fixture
def teacher(tiny_model: Callable[..., Any]) -> Loaded:
    model = tiny_model("llama", seed=2, dtype=torch.float64)
    source = Source(name="tiny", fingerprint="tiny")
    return Loaded(
        source=source, model=model, tokenizer=None, device=torch.device("cpu"), dtype=model.dtype
    )


def logits(teacher: Loaded, item: EncodedExample) -> torch.Tensor:
    """What predicts the response: from the prompt's last token to the one before the last."""
    whole: torch.Tensor = teacher.model(input_ids=torch.tensor([item.ids])).logits[0]
    return whole[item.prompt_length - 1 : -1]


@pytest.mark.parametrize("token_budget", [1, 13, 99])
@pytest.mark.parametrize("shared", [0, 2])
def test_hidden_states_are_those_before_each_response_token(
    teacher: Loaded, token_budget: int, shared: int
) -> None:
    produce = keep_states(OnlineStates(teacher, shared), token_budget=token_budget)
    weight = teacher.model.get_output_embeddings().weight
    for item, entry in zip(ITEMS, produce(ITEMS), strict=True):
        found = entry["states"] @ weight.T
        torch.testing.assert_close(found, logits(teacher, item), rtol=1e-9, atol=1e-11)


def test_a_row_does_not_keep_the_memory_of_its_batch(teacher: Loaded) -> None:
    entries = keep_states(OnlineStates(teacher), token_budget=99)(ITEMS)
    for entry in entries:
        states = entry["states"]
        assert states.untyped_storage().nbytes() == states.numel() * states.itemsize


@pytest.mark.parametrize("chunk", [1, 2, 128])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_likeliest_tokens_are_those_of_the_softened_distribution(
    teacher: Loaded, chunk: int, temperature: float
) -> None:
    produce = keep_tops(
        OnlineStates(teacher),
        output_head(teacher.model).first(50),
        k=7,
        temperature=temperature,
        token_budget=99,
        chunk=chunk,
    )
    for item, entry in zip(ITEMS, produce(ITEMS), strict=True):
        chances = torch.softmax(logits(teacher, item)[:, :50] / temperature, -1)
        expected = chances.sort(descending=True)
        assert torch.equal(entry["ids"].long(), expected.indices[:, :7])
        assert (entry["ids"].dtype, entry["log"].dtype) == (torch.int32, torch.float32)
        found = entry["log"].double().exp()
        torch.testing.assert_close(found, expected.values[:, :7], rtol=1e-6, atol=0)


def test_more_tokens_than_there_are_means_all(teacher: Loaded) -> None:
    produce = keep_tops(
        OnlineStates(teacher),
        output_head(teacher.model),
        k=99,
        temperature=1.0,
        token_budget=99,
        chunk=4,
    )
    entry = produce(ITEMS[:1])[0]
    assert entry["ids"].shape == (3, 61)
    torch.testing.assert_close(entry["log"].exp().sum(1), torch.ones(3))
