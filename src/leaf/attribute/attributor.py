"""What a detector's measurement is."""

from collections.abc import Sequence
from typing import Protocol

from leaf.records import Problem, Sensitivity


class Attributor(Protocol):
    """Scores how much one model leans on each unit of a question when it is to say a reference."""

    def attribute(
        self, problems: Sequence[Problem], references: Sequence[str]
    ) -> list[Sensitivity]:
        """Score `problems[i]` with `references[i]` as the response y; the order is kept."""
        ...
