"""What `decode` yields and returns, collected."""

from collections.abc import Generator

from leaf.generate.engine import Effort


def all_said(
    found: Generator[tuple[int, list[int]], None, Effort],
) -> tuple[dict[int, list[int]], Effort]:
    """Return what each request was answered, in the order in which they ended, and the effort."""
    said: dict[int, list[int]] = {}
    while True:
        try:
            number, tokens = next(found)
        except StopIteration as end:
            return said, end.value
        assert number not in said
        said[number] = tokens
