"""The ways of `benchmarks.kl` compute the same: what it compares is what it costs."""

from functools import partial

import pytest
import torch

from benchmarks import kl
from benchmarks._rivals import liger_jsd
from leaf.errors import UsageError
from tests.marks import RIVALS, needs_rivals


def inputs() -> kl.Inputs:
    generator = torch.Generator().manual_seed(5)
    shapes = ((7, 3), (11, 3), (7, 4), (11, 4))
    return kl.Inputs(*(torch.randn(shape, generator=generator) for shape in shapes)).learning()


def by_hand(given: kl.Inputs) -> kl.Found:
    """The mean of sum p (log p - log q), and d KL / d logits = q - p, position by position."""
    parts = given.wide()
    p = torch.softmax(parts.teacher_TE @ parts.teacher_head_VE.T, dim=-1)
    q = torch.softmax(parts.student_TD @ parts.student_head_VD.T, dim=-1).detach()
    slope = (q - p) / len(p)
    value = (p * (p.log() - q.log())).sum() / len(p)
    hidden, head = parts.student_TD.detach(), parts.student_head_VD.detach()
    return value, slope @ head, slope.T @ hidden


@pytest.mark.parametrize("way", ["ours", "naive", pytest.param("liger", marks=needs_rivals)])
def test_every_way_gives_the_value_and_both_gradients_of_the_formula(way, monkeypatch):
    monkeypatch.setattr(kl, "_compiles", lambda: False)
    python = RIVALS / "bin" / "python"
    ways = {
        "ours": partial(kl.ours, chunk=3),
        "naive": kl.naive,
        "liger": partial(kl.liger, python=python),
    }
    for found, expected in zip(ways[way](inputs()), by_hand(inputs()), strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-7)


@needs_rivals
def test_liger_is_liger_and_brings_no_triton():
    loss = liger_jsd(RIVALS / "bin" / "python")
    assert loss.__module__ == "liger_kernel.chunked_loss.jsd_loss"


def test_the_relative_error_is_the_largest_difference_over_the_largest_value():
    found, exact = torch.tensor([1.0, 2.0]), torch.tensor([1.5, -4.0], dtype=torch.float64)
    assert kl.furthest(found, exact) == 6.0 / 4.0


def test_the_naive_way_is_refused_where_its_logits_would_not_fit():
    case = kl.Case(vocabulary=151936, positions=10**6, dtype="float32", chunk=1)
    # 7 x 10^6 x 151,936 x 4 bytes are 3.9 TiB, and both heads twice are 2.8 GiB.
    assert case.naive_bytes == 4 * 151936 * (7 * 10**6 + 2 * (896 + 1536))
    with pytest.raises(
        UsageError, match=r"--positions 1000000: the naive way needs 39\d\d\.\d GiB"
    ):
        kl.main(positions=10**6, vocabularies="151936")


def test_another_vocabulary_is_refused_by_name():
    with pytest.raises(UsageError, match=r"--vocabularies 5: must name some of \[49152, 151936\]"):
        kl.main(vocabularies="5")
