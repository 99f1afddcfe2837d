"""What a grader is."""

from collections.abc import Sequence
from typing import Protocol

from leaf.records import Answer, Problem, Score


class Grader(Protocol):
    """Judges the text of an answer against the gold answer."""

    def grade(self, problems: Sequence[Problem], answers: Sequence[Answer]) -> list[Score]:
        """Judge `answers[i]` against `problems[i].answer`; the order is kept."""
        ...
