"""The columns of somebody's records: what they are called, and what they hold."""

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from leaf.errors import DataError
from leaf.tasks.conversation import is_conversation
from leaf.tasks.paths import decoded, value_at
from leaf.tasks.reading import Row
from leaf.text.kinds import Kind, kind_of

MOST = 0.5
"""A column is what more of its values are than this share; odd ones are left out when read."""

_NAMES = {
    "chat": "messages conversations conversation chat dialogue dialog turns",
    "question": "question prompt problem instruction query input ask user text title subject",
    "answer": "ground_truth answer final_answer final gold_answer gold target label result expected"
    " reference correct correct_answer answerkey answer_key correct_option answer_idx"
    " reference_answer expected_answer expected_output truth",
    "golds": "aliases answer_aliases golds answers all_answers possible_answers",
    "solution": "solution completion response output reply rationale explanation worked work"
    " reasoning cot chosen assistant",
    "context": "context contexts passages documents docs ctxs paragraphs passage document article",
    "gold": "gold_passages supporting supporting_passages gold_docs relevant is_gold needed",
    "choices": "choices options endings",
    "system": "system system_prompt",
    "id": "id _id qid uid key question_id idx",
}
"""What people call a column, the likeliest first; without case, spaces as _."""

_KNOWN = {name for names in _NAMES.values() for name in names.split()}
_GENERAL = ("text", "value", "content")
"""Names that say less than the one above them: `answers.text` are answers."""

REJECTED = "rejected"
"""The word for what a preference turned down."""

_MISSING = object()
_WORKED = re.compile(r"####|\\boxed\{")


def share(items: Sequence[Any], fits: Callable[[Any], Any]) -> float:
    """Return how much of some items fits."""
    return sum(bool(fits(item)) for item in items) / len(items)


class Table:
    """Columns, and columns of columns by their path, of some records."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self.count = len(rows)
        self.columns: list[str] = []
        for row in rows:
            for column, value in row.values.items():
                self._add(column, value)

    def _add(self, column: str, value: Any) -> None:
        plain = _plain(column)
        listed = any(plain in _NAMES[part].split() for part in ("context", "choices", "golds"))
        if not isinstance(value, Mapping) or (listed and plain != "answers"):
            if column not in self.columns:
                self.columns.append(column)
            return
        for key, inner in value.items():
            self._add(f"{column}.{key}", inner)

    def named(self, part: str, fits: Callable[[str], bool]) -> str | None:
        """Return the first column that is called like a part and fits, rather than its parent."""
        for nested in (False, True):
            for name in _NAMES[part].split():
                for column in self.columns:
                    if _called(column, nested=nested) == name and fits(column):
                        return column
        return None

    def values(self, column: str) -> list[Any]:
        """Return what is there of a column."""
        found = (_value(row, column) for row in self._rows)
        return [value for value in found if value not in (_MISSING, None, "", [])]

    def first_empty(self, column: str) -> str:
        """Return the place of the first record that has none."""
        return next(row.place for row in self._rows if not Table([row]).values(column))

    def is_there(self, column: str) -> bool:
        """Whether most records have it."""
        return len(self.values(column)) > MOST * len(self._rows)

    def is_readable(self, column: str) -> bool:
        """Whether most records have it, or some do and it is null or empty in all others."""
        values = self.values(column)
        if not values or self.is_there(column):
            return bool(values)
        return all(_value(row, column) is not _MISSING for row in self._rows)

    def is_full(self, column: str) -> bool:
        """Whether all records have it."""
        return len(self.values(column)) == self.count

    def distinct(self, column: str) -> float:
        """Return how many different values it has, as a share of all."""
        values = list(map(str, self.values(column)))
        return len(set(values)) / len(values)

    def is_called(self, column: str, parts: Sequence[str]) -> bool:
        """Whether it is called like one of these."""
        name = _called(column, nested=True)
        return any(name in _NAMES[part].split() for part in parts)

    def is_text(self, column: str) -> bool:
        """Whether it is mostly text, and not numbers or lists."""
        return self.is_there(column) and self._is(
            column, lambda value: isinstance(value, str) and isinstance(decoded(value), str)
        )

    def is_number(self, column: str) -> bool:
        """Whether it is mostly numbers, written as such or as text."""
        return self._is(column, lambda value: kind_of(str(value)) is Kind.NUMBER)

    def is_chat(self, column: str) -> bool:
        """Whether it is mostly turns of a conversation."""
        return self.is_there(column) and self._is(
            column,
            lambda value: is_conversation(value) and {"role", "from"} & set(decoded(value)[0]),
        )

    def is_unique(self, column: str) -> bool:
        """Whether no two records have the same."""
        values = [str(value) for value in self.values(column)]
        return len(values) == len(set(values)) == len(self._rows)

    def is_worked(self, column: str) -> bool:
        """Whether it holds mostly worked solutions, which mark their end."""
        return self._is(column, lambda value: _WORKED.search(str(value)))

    def _is(self, column: str, fits: Callable[[Any], Any]) -> bool:
        return share(self.values(column), fits) > MOST

    def share(self, column: str, sign: str) -> float:
        """Return how many of its values hold a sign."""
        return share(self.values(column), lambda value: sign in str(value))

    def words(self, column: str) -> float:
        """Return the mean length of its values, in words."""
        return statistics.mean(len(str(value).split()) for value in self.values(column))

    def example(self, column: str) -> str:
        """Return the beginning of its first value on one line."""
        text = " ".join(str(self.values(column)[0]).split())
        return f'"{text[:40]}{"..." if len(text) > 40 else ""}"'


def _value(row: Row, column: str) -> Any:
    try:
        return value_at(row.values, column, row.place)
    except DataError:
        return _MISSING


def _called(column: str, *, nested: bool) -> str:
    """Return the name that says what a column is, or ""; `nested`: it may be that of a parent.

    Of what was rejected nothing is said: it is no part of a problem.
    """
    steps = [_plain(step) for step in column.split(".")]
    known = [step for step in steps if step in _KNOWN]
    if REJECTED in words_of(column) or not known:
        return ""
    if steps[-1] in _GENERAL and len(steps) > 1:
        known = [step for step in known if step not in _GENERAL] or known
        return known[-1]
    return known[-1] if nested or steps[-1] == known[-1] else ""


def words_of(column: str) -> set[str]:
    """Return the words of a column's name and of its parents' names."""
    return set(re.split(r"[_.]", _plain(column)))


def _plain(name: str) -> str:
    return "_".join(name.casefold().replace("-", " ").split())
