r"""Records of your own: .jsonl, .json, .csv, .tsv or .parquet, or a hub data set, any column names.

With `columns: {question: problem, answer: result, solution: proof, id: key}` the line
    {"key": "a7", "problem": "What is 2 + 3?", "proof": "2 + 3 = 5.", "result": 5}
of sums.jsonl becomes the problem
    id:       a7                  (sums-1 without an id column: file stem or split, and line)
    question: What is 2 + 3?
    answer:   5
    solution: 2 + 3 = 5.          ("" without a solution column, or where it is null)

A column may be a path (`reply.text`, `turns.0.value`; see `leaf.tasks.paths`). A question may be
text or a conversation (`messages`, ShareGPT's `conversations`, TRL's `prompt`): its last user turn
is the question, the assistant's turn after it the solution, unless `columns.solution` (TRL's
`completion`) names one. With `columns.answer: null` the answer is the end of the solution, see
`final_answer`. An answer that is a list has one gold and others that are as good; of true the
other is yes, of false no.

`columns.context` puts passages or a text before the question, which are scored and cut, while the
question's own words are protected (see `leaf.tasks.passages`); `columns.choices` puts options
behind it, which are protected (see `leaf.tasks.choices`).

Nothing else is put before or after the question. Where the recipe names no grader, the golds say
who judges: `numbers`, `math` where there are formulas or options among them, `qa` where most are
words. Where they do not plainly say so it is `numbers`, and `leaf doctor` tells.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from leaf.errors import DataError
from leaf.recipe import ColumnsSection, DataSection
from leaf.records import Problem, Protected, Turn
from leaf.tasks.choices import options_text, read_choices, right_label
from leaf.tasks.contexts import context_of, distinct
from leaf.tasks.conversation import is_conversation, read_turns, split_turns
from leaf.tasks.passages import Asked, Passage, laid_out, with_passages
from leaf.tasks.paths import decoded, value_at
from leaf.tasks.reading import Row, each, optional_text_of, text_of
from leaf.tasks.task import key_of, no_path, rows_of, task
from leaf.text.kinds import fitting_grader
from leaf.text.latex import boxes

DEFAULT_GRADER = "numbers"

_MARKED = re.compile(r"(?im)^.*?(?:####|\banswer[ *_]{0,4}:)[ *_]{0,8}(\S.*)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Record:
    row: Row
    problem: Problem
    passages: tuple[Passage, ...]


@task("table")
def table(section: DataSection) -> list[Problem | DataError]:
    """Read `section.path` through `section.columns`, in the order of the file."""
    if section.path is None:
        files = "a .jsonl, .json, .csv, .tsv or .parquet file, or a hub id"
        raise no_path("table", section, files)
    key = f"{key_of(section)}.columns"
    records = each(rows_of(section, ""), lambda row: _record(row, section.columns, key))
    golds = [record.problem.answer for record in records if isinstance(record, _Record)]
    guess = fitting_grader(golds) or DEFAULT_GRADER
    pool = [one for record in records if isinstance(record, _Record) for one in record.passages]
    problems = each(records, lambda record: _with_context(record, section, pool))
    return each(problems, lambda problem: _judged_by(problem, guess))


def _judged_by(problem: Problem, grader: str) -> Problem:
    return problem if problem.grader != DEFAULT_GRADER else replace(problem, grader=grader)


def final_answer(solution: str) -> str:
    r"""Return the end of a solution that says the answer.

    That is what the last `\boxed{}` holds; else what follows `####` or `Answer:` on the last line
    that has it; else the whole text.

    >>> final_answer("2 + 2 = 4.\n#### 4")
    '4'
    """
    if found := boxes(solution):
        return found[-1]
    marked = _MARKED.findall(solution)
    return (marked[-1] if marked else solution).strip(" *_\n\t")


def _record(row: Row, columns: ColumnsSection, key: str) -> _Record:
    """Make a problem of a record; `key` is where a recipe has the columns, for errors."""
    turns, question, solution = _asked(row, columns, key)
    protected: tuple[Protected, ...] = ()
    if columns.choices:
        choices = read_choices(row, columns.choices)
        label = right_label(row, columns.answer or "answer", choices)
        answers: tuple[str, ...] = (label, choices[label])
        question, protected = _with_options(question, options_text(choices))
    else:
        answers = _answers(row, columns, solution, key)
    problem = Problem(
        id=text_of(row, columns.id) if columns.id else row.name,
        question=question,
        answer=answers[0],
        solution=solution,
        golds=answers[1:],
        turns=turns,
        protected=protected,
        grader="choice" if columns.choices else DEFAULT_GRADER,
    )
    passages = context_of(row, columns.context, columns.gold) if columns.context else ()
    return _Record(row=row, problem=problem, passages=passages)


def _asked(row: Row, columns: ColumnsSection, key: str) -> tuple[tuple[Turn, ...], str, str]:
    """Return the turns before the question, the question, and the solution or ""."""
    turns: tuple[Turn, ...] = ()
    solution = ""
    try:
        value = value_at(row.values, columns.question, row.place)
    except DataError as error:
        hint = f"name it in {key}.question, or let `leaf init DATA` guess"
        raise DataError(f"{error}; {hint}") from None
    if is_conversation(value):
        where = f"{row.place}: column `{columns.question}`"
        turns, question, solution = split_turns(read_turns(row, columns.question), where)
        if not solution and columns.answer is None and columns.solution is None:
            raise DataError(
                f"{where} ends with the user's turn, so it has no answer; remove the record, or "
                f"name the column with the answer in {key}.answer"
            )
    else:
        question = text_of(row, columns.question)
    if columns.answer:
        value_at(row.values, columns.answer, row.place)  # of two that are missing this one is told
    if columns.solution:
        solution = _solution(row, columns.solution)
    system = optional_text_of(row, columns.system) if columns.system else ""
    if system and not (turns and turns[0].role == "system"):
        turns = (Turn(role="system", text=system), *turns)
    return turns, question, solution


def _solution(row: Row, column: str) -> str:
    if not is_conversation(value_at(row.values, column, row.place)):
        return optional_text_of(row, column)
    value = decoded(value_at(row.values, column, row.place))
    # What answers a prompt begins with the assistant, where a conversation begins with the user.
    opening = [{"from": "human", "value": "?"} if "from" in value[0] else _OPENING]
    whole = replace(row, values={column: [*opening, *value]})
    turns = read_turns(whole, column)
    if len(turns) != 2:
        raise DataError(
            f"{row.place}: column `{column}` must hold one turn of the assistant, but has "
            f"{len(value)} turns"
        )
    return turns[1].text


_OPENING = {"role": "user", "content": "?"}


def _answers(row: Row, columns: ColumnsSection, solution: str, key: str) -> tuple[str, ...]:
    """Return the gold answer and the others that are as good."""
    if columns.answer is None:
        if not solution:
            raise DataError(
                f"{row.place}: has no solution to take the answer from (columns.answer is null); "
                f"name its column in {key}.answer"
            )
        first: tuple[str, ...] = (final_answer(solution),)
    else:
        value = value_at(row.values, columns.answer, row.place)
        first = _listed(row, columns.answer, value if isinstance(value, list) else [value])
    others: Any = value_at(row.values, columns.golds, row.place) if columns.golds else None
    if others in (None, "", []):
        return first
    others = decoded(others)
    listed = others if isinstance(others, list) else [others]
    return distinct([*first, *_listed(row, columns.golds or "", listed)])


def _listed(row: Row, column: str, values: Sequence[Any]) -> tuple[str, ...]:
    """Return answers as texts; of an empty list the fault is that of an empty text."""
    said = [word for value in values or [""] for word in _spoken(value)]
    one = [replace(row, values={column: value}) for value in said]
    texts = tuple(text_of(each, column) for each in one)
    return texts if len(texts) == 1 else distinct(texts)


def _spoken(value: Any) -> Sequence[Any]:
    """Return how people say that something is so or not; all else as it is."""
    if isinstance(value, bool):
        return ("true", "yes") if value else ("false", "no")
    return (value,)


def _with_options(question: str, options: str) -> tuple[str, tuple[Protected, ...]]:
    whole = question.rstrip() + options
    start = len(whole) - len(options)
    return whole, (Protected(what="options", start=start, end=len(whole)),)


def _with_context(record: _Record, section: DataSection, pool: Sequence[Passage]) -> Problem:
    """Put the passages of a record before its question."""
    problem = record.problem
    if not record.passages:
        return problem
    asked = Asked(
        question=problem.question,
        answers=tuple(answer for answer in (problem.answer, *problem.golds) if answer),
        passages=record.passages,
    )
    asked = with_passages(asked, problem.id, record.row.place, section, pool)
    text, distractors = laid_out(asked.passages)
    end = problem.asked.stop
    moved = [
        replace(one, start=one.start + len(text), end=one.end + len(text))
        for one in problem.protected
    ]
    own = Protected(what="question", start=len(text), end=len(text) + end)
    return replace(
        problem,
        question=text + problem.question,
        distractors=distractors,
        protected=(own, *moved),
    )
