"""Multiple choice: the options that follow a question, and which of them is right.

Options are a list of texts (labels A, B, ...), an object of label and text, `{"label": [...],
"text": [...]}`, JSON of one of these, or several columns. The right one is named, in this order, by
its label, by its text, or by its number from 0:
    {"question": "2 + 2?", "choices": ["3", "4"], "answer": "B"}    or "4", or 1
"""

import string
from collections.abc import Mapping, Sequence
from typing import Any

from leaf.errors import DataError
from leaf.tasks.paths import decoded, value_at
from leaf.tasks.reading import Row


def read_choices(row: Row, columns: str | Sequence[str]) -> dict[str, str]:
    """Return label and text of each option, in order.

    Raises:
        DataError: fewer than two options, one that is no text, or two of one label.
    """
    if isinstance(columns, str):
        where = f"{row.place}: column `{columns}`"
        value = decoded(value_at(row.values, columns, row.place))
    else:
        where = f"{row.place}: columns {', '.join(columns)}"
        value = [value_at(row.values, column, row.place) for column in columns]
        if all(len(column) == 1 for column in columns):
            value = dict(zip(columns, value, strict=True))
    labels, texts = _labelled(value)
    texts = [str(text) if _is_plain(text) else text for text in texts]
    fits = len(labels) == len(texts) == len(set(labels)) >= 2
    if not fits or not all(isinstance(text, str) and text.strip() for text in texts):
        raise DataError(
            f"{where} must hold at least two options, each a text with a label of its own, but is "
            f"{value!r:.60}"
        )
    return {label: text.strip() for label, text in zip(labels, texts, strict=True)}


def right_label(row: Row, column: str, choices: Mapping[str, str]) -> str:
    """Return the label of the option that a column names.

    Raises:
        DataError: it names none, or several.
    """
    value = value_at(row.values, column, row.place)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    said = str(value).strip()
    if not isinstance(value, int) or said in choices:
        plain = said.strip("().")
        # As it stands, then without case: of the texts a, c, d the answer c is the second.
        found = (
            [label for label in choices if label == plain],
            [label for label, text in choices.items() if text == said],
            [label for label in choices if label.casefold() == plain.casefold()],
            [label for label, text in choices.items() if text.casefold() == said.casefold()],
        )
        same = next(filter(None, found), [])
        if len(same) > 1:
            raise DataError(
                f"{row.place}: column `{column}` must name one option, but {' and '.join(same)} "
                f"have the text {said!r:.60}; name one by its label, or mend the record"
            )
        if same:
            return same[0]
    numbered = {str(at): label for at, label in enumerate(choices)}
    if said in numbered:
        return numbered[said]
    raise DataError(
        f"{row.place}: column `{column}` must name an option by its label "
        f"({', '.join(choices)}), its text or its number from 0, but is {value!r:.60}"
    )


def options_text(choices: Mapping[str, str]) -> str:
    """Return the options as they follow a question."""
    return "\n\n" + "\n".join(f"{label}. {text}" for label, text in choices.items())


def _labelled(value: Any) -> tuple[list[str], list[Any]]:
    if isinstance(value, Mapping):
        texts = value.get("text")
        if not isinstance(texts, list):
            return list(map(str, value)), list(value.values())
        labels = value.get("label") or list(string.ascii_uppercase[: len(texts)])
        return list(map(str, labels if isinstance(labels, list) else [labels])), texts
    texts = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    if texts and all(isinstance(one, Mapping) and {"label", "text"} <= one.keys() for one in texts):
        return [str(one["label"]) for one in texts], [one["text"] for one in texts]
    return list(string.ascii_uppercase[: len(texts)]), texts


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
