"""What LeaF raises. Each message is one line: the rule, the value, the place, the way out."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path


class LeafError(Exception):
    """The work failed (exit code 1); what was computed before is kept."""

    exit_code = 1


class UsageError(LeafError):
    """The words, the recipe or the input files are wrong (exit code 2); nothing was started."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe breaks a rule: names the file, the key, the value and what is allowed."""


class StudyError(UsageError):
    """A recipe has nothing for a study: the message says what it would need."""


class DataError(UsageError):
    """A data file cannot be read as asked: the message names the file and the line or record."""


class ModelError(UsageError):
    """A model cannot be found, loaded or used with the other one."""


class ChatError(LeafError):
    """A chat template renders a prompt in a way whose content cannot be located."""


class StoreError(LeafError):
    """A stage result cannot be written or is damaged: the message names the file."""


class ServerError(LeafError):
    """A model's server cannot be used: the message names its url, what it said and the way out."""


class MissingError(ServerError):
    """Answers are missing, since requests for them failed: the same command asks for them again."""


class SandboxError(LeafError):
    """Programs cannot be run safely here: the message names what installs or allows it."""


class OutOfMemoryError(LeafError):
    """One single item does not fit in memory, so halving the batch cannot help."""


class NonFiniteError(LeafError):
    """A NaN or an infinity where a number must be: the message names the model and the problem."""


def check_type(what: str, value: object, kind: type | tuple[type, ...], rule: str) -> None:
    """Refuse a value of the wrong type in one line.

    Args:
        what: The argument's name.
        value: What was given.
        kind: What it must be an instance of.
        rule: Ends `must be`; after a semicolon the way out.

    Raises:
        UsageError: it is no instance.
    """
    if not isinstance(value, kind):
        must, _, way_out = rule.partition("; ")
        # The repr of a model or an array has many lines.
        plain = value is None or isinstance(value, str | bytes | int | float | Path)
        shown = f"{value!r:.60}" if plain else f"a {type(value).__name__}"
        raise UsageError(f"{what}: must be {must}, but is {shown}{way_out and f'; {way_out}'}")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean ...?` where a known name is close to `word`, else "".

    Closest is a name whose parts begin with the letters of `word`: `lr` is `learning_rate`.
    """
    names = list(known)
    close = [name for name in names if word == "".join(part[:1] for part in name.split("_"))]
    close += difflib.get_close_matches(word, names, n=1, cutoff=0.55)
    return f"; did you mean `{close[0]}`?" if close else ""


def first_of(names: Sequence[str], most: int) -> str:
    """Name the first ones, and say how many more there are."""
    named = ", ".join(names[:most])
    return f"{named} and {len(names) - most} more" if len(names) > most else named
