"""Attention of one sequence against PyTorch's own, in float64."""

import pytest
import torch
import torch.nn.functional as F

from leaf.models.attention import LONGEST, causal_attention


def tensors(heads, groups, queries, keys, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(heads, queries, 8), (groups, keys, 8), (groups, keys, 8)]
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in shapes
    ]


@pytest.mark.parametrize(("heads", "groups"), [(6, 2), (4, 4)])
@pytest.mark.parametrize(("queries", "keys"), [(5, 5), (4, 7), (1, 3), (9, LONGEST + 4)])
@pytest.mark.parametrize("scale", [None, 0.5])
def test_it_is_pytorchs_attention_with_a_causal_mask(heads, groups, queries, keys, scale):
    query, key, value = parts = tensors(heads, groups, queries, keys)
    sees = torch.arange(keys) <= torch.arange(keys - queries, keys)[:, None]
    share = heads // groups
    own = F.scaled_dot_product_attention(
        query, key.repeat_interleave(share, 0), value.repeat_interleave(share, 0), sees, scale=scale
    )
    found = causal_attention(query, key, value, scale)
    torch.testing.assert_close(found, own, rtol=1e-12, atol=1e-12)
    wave = torch.arange(own.numel(), dtype=torch.float64).sin().view_as(own)
    expected = torch.autograd.grad((own * wave).sum(), parts)
    gradients = torch.autograd.grad((found * wave).sum(), parts)
    torch.testing.assert_close(gradients, expected, rtol=1e-10, atol=1e-12)


def test_its_gradients_are_finite_differences():
    assert torch.autograd.gradcheck(causal_attention, tensors(4, 2, 3, 5, seed=1))
