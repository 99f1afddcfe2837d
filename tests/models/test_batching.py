"""Batches by token budget, and what happens when memory runs out."""

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leaf.errors import OutOfMemoryError
from leaf.models.batching import is_out_of_memory, plan_batches, run_halving

LENGTHS = st.lists(st.integers(min_value=1, max_value=300), max_size=60)
BUDGETS = st.integers(min_value=1, max_value=600)
MOST = st.integers(min_value=1, max_value=9)

MEMORY_ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("MPS backend out of memory"),
    MemoryError(),
]


@given(LENGTHS, BUDGETS, MOST)
def test_every_item_is_in_exactly_one_batch(lengths: list[int], budget: int, most: int) -> None:
    batches = plan_batches(lengths, token_budget=budget, max_items=most)
    assert sorted(item for batch in batches for item in batch) == list(range(len(lengths)))
    assert all(batches)


@given(LENGTHS, BUDGETS, MOST)
def test_a_padded_batch_keeps_the_budget_unless_it_is_one_item(
    lengths: list[int], budget: int, most: int
) -> None:
    for batch in plan_batches(lengths, token_budget=budget, max_items=most):
        padded = len(batch) * max(lengths[item] for item in batch)
        assert len(batch) <= most
        assert padded <= budget or len(batch) == 1


@given(LENGTHS, BUDGETS, MOST)
def test_items_come_longest_first_and_equals_in_their_order(
    lengths: list[int], budget: int, most: int
) -> None:
    batches = plan_batches(lengths, token_budget=budget, max_items=most)
    order = [(-lengths[item], item) for batch in batches for item in batch]
    assert order == sorted(order)


def test_a_batch_is_as_full_as_the_budget_allows() -> None:
    # Longest first: 3 * 10 = 30 fits, 4 * 10 = 40 does not; then 2 * 9 = 18 with all that is left.
    batches = plan_batches([9, 10, 10, 8, 10], token_budget=30, max_items=99)
    assert batches == [[1, 2, 4], [0, 3]]


def test_an_item_over_the_budget_is_a_batch_by_itself() -> None:
    assert plan_batches([5, 100, 5], token_budget=10, max_items=99) == [[1], [0, 2]]


@pytest.mark.parametrize("error", MEMORY_ERRORS, ids=lambda error: type(error).__name__)
def test_a_batch_without_memory_is_halved_until_it_fits(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[list[int]] = []
    run_halving(range(7), _at_most(2, error, done), what="answers of tiny")
    # 7 -> 3 + 4; 3 -> 1 + 2; 4 -> 2 + 2.
    assert done == [[0], [1, 2], [3, 4], [5, 6]]
    captured = capsys.readouterr()
    said = [line for line in captured.err.splitlines() if line.startswith("answers of tiny: ")]
    assert len(said) == 3
    assert "memory ran out with 7 items in a batch; trying again with 3" in said[0]
    assert captured.out == ""


def test_a_batch_that_fits_runs_once_and_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[list[int]] = []
    run_halving(range(7), _at_most(7, MemoryError(), done), what="answers")
    assert done == [list(range(7))]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("error", MEMORY_ERRORS, ids=lambda error: type(error).__name__)
def test_one_item_that_does_not_fit_is_a_clear_error(error: Exception) -> None:
    with pytest.raises(OutOfMemoryError) as caught:
        run_halving([3], _at_most(0, error, []), what="answers of tiny")
    message = str(caught.value)
    assert message.startswith("answers of tiny: one single item does not fit in memory")
    assert "\n" not in message
    assert caught.value.exit_code == 1


def test_the_items_before_one_that_does_not_fit_are_done() -> None:
    done: list[list[int]] = []

    def run(part: Sequence[int]) -> None:
        if 2 in part:
            raise MemoryError
        done.append(list(part))

    with pytest.raises(OutOfMemoryError):
        run_halving(range(4), run, what="answers")
    assert done == [[0, 1]]


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("out of range")])
def test_other_errors_pass_and_nothing_is_tried_again(error: Exception) -> None:
    done: list[list[int]] = []
    tried = []

    def run(part: Sequence[int]) -> None:
        tried.append(len(part))
        _at_most(0, error, done)(part)

    with pytest.raises(type(error)) as caught:
        run_halving(range(4), run, what="answers")
    assert caught.value is error
    assert tried == [4]


def test_a_real_allocation_beyond_any_memory_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def _at_most(fits: int, error: Exception, done: list[list[int]]) -> Callable[[Sequence[int]], None]:
    """Return work that has memory for `fits` items and notes what it has done."""

    def run(part: Sequence[int]) -> None:
        if len(part) > fits:
            raise error
        done.append(list(part))

    return run
