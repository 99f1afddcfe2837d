"""What an engine is, and what its answers took."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from leaf.records import Answer, Problem


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """What answers took; adds up with `+`."""

    answers: int = 0
    tokens: int = 0
    """Tokens said, end-of-turn tokens included."""
    passes: int = 0
    """Forward passes of the model."""
    row_passes: int = 0
    """Passes that an answer waited for, over all answers: their mean is passes a text."""
    proposed: int = 0
    """Draft tokens that a pass checked."""

    def __add__(self, other: "Effort") -> "Effort":
        return Effort(
            answers=self.answers + other.answers,
            tokens=self.tokens + other.tokens,
            passes=self.passes + other.passes,
            row_passes=self.row_passes + other.row_passes,
            proposed=self.proposed + other.proposed,
        )


class Engine(Protocol):
    """Something that answers problems with one model, greedily, under its own chat template."""

    effort: Effort
    """What all its answers so far took."""

    def answer(
        self, problems: Sequence[Problem], drafts: Sequence[str] | None = None
    ) -> list[Answer]:
        """Answer each problem; the result has the order and length of `problems`.

        A response that is begun (`Problem.response_prefix`) is continued; the answer's text is the
        whole of it. `drafts` are likely answers ("" for none), which may only make it faster.
        """
        ...

    def stream(self, asked: Iterable[tuple[Problem, str]]) -> Iterator[tuple[int, Answer]]:
        """Answer problems, each with its draft, that are asked for as there is room for them.

        Yields the number of the problem (the first is 0) and its answer, in any order.
        """
        ...
