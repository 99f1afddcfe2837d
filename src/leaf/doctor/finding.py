"""What a check found, and how sizes are said."""

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


def size_of(count: int) -> str:
    """Say a number of bytes."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
