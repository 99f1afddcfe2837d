"""Between answers as they end and answers in the order of their problems."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from leaf.records import Answer, Problem


def in_order(found: Iterable[tuple[int, Answer]]) -> list[Answer]:
    """Return numbered answers by their numbers."""
    return [answer for _, answer in sorted(found, key=lambda one: one[0])]


def by_parts(
    answer: Callable[[Sequence[Problem]], list[Answer]],
    asked: Iterable[tuple[Problem, str]],
    size: int,
) -> Iterator[tuple[int, Answer]]:
    """Stream the answers of an engine without drafts that takes `size` problems at a time."""
    coming = (problem for problem, _ in asked)
    numbers = itertools.count()
    while part := list(itertools.islice(coming, size)):
        yield from ((next(numbers), one) for one in answer(part))
