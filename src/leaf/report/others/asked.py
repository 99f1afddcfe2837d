"""What is known of one model's evaluation, whoever made it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from leaf.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One question, and what a model scored on it."""

    texts: Mapping[str, str]
    """What tells the question, by where it stands: `digest`, `question`, `prompt` ..."""
    values: Mapping[str, float]
    """Measure to value."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What else the question's record says, for groups."""
    base: str = ""
    """The base problem that it is a variant of, "" where it stands by itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated:
    """One side of a comparison."""

    path: str
    """As it was named."""
    kind: str
    """What it is, for people: `run`, `lm-eval samples` ..."""
    benchmarks: Mapping[str, Sequence[Asked]]
    notes: Sequence[str] = ()
    """What was left out or chosen, one line each."""

    @property
    def count(self) -> int:
        """How many questions it has."""
        return sum(map(len, self.benchmarks.values()))


def flat(text: str) -> str:
    """Return a text with its runs of spaces and newlines made one space."""
    return " ".join(text.split())


def number(value: object, where: str) -> float | None:
    """Return a score as a number; None where it says nothing, as NaN.

    Inspect's letters count as Inspect counts them: C right, I and N wrong, P half.

    Raises:
        UsageError: neither a number nor such a letter.
    """
    if value is None:
        return None
    known = {"c": 1.0, "i": 0.0, "n": 0.0, "p": 0.5}
    known |= {"yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}
    text = str(value).strip().lower()
    if text in known:
        return known[text]
    try:
        found = float(value if isinstance(value, int | float) else text)
    except (ValueError, OverflowError):
        raise UsageError(f"{where}: must be a number, but is {value!r:.60}") from None
    return found if math.isfinite(found) else None
