"""What people pass to the API: a wrong kind of thing is one line, with the way out."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from leaf.api.model import Model
from leaf.errors import ModelError, UsageError, check_type
from leaf.models.spread import is_spread

T = TypeVar("T")


def check_models(student: object, teacher: object) -> None:
    """Refuse what is no `leaf.Model`; a teacher may be None.

    Raises:
        UsageError: says how to make one of what was given.
    """
    check_type("student", student, Model, _model(student))
    if teacher is not None:
        check_type("teacher", teacher, Model, _model(teacher))


def check_whole(student: Model) -> None:
    """Refuse a student in training whose layers lie in several places.

    Raises:
        ModelError: says how to load it.
    """
    if is_spread(student._loaded.model):
        raise ModelError(
            f"{student.name}: is spread over several places (device_map), and what learns has to be"
            " on one device; load it without device_map"
        )


def _model(given: object) -> str:
    way_out = "load one: leaf.Model.load(name)"
    if isinstance(given, str | Path):
        way_out = f"load it: leaf.Model.load({str(given)!r:.60})"
    elif given is not None:
        way_out = "wrap it: leaf.Model(model, tokenizer)"
    return f"a leaf.Model; {way_out}"


def check_text(what: str, text: object) -> None:
    """Refuse what is no text.

    Raises:
        UsageError: says how to write it.
    """
    way_out = f'; write "{text}"' if isinstance(text, int | float) else ""
    check_type(what, text, str, f"a text{way_out}")


def check_list(what: str, values: Iterable[T], kind: type[T], one: str, many: str) -> list[T]:
    """Return what is a list (or a tuple, a column of a table ...) of one kind of thing.

    Args:
        what: The argument's name.
        values: What was given.
        kind: What each must be.
        one: What each must be, for people.
        many: What it must be a list of, for people.

    Raises:
        UsageError: one in place of a list, or a member of another kind.
    """
    if isinstance(values, kind):
        raise UsageError(f"{what}: must be a list of {many}, but is one; write [{what}]")
    given: Any = values
    if isinstance(given, str | dict) or not hasattr(given, "__iter__"):
        check_type(what, given, (), f"a list of {many}")
    members = list(values)
    for at, member in enumerate(members):
        check_type(f"{what}[{at}]", member, kind, one)
    return members


def check_texts(**lists: Sequence[str]) -> list[list[str]]:
    """Return lists of texts that are equally long.

    Raises:
        UsageError: a text in place of a list, something else than a text, or other lengths.
    """
    texts = [check_list(name, values, str, "a text", "texts") for name, values in lists.items()]
    if len(set(map(len, texts))) > 1:
        lengths = (f"{name} {len(values)}" for name, values in zip(lists, texts, strict=True))
        raise UsageError(f"lists must be equally long: {', '.join(lengths)}")
    return texts
