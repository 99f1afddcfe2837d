"""Attention shares against the library's own `output_attentions`."""

import pytest
import torch

from leaf.attribute.detectors.attention import attention
from leaf.errors import ModelError
from leaf.models.output_head import output_head
from leaf.models.prompt_format import EncodedExample

LONG = EncodedExample(ids=(5, 9, 22, 7, 31, 40, 3, 18, 2), prompt_length=6)
SHORT = EncodedExample(ids=(11, 4, 58, 2), prompt_length=2)


def expected(model, item):
    """The mean over layers, heads and predicting positions, one by one, from a run alone."""
    model.set_attn_implementation("eager")
    out = model(input_ids=torch.tensor([item.ids]), output_attentions=True)
    model.set_attn_implementation("sdpa")
    rows = [
        layer[0, head, position]
        for layer in out.attentions
        for head in range(layer.shape[1])
        for position in range(item.prompt_length - 1, len(item.ids) - 1)
    ]
    return torch.stack(rows).mean(dim=0)


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_attention_is_the_librarys_own_mean_over_layers_heads_and_positions(tiny_model, family):
    model = tiny_model(family, dtype=torch.float64)
    shares_BT, losses_B = attention(model, output_head(model), [SHORT, LONG])
    for row, item in enumerate([SHORT, LONG]):
        shares_T = shares_BT[row, : len(item.ids)]
        torch.testing.assert_close(shares_T, expected(model, item), rtol=1e-6, atol=1e-9)
        assert float(shares_BT[row].sum()) == pytest.approx(1.0)
        logits_TV = model(input_ids=torch.tensor([item.ids])).logits[0]
        table_TV = torch.log_softmax(logits_TV, dim=-1)
        nats = [
            -float(table_TV[t - 1, item.ids[t]]) for t in range(item.prompt_length, len(item.ids))
        ]
        assert float(losses_B[row]) == pytest.approx(sum(nats) / len(nats), rel=1e-6)


def test_the_model_goes_back_to_its_own_attention(tiny_model):
    model = tiny_model("llama", dtype=torch.float32)
    model.set_attn_implementation("sdpa")
    attention(model, output_head(model), [SHORT])
    assert model.config._attn_implementation == "sdpa"
    assert not any(module._forward_hooks for module in model.modules())


def test_a_model_that_shows_no_attention_is_refused_by_name(tiny_model):
    model = tiny_model("llama", dtype=torch.float32)
    for layer in model.model.layers:
        forward = layer.self_attn.forward
        # As fused kernels do: an output, and nothing where the weights would be.
        layer.self_attn.forward = lambda *a, forward=forward, **o: (forward(*a, **o)[0], None)
    with pytest.raises(ModelError, match="LlamaForCausalLM: 0 of its layers show their attention"):
        attention(model, output_head(model), [SHORT])
