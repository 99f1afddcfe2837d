import math

import pytest
import torch

from leaf.distill.losses import LOSSES, differentiable, jsd, kl, reverse_kl, skew_kl, tv
from leaf.distill.targets import of_outcomes, to_logits, with_rest
from leaf.recipe import DistillSection

HALVES = torch.log(torch.tensor([[0.5, 0.5]]))
QUARTERS = torch.log(torch.tensor([[0.25, 0.75]]))
SECTION = DistillSection(jsd_beta=0.3, skew=0.2)


def plain(name, q, p):
    """Each loss from probabilities in float64, as its paper writes it."""

    def divergence(a, b):
        return (a * torch.log(a / b)).sum(-1)

    mixture = 0.3 * p + 0.7 * q
    return {
        "kl": lambda: divergence(p, q),
        "reverse_kl": lambda: divergence(q, p),
        "jsd": lambda: 0.3 * divergence(p, mixture) + 0.7 * divergence(q, mixture),
        "skew_kl": lambda: divergence(p, 0.2 * p + 0.8 * q),
        "tv": lambda: 0.5 * (p - q).abs().sum(-1),
    }[name]()


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(1)
    return [3 * torch.randn(7, 40, generator=generator, dtype=torch.float64) for _ in range(2)]


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_value_and_slope_equal_autograd_over_the_written_formula(name, logits):
    student, teacher = logits
    student.requires_grad_()
    expected = plain(name, student.softmax(-1), teacher.softmax(-1))
    expected.sum().backward()
    log_student = student.detach().log_softmax(-1)
    loss, slope = LOSSES[name](SECTION)(log_student, teacher.log_softmax(-1))
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(to_logits(slope, log_student), student.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_value_and_slope_over_a_few_tokens_and_the_rest(name, logits):
    student, teacher = logits
    student.requires_grad_()
    ids = teacher.topk(4).indices

    def outcomes(values):
        p = values.softmax(-1).gather(1, ids)
        return torch.cat([p, 1 - p.sum(-1, keepdim=True)], dim=1)

    expected = plain(name, outcomes(student), outcomes(teacher))
    expected.sum().backward()
    log_teacher = with_rest(teacher.log_softmax(-1).gather(1, ids))
    log_student = student.detach().log_softmax(-1)
    loss, slope = of_outcomes(log_student, ids, log_teacher, LOSSES[name](SECTION))
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(slope, student.grad, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_no_loss_is_larger_when_outcomes_are_merged(name, logits):
    log_student, log_teacher = (values.log_softmax(-1) for values in logits)
    ids = logits[1].topk(4).indices
    loss = LOSSES[name](SECTION)
    whole, _ = loss(log_student, log_teacher)
    merged, _ = of_outcomes(log_student, ids, with_rest(log_teacher.gather(1, ids)), loss)
    assert (merged <= whole + 1e-12).all()
    assert (merged > 0).all()


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_loss_and_slope_are_zero_where_both_agree(name, logits):
    log = logits[0].log_softmax(-1)
    loss, slope = LOSSES[name](SECTION)(log, log)
    torch.testing.assert_close(loss, torch.zeros_like(loss))
    torch.testing.assert_close(to_logits(slope, log), torch.zeros_like(log))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_loss_leaves_its_arguments_as_they_are(name, logits):
    log_student, log_teacher = (values.log_softmax(-1) for values in logits)
    before = log_student.clone(), log_teacher.clone()
    LOSSES[name](SECTION)(log_student, log_teacher)
    assert log_student.equal(before[0])
    assert log_teacher.equal(before[1])


def test_hand_derived_pairs():
    # p = (1/2, 1/2), q = (1/4, 3/4): 1/2 ln 2 + 1/2 ln 2/3 = 0.1438 nats.
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert expected == pytest.approx(0.1438, abs=1e-4)
    assert float(kl(QUARTERS, HALVES)[0]) == pytest.approx(expected, rel=1e-6)
    # The other way round: 1/4 ln 1/2 + 3/4 ln 3/2 = 0.1308 nats.
    assert float(reverse_kl(QUARTERS, HALVES)[0]) == pytest.approx(0.1308, abs=1e-4)
    # 1/2 (|1/4| + |1/4|).
    assert float(tv(QUARTERS, HALVES)[0]) == pytest.approx(0.25)
    # m = (3/8, 5/8): half of 1/2 ln 4/3 + 1/2 ln 4/5, and half of 1/4 ln 2/3 + 3/4 ln 6/5.
    of_teacher = 0.5 * math.log(4 / 3) + 0.5 * math.log(4 / 5)
    of_student = 0.25 * math.log(2 / 3) + 0.75 * math.log(6 / 5)
    found = float(jsd(QUARTERS, HALVES)[0])
    assert found == pytest.approx(0.5 * of_teacher + 0.5 * of_student, rel=1e-5)


def test_kl_of_near_certain_distributions_is_finite():
    # p * log(p) would underflow to 0 * -inf here.
    teacher = torch.tensor([[200.0, 0.0, 0.0]]).log_softmax(-1)
    student = torch.tensor([[0.0, 200.0, 0.0]]).log_softmax(-1)
    assert float(kl(student, teacher)[0]) == pytest.approx(200.0, rel=1e-6)


def test_skewed_divergence_is_bounded_where_the_forward_one_is_not():
    teacher = torch.tensor([[200.0, 0.0, 0.0]]).log_softmax(-1)
    student = torch.tensor([[0.0, 200.0, 0.0]]).log_softmax(-1)
    assert float(skew_kl(student, teacher, skew=0.1)[0]) == pytest.approx(-math.log(0.1), rel=1e-6)
    assert float(skew_kl(QUARTERS, HALVES, skew=0.0)[0]) == float(kl(QUARTERS, HALVES)[0])


def test_a_plain_formula_becomes_a_loss_with_its_slope(logits):
    log_student, log_teacher = (values.log_softmax(-1) for values in logits)
    made = differentiable(lambda s, t: (t.exp() * (t - s)).sum(-1))
    for ours, theirs in zip(
        made(log_student, log_teacher), kl(log_student, log_teacher), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
