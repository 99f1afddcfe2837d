"""Integrated gradients against captum's, and against what they must add up to."""

import pytest
import torch
from captum.attr import IntegratedGradients

from leaf.attribute.batched import Item
from leaf.models.output_head import output_head
from leaf.models.packing import Packer
from leaf.models.prompt_format import EncodedExample, Prompt
from leaf.models.token_units import Unit
from leaf.recipe.detectors import DETECTORS


@pytest.fixture(scope="module")
def integrated_gradients(example):
    yield example("integrated_gradients").integrated_gradients
    del DETECTORS["integrated_gradients"]


LONG = EncodedExample(ids=(5, 9, 22, 7, 31, 40, 3, 18, 2), prompt_length=6)
SHORT = EncodedExample(ids=(11, 4, 58, 2), prompt_length=2)


def item(conversation, *units):
    """A conversation whose question is made of units of these tokens."""
    found = tuple(Unit(start=at, end=at + 1, tokens=tokens) for at, tokens in enumerate(units))
    prompt = Prompt(ids=conversation.ids[: conversation.prompt_length], units=found)
    return Item(prompt=prompt, conversation=conversation)


# Tokens 1 to 3 of the longer one are the question; one unit has two tokens.
ITEMS = [item(SHORT, (0,)), item(LONG, (1,), (2, 3))]


def loss_of(model, embeddings_1TD, conversation):
    logits_TV = model(inputs_embeds=embeddings_1TD).logits[0]
    table_TV = torch.log_softmax(logits_TV, dim=-1)
    steps = range(conversation.prompt_length, len(conversation.ids))
    return torch.stack([-table_TV[at - 1, conversation.ids[at]] for at in steps]).mean()[None]


def ends_of_path(model):
    """The embeddings of LONG, and the same with nothing in place of the question."""
    full = model.get_input_embeddings()(torch.tensor([LONG.ids])).detach()
    empty = full.clone()
    empty[:, 1:4] = 0
    return full, empty


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_they_are_captums_with_the_midpoint_rule(integrated_gradients, tiny_model, family):
    model = tiny_model(family, dtype=torch.float64)
    full, empty = ends_of_path(model)
    found = IntegratedGradients(lambda e: loss_of(model, e, LONG)).attribute(
        full, empty, n_steps=5, method="riemann_middle", internal_batch_size=1
    )
    values_BT, losses_B = integrated_gradients(Packer(model), output_head(model), ITEMS, 5)
    # Captum's points on the path are float32.
    torch.testing.assert_close(values_BT[1], found[0].sum(dim=-1), rtol=1e-6, atol=1e-8)
    assert float(losses_B[1]) == pytest.approx(float(loss_of(model, full, LONG)), rel=1e-9)


def test_they_add_up_to_what_the_question_changes_and_are_nothing_elsewhere(
    integrated_gradients, tiny_model
):
    # Norms are steep where embeddings vanish, so that the rule would need very many steps.
    model = tiny_model("llama", dtype=torch.float64, rms_norm_eps=0.1)
    full, empty = ends_of_path(model)
    values_BT, _ = integrated_gradients(Packer(model), output_head(model), ITEMS, 100)
    change = float(loss_of(model, full, LONG)) - float(loss_of(model, empty, LONG))
    assert abs(change) > 0.05
    assert float(values_BT[1].sum()) == pytest.approx(change, rel=1e-3)
    assert values_BT[1, [0, 4, 5, 6, 7, 8]].abs().max() == 0
