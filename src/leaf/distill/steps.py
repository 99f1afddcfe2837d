"""Which rows each optimiser step of a training sees, known before its first step."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import torch

from leaf.distill.rows import TrainingExample
from leaf.errors import DataError, LeafError
from leaf.recipe import DistillSection


def plan_steps(
    rows: Sequence[TrainingExample],
    section: DistillSection,
    lengths: Sequence[int] | None = None,
    *,
    originals: int | None = None,
) -> list[list[int]]:
    """Return the row indices of every optimiser step of a whole training.

    Steps are `max_steps`, else as many as `max_tokens` allows, else those of `epochs` passes. Every
    pass is shuffled anew from the seed, and the plan is known before the first step, so a resumed
    training sees the same order.

    Args:
        rows: The training rows.
        section: Batches, passes and limits.
        lengths: Tokens of each row, prompt included; needed for `max_tokens`.
        originals: Stop once the steps hold so many originals, in place of `epochs`.

    Raises:
        DataError: there are no rows.
        LeafError: `max_tokens` without `lengths`.
    """
    if not rows:
        raise DataError("there is no row to train on")
    most_steps, most_tokens = section.max_steps, section.max_tokens
    if most_tokens is not None and lengths is None:
        raise LeafError("distill.max_tokens counts tokens, so plan_steps needs `lengths`")
    if originals_in(rows, [range(len(rows))]) == 0:
        originals = None
    unbounded = most_steps is None and most_tokens is None and originals is None
    steps: list[list[int]] = []
    tokens = seen = 0
    passes = _passes(rows, section, section.epochs if unbounded else None)
    for step in chain.from_iterable(passes):
        if most_tokens is not None and lengths is not None:
            tokens += sum(lengths[at] for at in step)
            if steps and tokens > most_tokens:
                break
        steps.append(step)
        seen += originals_in(rows, [step])
        if len(steps) == most_steps or (originals is not None and seen >= originals):
            break
    return steps


def originals_in(rows: Sequence[TrainingExample], steps: Iterable[Iterable[int]]) -> int:
    """Return how many originals some steps hold, each as often as it is seen."""
    return sum(not rows[at].counterfactual for step in steps for at in step)


def _passes(
    rows: Sequence[TrainingExample], section: DistillSection, passes: int | None
) -> Iterator[list[list[int]]]:
    """Yield the batches of one pass after another; without end when `passes` is None."""
    generator = torch.Generator().manual_seed(section.seed)
    units = _groups(rows) if section.batching == "paired" else [[row] for row in range(len(rows))]
    done = 0
    while passes is None or done < passes:
        order = torch.randperm(len(units), generator=generator).tolist()
        yield _fill([units[at] for at in order], section.batch_size)
        done += 1


def _groups(rows: Sequence[TrainingExample]) -> list[list[int]]:
    """Return the rows of each problem, its original first."""
    groups: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        groups.setdefault(row.problem_id, []).append(at)
    return list(groups.values())


def _fill(units: Sequence[list[int]], batch_size: int) -> list[list[int]]:
    """Put units into batches of at most `batch_size` rows; a larger unit is a batch by itself."""
    batches: list[list[int]] = []
    for unit in units:
        if batches and len(batches[-1]) + len(unit) <= batch_size:
            batches[-1].extend(unit)
        else:
            batches.append(list(unit))
    return batches
