import pytest
import torch
import torch.nn.functional as F

from leaf.models.fused_loss import cross_entropy, linear_loss
from leaf.models.output_head import Head

R, D, V = 11, 6, 23


@pytest.fixture
def parts():
    generator = torch.Generator().manual_seed(3)
    hidden = torch.randn(R, D, generator=generator, dtype=torch.float64)
    weight = torch.randn(V, D, generator=generator, dtype=torch.float64)
    bias = torch.randn(V, generator=generator, dtype=torch.float64)
    targets = torch.randint(V, (R,), generator=generator)
    weights = torch.rand(R, generator=generator, dtype=torch.float64)
    return hidden, weight, bias, targets, weights


def ours(hidden, weight, bias, targets, weights, chunk, **head):
    head = Head(weight, bias, **head)
    return linear_loss(hidden, head, cross_entropy(targets), weights, chunk=chunk)


@pytest.mark.parametrize("chunk", [1, 4, 11, 100])
def test_value_and_gradients_equal_those_of_full_logits_for_any_chunk(parts, chunk):
    hidden, weight, bias, targets, weights = parts
    naive_hidden, naive_weight = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
    logits = naive_hidden @ naive_weight.T + bias
    naive = (F.cross_entropy(logits, targets, reduction="none") * weights).sum()
    naive.backward()

    hidden, weight = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
    total, losses = ours(hidden, weight, bias, targets, weights, chunk)
    total.backward()

    torch.testing.assert_close(total, naive)
    torch.testing.assert_close((losses * weights).sum(), naive)
    torch.testing.assert_close(hidden.grad, naive_hidden.grad)
    torch.testing.assert_close(weight.grad, naive_weight.grad)


def test_softcap_and_scale_of_the_head_enter_value_and_gradient(parts):
    hidden, weight, bias, targets, weights = parts
    naive_hidden = hidden.clone().requires_grad_()
    logits = torch.tanh(((naive_hidden @ weight.T) + bias) * 0.5 / 3.0) * 3.0
    naive = (F.cross_entropy(logits, targets, reduction="none") * weights).sum()
    naive.backward()
    hidden = hidden.clone().requires_grad_()
    total, _ = ours(hidden, weight, bias, targets, weights, 4, scale=0.5, softcap=3.0)
    total.backward()
    torch.testing.assert_close(total, naive)
    torch.testing.assert_close(hidden.grad, naive_hidden.grad)


def test_a_frozen_head_gets_no_gradient(parts):
    hidden, weight, bias, targets, weights = parts
    total, _ = ours(hidden.clone().requires_grad_(), weight, bias, targets, weights, 4)
    total.backward()
    assert weight.grad is None


def test_logits_are_float32_for_bfloat16_states(parts):
    hidden, weight, _, _, weights = parts
    seen = []

    def chunk_loss(part):
        def block_loss(logits, block):
            seen.append(logits.dtype)
            return logits.sum(-1)

        return block_loss

    head = Head(weight.bfloat16())
    linear_loss(hidden.bfloat16(), head, chunk_loss, weights.float(), chunk=4)
    assert set(seen) == {torch.float32}


def test_blocks_smaller_than_a_chunk_change_nothing(parts, monkeypatch):
    hidden, weight, bias, targets, weights = parts
    whole = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
    expected, expected_losses = ours(*whole, bias, targets, weights, 8)
    expected.backward()
    monkeypatch.setattr(
        "leaf.models.fused_loss._BLOCK", 3 * V
    )  # 3 positions: 8 is no multiple of it
    small = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
    total, losses = ours(*small, bias, targets, weights, 8)
    total.backward()
    torch.testing.assert_close(losses, expected_losses)
    for one, other in zip(small, whole, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_the_gradient_of_a_multiple_is_that_multiple(parts):
    hidden, weight, bias, targets, weights = parts
    weight.requires_grad_()
    total, _ = ours(hidden, weight, bias, targets, weights, 4)
    (once,) = torch.autograd.grad(total, weight)
    total, _ = ours(hidden, weight, bias, targets, weights, 4)
    (thrice,) = torch.autograd.grad(3 * total, weight)
    torch.testing.assert_close(thrice, 3 * once)


def test_looking_costs_no_gradient(parts):
    hidden, weight, bias, targets, weights = parts
    weight.requires_grad_()
    with torch.no_grad():
        total, losses = ours(hidden, weight, bias, targets, weights, 4)
    assert not total.requires_grad
    torch.testing.assert_close((losses * weights).sum(), total)
