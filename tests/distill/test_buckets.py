"""Two vocabularies brought to common buckets."""

import pytest
import torch

from leaf.distill.buckets import Buckets
from leaf.distill.objective import chosen_loss
from leaf.losses import LOSSES
from leaf.models.vocabulary import CommonTokens
from leaf.recipe import DistillSection

CPU = torch.device("cpu")

COMMON = CommonTokens(
    student=(0, 2),
    teacher=(1, 0),
    student_longer={1: 0},
    teacher_longer={2: 0, 3: 1},
    student_size=4,
)
"""Bucket 0: student's tokens 0, 1 and teacher's 1, 2. Bucket 1: 2 and 0, 3. The rest: 3 and 4."""


def test_buckets_add_the_chances_of_their_tokens() -> None:
    buckets = Buckets(COMMON, 4, 5, CPU)
    q = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log()
    p = torch.tensor([[0.05, 0.1, 0.15, 0.3, 0.4]]).log()
    assert buckets.of_student(q).exp()[0].tolist() == pytest.approx([0.3, 0.3, 0.4])
    assert buckets.of_teacher(p).exp()[0].tolist() == pytest.approx([0.25, 0.35, 0.4])
    # Common tokens alone: the teacher's 1 and 0.
    assert buckets.mass(p).tolist() == pytest.approx([0.15])


def test_what_only_one_model_has_left_over_is_left_out_of_both() -> None:
    # The student has no token 3 here, so the teacher's 0.4 on its token 4 has no counterpart.
    buckets = Buckets(COMMON, 3, 5, CPU)
    q = torch.tensor([[0.2, 0.3, 0.5]]).log()
    p = torch.tensor([[0.05, 0.1, 0.15, 0.3, 0.4]]).log()
    assert buckets.of_student(q).exp()[0].tolist() == pytest.approx([0.5, 0.5])
    assert buckets.of_teacher(p).exp()[0].tolist() == pytest.approx([0.25 / 0.6, 0.35 / 0.6])


@pytest.mark.parametrize(("student", "teacher"), [(4, 5), (3, 5), (4, 4), (6, 9)])
def test_the_slope_of_buckets_is_that_of_finite_differences(student: int, teacher: int) -> None:
    rng = torch.Generator().manual_seed(7)
    buckets = Buckets(COMMON, student, teacher, CPU)
    logits = torch.randn(3, student, dtype=torch.float64, generator=rng).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: buckets.of_student(x.log_softmax(-1)), logits)


def test_a_chance_that_is_lost_in_rounding_leaves_the_slopes_finite() -> None:
    q = torch.tensor([[-200.0, -200.0, 0.0, -200.0]], requires_grad=True)
    Buckets(COMMON, 4, 5, CPU).of_student(q).sum().backward()
    assert q.grad is not None
    # Its bucket is the common token's alone.
    assert q.grad[0].tolist() == pytest.approx([1.0, 0.0, 1.0, 1.0])


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_divergence_of_buckets_is_at_most_that_of_the_tokens(name: str) -> None:
    # Both models have the same six tokens, of which two count as longer and two as the rest.
    common = CommonTokens(
        student=(0, 1),
        teacher=(0, 1),
        student_longer={2: 0, 3: 1},
        teacher_longer={2: 0, 3: 1},
        student_size=6,
    )
    buckets = Buckets(common, 6, 6, CPU)
    loss = chosen_loss(DistillSection(loss=name))
    rng = torch.Generator().manual_seed(3)
    q, p = (torch.log_softmax(2 * torch.randn(50, 6, generator=rng), -1) for _ in range(2))
    merged = loss(buckets.of_student(q), buckets.of_teacher(p))
    whole = loss(q, p)
    assert (merged <= whole + 1e-6).all()
    assert (merged < 0.9 * whole).any()


def test_a_common_token_without_a_chance_keeps_a_finite_bucket() -> None:
    # exp(-200) is 0 in float32: the longer token's chance is lost, the common one's log is not.
    q = torch.tensor([[-200.0, -200.0, 0.0, -200.0]])
    found = Buckets(COMMON, 4, 5, CPU).of_student(q)
    assert found[0].tolist() == pytest.approx([-200.0, 0.0, -200.0])
