"""Reads the passages of a record in the forms that public question sets use.

    [["Title", "text"], ...]               pairs; a text may be a list of sentences
    {"title": [...], "sentences": [...]}   columns, as `datasets` gives them
    [{"title": ..., "text": ...}, ...]     objects; `paragraph_text` and `is_supporting` or `isgold`
    any of these as JSON in a text

Which of them are gold is said by objects, by `supporting_titles`, by `supporting_facts` (pairs or
columns of title and sentence number) or by numbers (`supporting_idx`, `gold_idx`, from 0).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from leaf.errors import DataError
from leaf.tasks.passages import Passage
from leaf.tasks.paths import decoded, value_at
from leaf.tasks.reading import Row, json_of
from leaf.tasks.values import plain_text

_TEXTS = ("text", "paragraph_text", "sentences", "content")
ALONGSIDE = ("supporting_titles", "supporting_facts", "supporting_idx", "gold_idx")
"""Columns that are read beside passages, where a record has them, and say which are gold."""

_MARKS = ("is_supporting", "isgold")


def read_passages(row: Row, *columns: str) -> tuple[Passage, ...]:
    """Return the passages in the first of `columns` that the record has, gold ones marked.

    Raises:
        DataError: none of the columns, another form, no passage, a passage without title or text,
            or a gold one that is not there.
    """
    column = next((name for name in columns if name in row.values), columns[0])
    value = _decoded(row, column)
    if isinstance(value, Mapping):
        value = _records_of(row, column, value)
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise DataError(f"{row.place}: column `{column}` must hold passages, but is {value!r:.60}")
    passages = tuple(_passage(row, column, number, one) for number, one in enumerate(value))
    return _marked(row, passages)


def context_of(row: Row, column: str, gold: str | None) -> tuple[Passage, ...]:
    """Return what stands before a question of one's own: passages, or one text.

    Besides the forms above a list of texts, and objects without a title. The column `gold` says
    which are needed: true or false of each, numbers from 0, titles or texts; null: not known.

    Nothing where the record has none, or blanks.

    Raises:
        DataError: another form, an empty passage, or a gold passage that is not there.
    """
    value = decoded(value_at(row.values, column, row.place))
    if _is_blank(value) or (isinstance(value, list) and all(map(_is_blank, value))):
        return ()
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list):
        value = [_titled(one) for one in value]
    inner = replace(row, values={**row.values, column: value})
    passages = read_passages(inner, column)
    if gold is None:
        return passages
    named = decoded(value_at(row.values, gold, row.place))
    if _is_blank(named):  # nobody said it of this record
        return passages
    named = named if isinstance(named, list) else [named]
    marks = named if all(isinstance(one, bool) for one in named) else None
    if marks is not None and len(marks) != len(passages):
        raise DataError(
            f"{row.place}: column `{gold}` marks {len(marks)} passages, but there are "
            f"{len(passages)}"
        )
    wanted = [at for at, mark in enumerate(marks) if mark] if marks is not None else named
    found = [_place_of(one, passages) for one in wanted]
    if None in found:
        missing = wanted[found.index(None)]
        raise DataError(f"{row.place}: gold passage {missing!r:.60} is not among the passages")
    return tuple(
        replace(passage, gold=passage.gold or at in found) for at, passage in enumerate(passages)
    )


def _is_blank(value: Any) -> bool:
    plain = plain_text(value)
    return plain is not None and not plain.strip()


def _titled(value: Any) -> Any:
    """Give a passage without a title an empty one."""
    if isinstance(value, str):
        return {"title": "", "text": value}
    if isinstance(value, Mapping) and not isinstance(value.get("title"), str):
        return {**value, "title": ""}
    return value


def _place_of(named: Any, passages: Sequence[Passage]) -> int | None:
    """Return the number of the passage that is named by it, its title or its text."""
    if isinstance(named, int):
        return named if 0 <= named < len(passages) else None
    said = str(named).strip()
    places = (at for at, one in enumerate(passages) if said in (one.title, one.text))
    numbered = {str(at): at for at in range(len(passages))}
    return next(places, numbered.get(said))


def answers_of(row: Row, column: str) -> tuple[str, ...]:
    """Return a column of equally good answers, a list or a JSON list, each once, in order."""
    value = _decoded(row, column)
    said = [value] if isinstance(value, str) else value
    if not isinstance(said, Sequence) or not all(isinstance(one, str) for one in said):
        raise DataError(f"{row.place}: column `{column}` must list texts, but is {value!r:.60}")
    return distinct(said)


def distinct(answers: Collection[str]) -> tuple[str, ...]:
    """Return the answers that are not empty, each once, in order."""
    return tuple(dict.fromkeys(said.strip() for said in answers if said.strip()))


def _decoded(row: Row, column: str) -> Any:
    if column not in row.values:
        raise DataError(
            f"{row.place}: no column `{column}`; this record has: {', '.join(row.values) or 'none'}"
        )
    value = row.values[column]
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    return json_of(value, row, column)


def _records_of(row: Row, column: str, columns: Mapping[str, Any]) -> list[Any]:
    texts = next((columns[name] for name in _TEXTS if name in columns), None)
    titles = columns.get("title")
    if not isinstance(titles, Sequence) or not isinstance(texts, Sequence):
        raise DataError(
            f"{row.place}: column `{column}` must hold `title` and `sentences`, but has: "
            f"{', '.join(columns) or 'nothing'}"
        )
    if len(titles) != len(texts):
        raise DataError(
            f"{row.place}: column `{column}` has {len(titles)} titles and {len(texts)} texts"
        )
    return [list(pair) for pair in zip(titles, texts, strict=True)]


def _passage(row: Row, column: str, number: int, value: Any) -> Passage:
    if isinstance(value, Mapping):
        text = next((value[name] for name in _TEXTS if name in value), None)
        title, gold = value.get("title"), any(value.get(mark) is True for mark in _MARKS)
    elif isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        title, text, gold = value[0], value[1], False
    else:
        title, text, gold = None, None, False
    if isinstance(text, Sequence) and not isinstance(text, str):
        text = " ".join(str(sentence).strip() for sentence in text)
    if not (isinstance(title, str) and isinstance(text, str) and text.strip()):
        raise DataError(
            f"{row.place}: passage {number} of column `{column}` must have a title and a text, but "
            f"is {value!r:.60}"
        )
    return Passage(title=title.strip(), text=text.strip(), gold=gold)


def _marked(row: Row, passages: tuple[Passage, ...]) -> tuple[Passage, ...]:
    """Mark what the record's own columns call gold."""
    titles = _gold_titles(row)
    numbers = _gold_numbers(row)
    known = {passage.title for passage in passages}
    missing: list[str | int] = [title for title in titles if title not in known]
    missing += [number for number in numbers if not 0 <= number < len(passages)]
    if missing:
        raise DataError(f"{row.place}: gold passage {missing[0]!r:.60} is not among the passages")
    return tuple(
        replace(passage, gold=passage.gold or passage.title in titles or number in numbers)
        for number, passage in enumerate(passages)
    )


def _gold_titles(row: Row) -> set[str]:
    columns = ("supporting_titles", "supporting_facts")
    column = next((name for name in columns if name in row.values), None)
    facts = _decoded(row, column) if column else None
    named = facts.get("title") if isinstance(facts, Mapping) else facts
    if named is None:
        return set()
    listed = named if isinstance(named, list) else [None]
    # A pair is a title and the number of a sentence; columns hold the titles alone.
    titles = [one[0] if isinstance(one, list) and one else one for one in listed]
    if not all(isinstance(title, str | int) for title in titles):
        raise DataError(f"{row.place}: column `{column}` cannot be read: {facts!r:.60}")
    return {str(title).strip() for title in titles}


def _gold_numbers(row: Row) -> set[int]:
    named: list[Any] = []
    for column in ("supporting_idx", "gold_idx"):
        value = row.values.get(column)
        named += value if isinstance(value, list) else [] if value is None else [value]
    for one in named:
        if not isinstance(one, int) or isinstance(one, bool):
            raise DataError(f"{row.place}: {one!r:.60} is no number of a gold passage")
    return set(named)
