"""Guesses what the columns of somebody's records are, from their names and what they hold.

Each guess says why. Nothing is decided here: a recipe is written, with the reasons behind it.
"""

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leaf.errors import DataError, nearest
from leaf.records import Problem
from leaf.tasks.conversation import is_conversation
from leaf.tasks.paths import decoded, value_at
from leaf.tasks.reading import Row
from leaf.text.kinds import NAME, Kind, fitting_grader, kind_of

_LOOKED_AT = 200
"""Records that are looked at."""

_NAMES = {
    "chat": "messages conversations conversation chat dialogue dialog turns",
    "question": "question prompt problem instruction query input ask user text title subject",
    "answer": "answer final_answer final gold_answer gold target label result expected reference"
    " correct correct_answer answerkey answer_key correct_option answer_idx",
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

_REJECTED = "rejected"
_ASIDE = (
    "rejected category source score margin rating difficulty level type topic tags split language"
    " lang url license date meta metadata model"
)
"""Words in the name of a column that is no answer, unless it is named."""

_LETTERS = ("A", "B", "C", "D", "E", "F")
_WORKED = re.compile(r"####|\\boxed\{")
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
    table = _Table(rows[:_LOOKED_AT])
    for option, column in (("--question", question), ("--answer", answer)):
        if column is not None and not table.values(column):
            raise DataError(
                f"{option} {column}: {place} has no such column among "
                f"{', '.join(table.columns)}{nearest(column, table.columns)}"
            )
    named = Guess(key="question", value=question, why="named")
    guesses = [named] if question is not None else _question(table, place)
    taken = {guess.value for guess in guesses} | ({answer} if answer is not None else set())
    for part in ("context", "gold", "system", "id"):
        test = table.is_unique if part == "id" else table.is_there
        if (column := table.named(part, test)) and column not in taken:
            guesses.append(_by_name(part, column, table))
            taken.add(column)
    letters = [column for column in _LETTERS if column in table.columns]
    if column := table.named("choices", table.is_there):
        guesses.append(_by_name("choices", column, table))
    elif len(letters) > 1:
        guesses.append(Guess(key="choices", value=letters, why="columns of single letters"))
    chooses = any(guess.key == "choices" for guess in guesses)
    if answer is not None:
        return [*guesses, Guess(key="answer", value=answer, why="named")]
    return [*guesses, *_answer(table, taken, place, chooses=chooses)]


def _question(table: "_Table", place: str) -> list[Guess]:
    chats = (one for one in table.columns if _REJECTED not in _words(one) and table.is_chat(one))
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
        if table.is_text(one) and not table.is_called(one, others) and _REJECTED not in _words(one)
    ]
    if not texts:
        raise _nothing(table, place, "question")
    asking = max(texts, key=lambda column: (table.share(column, "?"), table.words(column)))
    return [Guess(key="question", value=asking, why=f"asks most; e.g. {table.example(asking)}")]


def _answer(table: "_Table", taken: set[Any], place: str, *, chooses: bool) -> list[Guess]:
    def free(column: str) -> bool:
        return column not in taken and table.is_there(column)

    def solves(column: str) -> bool:
        return free(column) and (table.is_worked(column) or not table.is_number(column))

    solution = table.named("solution", solves)
    answer = table.named("answer", free)
    golds = table.named("golds", free)
    if answer is None and golds is not None:
        answer, golds = golds, None
    left = None
    if answer is None and solution is None and not any(map(table.is_chat, taken)):
        answer = table.named("solution", free) or (left := _left(table, free, place))
    found = []
    if answer is not None and not chooses and solution is None and table.is_worked(answer):
        solution, answer = answer, None
    why = "by its name" if left is None else "the last column that is left"
    if solution is not None:
        found.append(_guess("solution", solution, table, why))
    if answer is None:
        end = "read from the solution: in a box, after #### or Answer:, else all of it"
        return [*found, Guess(key="answer", value=None, why=end)]
    found.append(_guess("answer", answer, table, why))
    if golds is not None and not chooses:
        found.append(_by_name("golds", golds, table))
    return found


def _left(table: "_Table", free: Callable[[str], bool], place: str) -> str:
    """Return the last column that may be an answer, though none is called so."""
    asides = _ASIDE.split()
    rest = [one for one in table.columns if free(one) and _words(one).isdisjoint(asides)]
    rest = [one for one in rest if not table.is_called(one, ("id",))]
    rest = [one for one in rest if not table.is_unique(one)] or rest
    if not rest:
        raise _nothing(table, place, "answer")
    return rest[-1]


def _nothing(table: "_Table", place: str, part: str) -> DataError:
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


def _by_name(key: str, column: str, table: "_Table") -> Guess:
    return _guess(key, column, table, "by its name")


def _guess(key: str, column: str, table: "_Table", why: str) -> Guess:
    return Guess(key=key, value=column, why=f"{why}; e.g. {table.example(column)}")


def guess_grader(problems: Sequence[Problem], graders: Sequence[str]) -> list[Guess]:
    """Guess `data.grader` and `data.after` from the golds, among the graders that there are."""
    first = problems[0]
    asks = _share(problems, lambda one: bool(_REQUEST.search(one.content)))
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
    if after and asks < _MOST:
        guesses.append(Guess(key="after", value=after, why="a request that the grader reads"))
    return guesses


_MOST = 0.5
_BOXED = "\nReason step by step, and put your final answer within \\boxed{}."
_LINE = "\nAnswer in as few words as you can. End with a line of this form:\nAnswer: [{}]"


def _share(items: Sequence[Any], fits: Callable[[Any], bool]) -> float:
    return sum(map(fits, items)) / len(items)


class _Table:
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
        found = []
        for row in self._rows:
            try:
                value = value_at(row.values, column, row.place)
            except DataError:
                continue
            if value not in (None, "", []):
                found.append(value)
        return found

    def first_empty(self, column: str) -> str:
        """Return the place of the first record that has none."""
        return next(row.place for row in self._rows if not _Table([row]).values(column))

    def is_there(self, column: str) -> bool:
        """Whether most records have it."""
        return len(self.values(column)) > _MOST * len(self._rows)

    def is_called(self, column: str, parts: Sequence[str]) -> bool:
        """Whether it is called like one of these."""
        name = _called(column, nested=True)
        return any(name in _NAMES[part].split() for part in parts)

    def is_text(self, column: str) -> bool:
        """Whether it is text, and none that is a number or a list."""
        values = self.values(column)
        return self.is_there(column) and all(
            isinstance(value, str) and isinstance(decoded(value), str) for value in values
        )

    def is_number(self, column: str) -> bool:
        """Whether it is numbers, written as such or as text."""
        return all(kind_of(str(value)) is Kind.NUMBER for value in self.values(column))

    def is_chat(self, column: str) -> bool:
        """Whether it is turns of a conversation."""
        values = self.values(column)
        return self.is_there(column) and all(
            is_conversation(value) and {"role", "from"} & set(decoded(value)[0]) for value in values
        )

    def is_unique(self, column: str) -> bool:
        """Whether no two records have the same."""
        values = [str(value) for value in self.values(column)]
        return len(values) == len(set(values)) == len(self._rows)

    def is_worked(self, column: str) -> bool:
        """Whether it holds worked solutions, which mark their end."""
        values = self.values(column)
        return _share(values, lambda value: bool(_WORKED.search(str(value)))) > _MOST

    def share(self, column: str, sign: str) -> float:
        """Return how many of its values hold a sign."""
        return _share(self.values(column), lambda value: sign in value)

    def words(self, column: str) -> float:
        """Return the mean length of its values, in words."""
        return statistics.mean(len(value.split()) for value in self.values(column))

    def example(self, column: str) -> str:
        """Return the beginning of its first value on one line."""
        text = " ".join(str(self.values(column)[0]).split())
        return f'"{text[:40]}{"..." if len(text) > 40 else ""}"'


def _called(column: str, *, nested: bool) -> str:
    """Return the name that says what a column is, or ""; `nested`: it may be that of a parent.

    Of what was rejected nothing is said: it is no part of a problem.
    """
    steps = [_plain(step) for step in column.split(".")]
    known = [step for step in steps if step in _KNOWN]
    if _REJECTED in _words(column) or not known:
        return ""
    if steps[-1] in _GENERAL and len(steps) > 1:
        known = [step for step in known if step not in _GENERAL] or known
        return known[-1]
    return known[-1] if nested or steps[-1] == known[-1] else ""


def _words(column: str) -> set[str]:
    return set(re.split(r"[_.]", _plain(column)))


def _plain(name: str) -> str:
    return "_".join(name.casefold().replace("-", " ").split())
