"""What a check found."""

from dataclasses import asdict, dataclass
from typing import Literal

_MARKS = {"good": "ok  ", "warn": "warn", "bad": "BAD "}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    level: Literal["good", "warn", "bad"]
    """`warn`: the run goes through, but look at it; `bad`: this would stop the run."""
    text: str
    """One line."""

    @property
    def mark(self) -> str:
        """Four characters that show the level."""
        return _MARKS[self.level]

    def as_json(self) -> dict[str, str]:
        """Return level and text as JSON values."""
        return asdict(self)
