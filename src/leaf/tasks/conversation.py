"""Reads chat records: turns in the form of OpenAI, or of ShareGPT.

    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}, ...]
    [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "2 + 2?"}, ...]
either as JSON in a text, too. A content may be a list of text parts.

The last turn of the user is the question, the assistant's turn after it the solution, and all that
stands before is context.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from leaf.errors import DataError
from leaf.records import Turn
from leaf.tasks.paths import decoded, value_at
from leaf.tasks.reading import Row

_FORMS = (("role", "content"), ("from", "value"))
_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
}


def is_conversation(value: Any) -> bool:
    """Whether a value is meant as turns: a list of objects, or JSON of one with roles."""
    turns = decoded(value)
    if not (isinstance(turns, list) and turns and isinstance(turns[0], Mapping)):
        return False
    return turns is value or any(form[0] in turns[0] for form in _FORMS)


def read_turns(row: Row, column: str) -> tuple[Turn, ...]:
    """Return the turns in a column.

    Raises:
        DataError: no turns, one of no known form or role, an empty one, or two of one role in a
            row; says which.
    """
    value = decoded(value_at(row.values, column, row.place))
    where = f"{row.place}: column `{column}`"
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise DataError(f"{where} must hold a list of turns, but is {value!r:.60}")
    form = _form_of(value[0], 1, where)
    turns = tuple(_turn(one, number, form, where) for number, one in enumerate(value, start=1))
    _check_order(turns, where)
    return turns


def split_turns(turns: tuple[Turn, ...], where: str) -> tuple[tuple[Turn, ...], str, str]:
    """Return what stands before the question, the question, and the solution ("" without one).

    Raises:
        DataError: no turn of the user.
    """
    asked = [at for at, turn in enumerate(turns) if turn.role == "user"]
    if not asked:
        raise DataError(f"{where} has no turn of the user, so nothing is asked")
    last = asked[-1]
    answered = turns[last + 1].text if last + 1 < len(turns) else ""
    return turns[:last], turns[last].text, answered


def _form_of(value: Any, number: int, where: str) -> tuple[str, str]:
    keys = value if isinstance(value, Mapping) else ()
    for form in _FORMS:
        if form[0] in keys:
            return form
    raise DataError(
        f"{where}: turn {number} must have `role` and `content`, or `from` and `value`, but is "
        f"{value!r:.60}"
    )


def _turn(value: Any, number: int, form: tuple[str, str], where: str) -> Turn:
    own = _form_of(value, number, where)
    if own != form:
        raise DataError(
            f"{where}: turn {number} has `{own[0]}`, but turn 1 has `{form[0]}`; write all turns "
            "in one form"
        )
    role = _ROLES.get(str(value[form[0]]).lower())
    if role is None:
        raise DataError(
            f"{where}: turn {number} has the role {value[form[0]]!r:.30}; only system, user and "
            "assistant (human, gpt) are read: remove the record, or the turn"
        )
    text = _text_of(value.get(form[1]), number, where)
    if not text.strip():
        raise DataError(f"{where}: turn {number} ({role}) is empty; fill it or remove the record")
    return Turn(role=role, text=text)


def _text_of(content: Any, number: int, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    parts = content if isinstance(content, list) else [content]
    found = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
    texts = [text for text in found if isinstance(text, str)]
    if len(texts) < len(found):
        raise DataError(f"{where}: turn {number} must be text alone, but is {content!r:.60}")
    return "".join(texts)


def _check_order(turns: Sequence[Turn], where: str) -> None:
    spoken = [(number, turn.role) for number, turn in enumerate(turns, start=1)]
    if spoken[0][1] == "system":
        spoken = spoken[1:]
    for number, role in spoken:
        if role == "system":
            raise DataError(f"{where}: turn {number} is a system turn; only the first may be one")
    if spoken and spoken[0][1] != "user":
        raise DataError(
            f"{where}: turn {spoken[0][0]} is the assistant's, but a conversation begins with the "
            "user; remove the turn or the record"
        )
    for (_, before), (number, role) in pairwise(spoken):
        if role == before:
            raise DataError(
                f"{where}: turns {number - 1} and {number} are both the {role}'s; join them or "
                "remove the record"
            )
