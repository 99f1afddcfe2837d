import math

import pytest
import torch

from leaf.distill.losses import kl


def naive_kl(student, teacher):
    """KL(teacher || student) from probabilities in float64, entry by entry."""
    p, q = torch.softmax(teacher.double(), -1), torch.softmax(student.double(), -1)
    return (p * torch.log(p / q)).sum(-1)


def test_kl_is_zero_when_student_equals_teacher():
    logits = torch.randn(5, 50, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(kl(logits, logits), torch.zeros(5))


def test_kl_of_a_hand_derived_pair():
    # p = (1/2, 1/2), q = (1/4, 3/4): 1/2 ln 2 + 1/2 ln 2/3 = 0.1438 nats.
    teacher = torch.log(torch.tensor([[0.5, 0.5]]))
    student = torch.log(torch.tensor([[0.25, 0.75]]))
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert float(kl(student, teacher)) == pytest.approx(expected, rel=1e-6)
    assert expected == pytest.approx(0.1438, abs=1e-4)


def test_kl_is_of_the_teacher_from_the_student_and_not_the_other_way_round():
    # q = (1/4, 3/4) against p = (1/2, 1/2): 1/4 ln 1/2 + 3/4 ln 3/2 = 0.1308 nats.
    one, other = torch.log(torch.tensor([[0.5, 0.5]])), torch.log(torch.tensor([[0.25, 0.75]]))
    assert float(kl(one, other)) == pytest.approx(0.1308, abs=1e-4)


def test_kl_equals_naive_float64():
    generator = torch.Generator().manual_seed(1)
    student, teacher = (3 * torch.randn(7, 1000, generator=generator) for _ in range(2))
    torch.testing.assert_close(
        kl(student, teacher).double(), naive_kl(student, teacher), rtol=1e-5, atol=1e-6
    )


def test_kl_of_near_certain_distributions_is_finite():
    # p * log(p) would underflow to 0 * -inf here.
    teacher = torch.tensor([[200.0, 0.0, 0.0]])
    student = torch.tensor([[0.0, 200.0, 0.0]])
    assert float(kl(student, teacher)) == pytest.approx(200.0, rel=1e-6)
