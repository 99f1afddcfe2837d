"""Losses and slopes over the likeliest tokens and the rest, against finite differences."""

import math

import pytest
import torch
from torch import Tensor

from leaf.distill.objective import chosen_loss
from leaf.distill.targets import HiddenTargets, TopKTargets, outcomes, with_rest
from leaf.losses import LOSSES, Formula
from leaf.models.output_head import Head
from leaf.recipe import DistillSection

STEP = 1e-6


def loss_of(name: str) -> Formula:
    return chosen_loss(DistillSection(loss=name))


@pytest.fixture
def logits() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(4, 11, generator=generator, dtype=torch.float64) * 2


@pytest.fixture
def teacher() -> tuple[Tensor, Tensor]:
    """The three likeliest of eleven tokens at four positions, and their log-probabilities."""
    generator = torch.Generator().manual_seed(4)
    top = torch.randn(4, 11, generator=generator, dtype=torch.float64).log_softmax(-1).topk(3)
    return top.indices, top.values


def test_the_rest_is_all_that_the_kept_tokens_leave() -> None:
    kept = torch.tensor([[0.5, 0.25], [0.5, 0.5]], dtype=torch.float64).log()
    found = with_rest(kept).exp()
    assert found[0].tolist() == pytest.approx([0.5, 0.25, 0.25])
    # Nothing is left: its logarithm must be finite all the same.
    assert 0.0 < found[1, 2] < 1e-11


def test_kl_over_two_tokens_and_the_rest_is_the_sum_over_three_outcomes() -> None:
    student = torch.tensor([[0.25, 0.25, 0.3, 0.2]], dtype=torch.float64).log()
    kept = torch.tensor([[0.5, 0.25]], dtype=torch.float64).log()
    loss = loss_of("kl")(outcomes(student, torch.tensor([[2, 0]])), with_rest(kept))
    # Token 2: 1/2 against 0.3; token 0: 1/4 against 1/4; the rest: 1/4 against 0.45.
    expected = 0.5 * math.log(0.5 / 0.3) + 0.25 * math.log(0.25 / 0.45)
    assert loss.tolist() == pytest.approx([expected])


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_slopes_are_finite_differences_of_the_loss_at_every_logit(
    name: str, logits: Tensor, teacher: tuple[Tensor, Tensor]
) -> None:
    ids, log = teacher
    targets = TopKTargets(ids_RK=ids, log_RK=log, loss=loss_of(name))
    block = slice(0, 3)

    def value(moved: Tensor) -> Tensor:
        # Positions 1 to 3 as one chunk: its places are those of the teacher's rows from 1 on.
        return targets.of_chunk(slice(1, 4))(moved[1:4].log_softmax(-1), block)

    logits.requires_grad_()
    value(logits).sum().backward()
    assert logits.grad is not None
    logits, slope = logits.detach(), logits.grad[1:4]
    for token in range(11):
        moved = torch.zeros_like(logits)
        moved[:, token] = STEP
        expected = (value(logits + moved) - value(logits - moved)) / (2 * STEP)
        torch.testing.assert_close(slope[:, token], expected, rtol=1e-5, atol=1e-8)
    # A constant added to all logits changes nothing.
    torch.testing.assert_close(slope.sum(1), torch.zeros(3, dtype=torch.float64))


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_parts_of_any_size_and_their_blocks_change_nothing(rows: int) -> None:
    generator = torch.Generator().manual_seed(5)
    hidden = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    weight = torch.randn(11, 4, generator=generator, dtype=torch.float64)
    log = torch.randn(9, 11, generator=generator, dtype=torch.float64).log_softmax(-1)
    expected = loss_of("kl")(log, (hidden @ weight.T).log_softmax(-1))
    targets = HiddenTargets(
        hidden_RD=hidden, head=Head(weight), loss=loss_of("kl"), temperature=1.0
    )
    found = []
    for start, stop in ((0, 2), (2, 6), (6, 9)):
        divergence = targets.of_chunk(slice(start, stop))
        for first in range(0, stop - start, rows):
            block = slice(first, first + rows)
            found.append(divergence(log[start:stop][block], block))
    torch.testing.assert_close(torch.cat(found), expected)


def test_a_student_with_next_to_no_chance_left_still_learns_to_leave_some() -> None:
    # The teacher gives the rest 1/2, the student about exp(-20): in 1 - sum(q) that is nothing.
    logits = torch.tensor([[20.0, 0.0, -1.0]], requires_grad=True)
    teacher = with_rest(torch.tensor([[0.5]]).log())
    loss = loss_of("kl")(outcomes(logits.log_softmax(-1), torch.tensor([[0]])), teacher)
    loss.sum().backward()
    assert logits.grad is not None
    # d KL / d logit: q - p for the kept token, and its opposite over the rest, by their shares.
    assert logits.grad[0, 0].item() == pytest.approx(0.5, rel=1e-3)
    assert logits.grad[0, 1:].sum().item() == pytest.approx(-0.5, rel=1e-3)


def test_the_rest_of_nothing_is_finite_and_has_a_slope() -> None:
    log = torch.tensor([[0.5, 0.5]]).log().requires_grad_()
    found = outcomes(log, torch.tensor([[1, 0]]))
    assert found[0, 2].item() == pytest.approx(math.log(1e-12), rel=1e-6)
    found.sum().backward()
    assert torch.isfinite(log.grad).all()
