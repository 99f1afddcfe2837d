"""Guesses what the columns of somebody's records are, from their names and what they hold.

Each guess says why. Nothing is decided here: a recipe is written, with the reasons behind it.
"""

import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from leaf.errors import DataError, nearest
from leaf.records import Problem
from leaf.tasks.columns import MOST, REJECTED, Table, share, words_of
from leaf.tasks.contexts import ALONGSIDE
from leaf.tasks.reading import Row
from leaf.text.kinds import NAME, fitting_grader

_LOOKED_AT = 200
"""Records that are looked at."""

_ASIDE = (
    "rejected category source score margin rating difficulty level type topic tags split language"
    " lang url license date meta metadata model"
)
"""Words in the name of a column that is no answer, unless it is named."""

_LETTERS = ("A", "B", "C", "D", "E", "F")
_OPTION = re.compile(r"(?:option|choice)[ _-]?([a-f])", re.IGNORECASE)
"""The name of a column that holds one option, as in `Option A`; labels go by position."""

_REQUEST = re.compile(r"boxed|answer:|####", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """One key below `data`, and why it has this value."""

    key: str
    value: Any
    why: str


def guess_columns(
    rows: Sequence[Row], place: str, *, question: str | None = None, answer: str | None = None
) -> list[Guess]:
    """Guess `data.columns`, but for those that are named.

    Raises:
        DataError: nothing looks like a question, or like an answer, or a column that is named is
            not there; names what there is.
    """
    if question is not None and question == answer:
        raise DataError(f"--answer {answer}: is the column of --question, too; name another")
    table = Table(rows[:_LOOKED_AT])
    for option, column in (("--question", question), ("--answer", answer)):
        if column is not None and not table.values(column):
            raise DataError(
                f"{option} {column}: {place} has no such column among "
                f"{', '.join(table.columns)}{nearest(column, table.columns)}"
            )
    named = Guess(key="question", value=question, why="named")
    guesses = [named] if question is not None else _question(table, place)
    guesses = _with_input(guesses, table, answer, repeats=question is None)
    taken = {guess.value for guess in guesses} | ({answer} if answer is not None else set())
    tests = {
        "context": table.is_readable,
        "gold": table.is_readable,
        "system": table.is_there,
        "id": table.is_unique,
    }
    for part, fits in tests.items():
        if any(guess.key == part for guess in guesses):
            continue
        if (column := table.named(part, fits)) and column not in taken:
            guesses.append(_by_name(part, column, table))
            taken.add(column)
    if column := table.named("choices", table.is_there):
        guesses.append(_by_name("choices", column, table))
    elif len(options := _options(table)) > 1:
        guesses.append(Guess(key="choices", value=options, why="columns named by letters"))
    chooses = any(guess.key == "choices" for guess in guesses)
    if answer is not None:
        return [*guesses, Guess(key="answer", value=answer, why="named")]
    return [*guesses, *_answer(table, taken, place, chooses=chooses)]


def _question(table: Table, place: str) -> list[Guess]:
    chats = (one for one in table.columns if REJECTED not in words_of(one) and table.is_chat(one))
    chat = table.named("chat", table.is_chat) or next(chats, None)
    asks = table.named("question", lambda column: table.is_text(column) or table.is_chat(column))
    if chat and not (asks and table.is_chat(asks)):
        why = "a conversation: its last user turn asks, the turn after it solves"
        return [Guess(key="question", value=chat, why=why)]
    if asks:
        return [_by_name("question", asks, table)]
    others = ("id", "answer", "solution", "golds")
    texts = [
        one
        for one in table.columns
        if table.is_text(one) and not table.is_called(one, others) and REJECTED not in words_of(one)
    ]
    if not texts:
        raise _nothing(table, place, "question")
    asking = max(texts, key=lambda column: (table.share(column, "?"), table.words(column)))
    return [Guess(key="question", value=asking, why=f"asks most; e.g. {table.example(asking)}")]


def _options(table: Table) -> list[str]:
    """Return the columns of one option each, if their letters are those that `choices` gives."""
    found = [column for column in _LETTERS if column in table.columns]
    if found:
        return found
    named = {match[1].upper(): match[0] for match in map(_OPTION.fullmatch, table.columns) if match}
    whole = list(named) == list(_LETTERS[: len(named)])
    return list(named.values()) if whole else []


def _with_input(
    guesses: list[Guess], table: Table, answer: str | None, *, repeats: bool
) -> list[Guess]:
    """Add what an instruction is about, which makes one question with it (Alpaca's `input`).

    Where `repeats`, the instruction is no question if most records have one that others have, too.
    """
    question = guesses[0].value
    parent, dot, name = question.rpartition(".")
    about = f"{parent}{dot}input"
    if name.casefold() != "instruction" or about == answer or not table.is_readable(about):
        return guesses
    if repeats and table.is_full(about) and table.distinct(question) < MOST:
        return [
            _guess("question", about, table, "what a repeated instruction is about"),
            _guess("system", question, table, "an instruction of many records"),
        ]
    return [*guesses, _guess("context", about, table, "what the instruction is about")]


def not_used(rows: Sequence[Row], guesses: Sequence[Guess]) -> list[str]:
    """Return the columns that no guess has, each with how many of the records fill it."""
    table = Table(rows[:_LOOKED_AT])
    used = [one for guess in guesses for one in _listed(guess.value)]
    if any(guess.key == "context" for guess in guesses):
        used += ALONGSIDE
    return [
        f"{column} (filled in {filled} of {table.count})"
        for column in table.columns
        if (filled := len(table.values(column)))
        and not any(_within(column, one) or _within(one, column) for one in used)
    ]


def _within(inner: str, outer: str) -> bool:
    return f"{inner}.".startswith(f"{outer}.")


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []


def _answer(table: Table, taken: set[Any], place: str, *, chooses: bool) -> list[Guess]:
    def free(column: str) -> bool:
        return column not in taken and table.is_there(column)

    def solves(column: str) -> bool:
        return free(column) and (table.is_worked(column) or not table.is_number(column))

    solution = table.named("solution", solves)
    answer = table.named("answer", free)
    golds = table.named("golds", free)
    if answer is None and golds is not None:
        answer, golds = golds, None
    why = "by its name"
    if answer is None and solution is None and not any(map(table.is_chat, taken)):
        answer = table.named("solution", free)
        if answer is None:
            *others, answer = _left(table, free, place)
            why = "the last column that is left"
            if others:
                why += f", after {', '.join(others)}; --answer takes another"
    found = []
    if answer is not None and not chooses and solution is None and table.is_worked(answer):
        solution, answer = answer, None
    if solution is not None:
        found.append(_guess("solution", solution, table, why))
    if answer is None:
        end = "read from the solution: in a box, after #### or Answer:, else all of it"
        return [*found, Guess(key="answer", value=None, why=end)]
    found.append(_guess("answer", answer, table, why))
    if golds is not None and not chooses:
        found.append(_by_name("golds", golds, table))
    return found


def _left(table: Table, free: Callable[[str], bool], place: str) -> list[str]:
    """Return the columns that may be an answer, though none is called so."""
    asides = _ASIDE.split()
    rest = [one for one in table.columns if free(one) and words_of(one).isdisjoint(asides)]
    rest = [one for one in rest if not table.is_called(one, ("id",))]
    rest = [one for one in rest if not table.is_unique(one)] or rest
    if not rest:
        raise _nothing(table, place, "answer")
    return rest


def _nothing(table: Table, place: str, part: str) -> DataError:
    """Say that no column is a part: none is called so, or the one that is has many empty cells."""
    article = "an" if part == "answer" else "a"
    for column in table.columns:
        if table.is_called(column, (part,)) and not table.is_there(column):
            filled = len(table.values(column))
            return DataError(
                f"{table.first_empty(column)}: column `{column}` is called like {article} {part}, "
                f"but is empty here and in {table.count - filled} of {table.count} records; fill "
                f"it, or name another: --{part} COLUMN"
            )
    return DataError(
        f"{place}: no column looks like {article} {part}; there are: "
        f"{', '.join(table.columns)}; name it: --{part} COLUMN"
    )


def _by_name(key: str, column: str, table: Table) -> Guess:
    return _guess(key, column, table, "by its name")


def _guess(key: str, column: str, table: Table, why: str) -> Guess:
    filled = len(table.values(column))
    if filled < table.count:
        why = f"{why}, filled in {filled} of {table.count}"
    return Guess(key=key, value=column, why=f"{why}; e.g. {table.example(column)}")


def guess_grader(problems: Sequence[Problem], graders: Sequence[str]) -> list[Guess]:
    """Guess `data.grader` and `data.after` from the golds, among the graders that there are."""
    first = problems[0]
    asks = share(problems, lambda one: bool(_REQUEST.search(one.content)))
    golds = [problem.answer for problem in problems]
    plain = fitting_grader(golds)
    length = statistics.median(len(gold.split()) for gold in golds)
    if first.grader == "choice":
        found = ("choice", "each names an option", _LINE.format("letter"))
    elif plain in ("numbers", "math"):
        what = "numbers" if plain == "numbers" else "formulas, options or numbers"
        found = (plain, f"golds are {what}, as {golds[0][:20]!r}", _BOXED)
    elif length <= NAME:
        found = ("qa", f"golds are short, {length:.0f} words at the median", _LINE.format("answer"))
    else:
        free = next((name for name in ("rouge_l", "qa_f1") if name in graders), "qa")
        exact = ", and `qa` wants one word for word" if free == "qa" else ""
        found = (free, f"golds are sentences, {length:.0f} words at the median{exact}", "")
    grader, why, after = found
    guesses = [Guess(key="grader", value=grader, why=why)]
    if after and asks < MOST:
        guesses.append(Guess(key="after", value=after, why="a request that the grader reads"))
    return guesses


_BOXED = "\nReason step by step, and put your final answer within \\boxed{}."
_LINE = "\nAnswer in as few words as you can. End with a line of this form:\nAnswer: [{}]"
