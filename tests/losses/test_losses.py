"""The formulas and the functions made of them, against what papers write, in float64."""

import doctest
import importlib
import math
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import leaf.losses
from leaf.distill.objective import chosen_loss
from leaf.distill.targets import outcomes, with_rest
from leaf.errors import RecipeError, UsageError
from leaf.losses import LOSSES, Formula, jsd, kl, over_positions, reverse_kl, skew_kl, tv
from leaf.recipe import DistillSection

HALVES = torch.log(torch.tensor([[0.5, 0.5]]))
QUARTERS = torch.log(torch.tensor([[0.25, 0.75]]))

FUNCTIONS = {"kl": kl, "reverse_kl": reverse_kl, "jsd": jsd, "skew_kl": skew_kl, "tv": tv}
OPTIONS: dict[str, dict[str, float]] = {"jsd": {"beta": 0.3}, "skew_kl": {"skew": 0.2}}


def formula_of(name: str) -> Formula:
    return chosen_loss(DistillSection(loss=name, jsd_beta=0.3, skew=0.2))


def plain(name: str, q: Tensor, p: Tensor) -> Tensor:
    """Each loss from probabilities in float64, as its paper writes it, with 0 log 0 = 0."""

    def divergence(a: Tensor, b: Tensor) -> Tensor:
        # `b` is made harmless where `a` is 0, so that autograd sees no 0 * inf.
        part = a > 0
        ratio = torch.where(part, a, 1.0) / torch.where(part, b, 1.0)
        return (a * ratio.log()).sum(-1)

    mixture = 0.3 * p + 0.7 * q
    written: dict[str, Callable[[], Tensor]] = {
        "kl": lambda: divergence(p, q),
        "reverse_kl": lambda: divergence(q, p),
        "jsd": lambda: 0.3 * divergence(p, mixture) + 0.7 * divergence(q, mixture),
        "skew_kl": lambda: divergence(p, 0.2 * p + 0.8 * q),
        "tv": lambda: 0.5 * (p - q).abs().sum(-1),
    }
    return written[name]()


@pytest.fixture
def logits() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [3 * torch.randn(7, 40, generator=generator, dtype=torch.float64) for _ in range(2)]


def gradient(loss: Tensor, of: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(loss.sum(), of)
    return found


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_value_and_slope_equal_those_of_the_written_formula(
    name: str, logits: list[Tensor]
) -> None:
    student, teacher = logits[0].requires_grad_(), logits[1]
    expected = plain(name, student.softmax(-1), teacher.softmax(-1))

    loss = formula_of(name)(student.log_softmax(-1), teacher.log_softmax(-1))

    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(
        gradient(loss, student), gradient(expected, student), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_value_and_slope_over_a_few_tokens_and_the_rest(name: str, logits: list[Tensor]) -> None:
    student, teacher = logits[0].requires_grad_(), logits[1]
    ids = teacher.topk(4).indices

    def told_apart(values: Tensor) -> Tensor:
        p = values.softmax(-1).gather(1, ids)
        return torch.cat([p, 1 - p.sum(-1, keepdim=True)], dim=1)

    expected = plain(name, told_apart(student), told_apart(teacher))

    log_teacher = with_rest(teacher.log_softmax(-1).gather(1, ids))
    loss = formula_of(name)(outcomes(student.log_softmax(-1), ids), log_teacher)

    torch.testing.assert_close(loss, expected, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(
        gradient(loss, student), gradient(expected, student), rtol=1e-7, atol=1e-10
    )


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_no_loss_is_larger_when_outcomes_are_merged(name: str, logits: list[Tensor]) -> None:
    log_student, log_teacher = (values.log_softmax(-1) for values in logits)
    ids = logits[1].topk(4).indices
    loss = formula_of(name)
    whole = loss(log_student, log_teacher)
    merged = loss(outcomes(log_student, ids), with_rest(log_teacher.gather(1, ids)))
    assert (merged <= whole + 1e-11).all()
    assert (merged > 0).all()


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_loss_and_slope_are_zero_where_both_agree(name: str, logits: list[Tensor]) -> None:
    student = logits[0].requires_grad_()
    loss = formula_of(name)(student.log_softmax(-1), student.detach().log_softmax(-1))
    torch.testing.assert_close(loss, torch.zeros_like(loss))
    torch.testing.assert_close(gradient(loss, student), torch.zeros_like(student))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_formula_leaves_its_arguments_as_they_are(name: str, logits: list[Tensor]) -> None:
    log_student, log_teacher = (values.log_softmax(-1) for values in logits)
    before = log_student.clone(), log_teacher.clone()
    formula_of(name)(log_student, log_teacher)
    assert log_student.equal(before[0])
    assert log_teacher.equal(before[1])


def test_hand_derived_pairs() -> None:
    # p = (1/2, 1/2), q = (1/4, 3/4): 1/2 ln 2 + 1/2 ln 2/3 = 0.1438 nats.
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert expected == pytest.approx(0.1438, abs=1e-4)
    assert float(kl(QUARTERS, HALVES)) == pytest.approx(expected, rel=1e-6)
    # The other way round: 1/4 ln 1/2 + 3/4 ln 3/2 = 0.1308 nats.
    assert float(reverse_kl(QUARTERS, HALVES)) == pytest.approx(0.1308, abs=1e-4)
    # 1/2 (|1/4| + |1/4|).
    assert float(tv(QUARTERS, HALVES)) == pytest.approx(0.25)
    # m = (3/8, 5/8): half of 1/2 ln 4/3 + 1/2 ln 4/5, and half of 1/4 ln 2/3 + 3/4 ln 6/5.
    of_teacher = 0.5 * math.log(4 / 3) + 0.5 * math.log(4 / 5)
    of_student = 0.25 * math.log(2 / 3) + 0.75 * math.log(6 / 5)
    expected = 0.5 * of_teacher + 0.5 * of_student
    assert float(jsd(QUARTERS, HALVES)) == pytest.approx(expected, rel=1e-5)


def test_kl_of_near_certain_distributions_is_finite() -> None:
    # p * log(p) would underflow to 0 * -inf here.
    teacher, student = torch.tensor([[200.0, 0.0, 0.0]]), torch.tensor([[0.0, 200.0, 0.0]])
    assert float(kl(student, teacher)) == pytest.approx(200.0, rel=1e-6)


def test_skewed_divergence_is_bounded_where_the_forward_one_is_not() -> None:
    teacher, student = torch.tensor([[200.0, 0.0, 0.0]]), torch.tensor([[0.0, 200.0, 0.0]])
    assert float(skew_kl(student, teacher, skew=0.1)) == pytest.approx(-math.log(0.1), rel=1e-6)
    assert float(skew_kl(QUARTERS, HALVES, skew=0.0)) == float(kl(QUARTERS, HALVES))


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    """Logits [2, 5, 11] and [2, 5, 13], and labels as models of transformers take them."""
    generator = torch.Generator().manual_seed(2)
    student = torch.randn(2, 5, 11, generator=generator, dtype=torch.float64)
    teacher = torch.randn(2, 5, 13, generator=generator, dtype=torch.float64)
    return student, teacher, torch.tensor([[-100, -100, 7, 2, -100], [-100, 3, 4, 1, 2]])


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_logits_before_each_label_count_over_the_common_vocabulary(
    name: str, temperature: float, batch: tuple[Tensor, Tensor, Tensor]
) -> None:
    student, teacher, labels = batch
    student.requires_grad_()
    # The labels at 2 and 3 of row 0 are predicted at 1 and 2; those at 1 to 4 of row 1 at 0 to 3.
    places = [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (1, 3)]
    rows = [
        plain(
            name,
            torch.softmax(student[at] / temperature, -1),
            torch.softmax(teacher[at][:11] / temperature, -1),
        )
        for at in places
    ]
    expected = torch.stack(rows).mean() * temperature**2

    found = FUNCTIONS[name](
        student, teacher, labels, temperature=temperature, **OPTIONS.get(name, {})
    )

    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient(found, student), gradient(expected, student))


def test_labels_that_are_aligned_already_are_not_shifted(
    batch: tuple[Tensor, Tensor, Tensor],
) -> None:
    student, teacher, labels = batch
    aligned = torch.cat([labels[:, 1:], torch.full((2, 1), -100)], dim=1)
    found = kl(student, teacher, aligned, shift=False)
    torch.testing.assert_close(found, kl(student, teacher, labels))


def test_without_labels_every_position_counts(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    student, teacher, _ = batch
    everywhere = kl(student, teacher, torch.zeros(2, 5, dtype=torch.long), shift=False)
    torch.testing.assert_close(kl(student, teacher), everywhere)


def test_logits_of_16_bits_are_compared_in_32(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    student, teacher = (part.bfloat16() for part in batch[:2])
    found = kl(student, teacher)
    assert found.dtype is torch.float32
    torch.testing.assert_close(found, kl(student.float(), teacher.float()))


def test_what_does_not_fit_is_refused_in_one_line(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    student, teacher, labels = batch
    for wrong, words in (
        (lambda: kl(student, teacher, torch.full((2, 5), -100)), "no position counts"),
        # The first label is predicted by nothing.
        (lambda: kl(student[:, :1], teacher[:, :1], labels[1:, 1:2]), "labels must be"),
        (lambda: kl(student[:, :1], teacher[:, :1], labels[:, 2:3]), "no position counts"),
        (lambda: kl(student, teacher[:1]), "must have the same positions"),
    ):
        with pytest.raises(UsageError, match=words) as error:
            wrong()
        assert "\n" not in str(error.value)


def test_a_formula_of_ones_own_takes_whole_logits_too(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    student, teacher, labels = batch
    found = over_positions(lambda s, t: (t.exp() * (t - s)).sum(-1), student, teacher, labels)
    torch.testing.assert_close(found, kl(student, teacher, labels))


def test_options_of_a_loss_of_ones_own_reach_it_and_others_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def power(log_student: Tensor, log_teacher: Tensor, *, exponent: float = 1.0) -> Tensor:
        return (log_student.exp() - log_teacher.exp()).abs().pow(exponent).sum(-1)

    monkeypatch.setitem(LOSSES, "power", power)
    squared = chosen_loss(DistillSection(loss="power", loss_options={"exponent": 2.0}))
    # |1/4|^2 twice.
    assert float(squared(QUARTERS, HALVES)) == pytest.approx(0.125)

    with pytest.raises(RecipeError) as error:
        chosen_loss(DistillSection(loss="power", loss_options={"exponnet": 2.0}))
    assert str(error.value) == (
        "distill.loss_options: the loss power has no option `exponnet`; did you mean `exponent`? "
        "(it has exponent)"
    )


def test_the_package_needs_nothing_heavy_but_torch() -> None:
    code = "import sys, leaf.losses; print('transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", [*LOSSES, "_over_positions"])
def test_the_examples_of_docstrings_are_as_they_say(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(f"leaf.losses.{name}"))
    assert tried
    assert not failed


def test_every_public_name_is_there() -> None:
    assert all(hasattr(leaf.losses, name) for name in leaf.losses.__all__)
    assert dir(leaf.losses) == sorted(leaf.losses.__all__)


def excluding(values: Tensor, tokens: list[int]) -> Tensor:
    """Logits that give some tokens no chance."""
    return values.index_fill(-1, torch.tensor(tokens, dtype=torch.long), -math.inf)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "student_excludes, teacher_excludes", [([0, 3], [0, 3]), ([], [0, 3]), ([0, 3], []), ([0], [3])]
)
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_tokens_without_a_chance_give_the_value_that_the_formula_has(
    name: str,
    student_excludes: list[int],
    teacher_excludes: list[int],
    dtype: torch.dtype,
    logits: list[Tensor],
) -> None:
    student = logits[0].to(dtype).requires_grad_()
    given = excluding(student, student_excludes), excluding(logits[1].to(dtype), teacher_excludes)
    found = FUNCTIONS[name](*given, **OPTIONS.get(name, {}))
    expected = plain(name, *(each.double().softmax(-1) for each in given)).mean()
    assert found.dtype is dtype
    torch.testing.assert_close(found, expected.to(dtype), rtol=1e-5, atol=1e-6)

    alone = (
        (set(student_excludes) - set(teacher_excludes), "kl"),
        (
            set(teacher_excludes) - set(student_excludes),
            "reverse_kl",
        ),
    )
    if any(tokens and name == loss for tokens, loss in alone):
        assert float(found.detach()) == math.inf
    else:
        (slope,) = torch.autograd.grad(found, student, retain_graph=True)
        assert slope.isfinite().all()
        torch.testing.assert_close(slope, gradient(expected, student), rtol=1e-4, atol=1e-7)


def test_divergence_to_the_mixture_stays_bounded_where_nothing_is_common() -> None:
    first, second = excluding(torch.zeros(1, 2), [0]), excluding(torch.zeros(1, 2), [1])
    # p = (1, 0), q = (0, 1): the largest that it can be.
    assert float(jsd(first, second)) == pytest.approx(math.log(2))
    assert float(kl(first, second)) == math.inf


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_autocast_leaves_a_loss_in_float32(name: str, logits: list[Tensor]) -> None:
    student, teacher = (each.float() for each in logits)
    with torch.autocast("cpu", torch.bfloat16):
        found = FUNCTIONS[name](student, teacher)
    assert found.dtype is torch.float32
    assert found.equal(FUNCTIONS[name](student, teacher))


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0, 2.0, math.nan])
def test_an_option_outside_its_range_is_refused_in_one_line(value: float) -> None:
    with pytest.raises(UsageError, match="jsd: beta must lie between 0 and 1"):
        jsd(QUARTERS, HALVES, beta=value)
    if value != 0.0:
        with pytest.raises(UsageError, match="skew_kl: skew must be at least 0 and below 1"):
            skew_kl(QUARTERS, HALVES, skew=value)
    if value in (-1.0, 0.0):
        with pytest.raises(UsageError, match="temperature must be above 0"):
            kl(QUARTERS, HALVES, temperature=value)
