"""The two other norms of the gradient against autograd's own."""

from types import SimpleNamespace

import pytest
import torch

from leaf.attribute.batched import Item
from leaf.models.output_head import output_head
from leaf.models.packing import Packer
from leaf.models.prompt_format import EncodedExample, Prompt
from leaf.models.token_units import Unit
from leaf.recipe.detectors import DETECTORS, detector_class

LONG = EncodedExample(ids=(5, 9, 22, 7, 31, 40, 3, 18, 2), prompt_length=6)
SHORT = EncodedExample(ids=(11, 4, 58, 2), prompt_length=2)
ITEMS = [
    Item(prompt=Prompt(ids=item.ids, units=(Unit(start=0, end=1, tokens=(0,)),)), conversation=item)
    for item in (SHORT, LONG)
]


@pytest.fixture(scope="module", autouse=True)
def norms(example):
    yield example("gradient_norms")
    for name in ("gradient_l1", "input_x_gradient"):
        del DETECTORS[name]


@pytest.mark.parametrize("name", ["gradient_l1", "input_x_gradient"])
def test_they_are_those_of_autograds_own_gradient(tiny_model, name):
    model = tiny_model("llama", dtype=torch.float64)
    embeddings = model.get_input_embeddings()(torch.tensor(LONG.ids)).detach().requires_grad_()
    logits_TV = model(inputs_embeds=embeddings[None]).logits[0]
    places = range(LONG.prompt_length, len(LONG.ids))
    losses = [-torch.log_softmax(logits_TV[at - 1], dim=-1)[LONG.ids[at]] for at in places]
    (gradient_TD,) = torch.autograd.grad(sum(losses) / len(losses), embeddings)
    here = SimpleNamespace(packer=Packer(model), head=output_head(model))
    values_BT, _ = detector_class(name)().values(here, ITEMS)
    expected = {
        "gradient_l1": gradient_TD.abs().sum(dim=1),
        "input_x_gradient": (gradient_TD * embeddings.detach()).sum(dim=1),
    }
    torch.testing.assert_close(values_BT[1], expected[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "values", "score"),
    # sqrt(9 + 16), 3 + 4, |3 - 4|.
    [("gradient", [3, 4], 5), ("gradient_l1", [3, 4], 7), ("input_x_gradient", [3, -4], 1)],
)
def test_a_unit_of_two_tokens_has_the_norm_over_both(name, values, score):
    assert float(detector_class(name)().join(torch.tensor(values, dtype=torch.float32))) == score
