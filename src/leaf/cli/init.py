"""The command `leaf init`."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from cyclopts import Parameter

from leaf.cli.options import AsJson, say_line
from leaf.errors import DataError, UsageError
from leaf.grade import GRADERS
from leaf.recipe import ColumnsSection, DataSection
from leaf.recipe.names import is_path
from leaf.recipe.reading import load_recipe
from leaf.records import Problem
from leaf.tasks import read_problems
from leaf.tasks.delimited import value_among
from leaf.tasks.guess import Guess, guess_columns, guess_grader, not_used
from leaf.tasks.reading import Row, is_file
from leaf.tasks.task import rows_of

_TRAIN = 0.8
"""Share of a single file that is trained on; the rest tests."""

_TESTS = ("test", "eval", "validation", "valid", "dev")
"""What the test questions beside `train` are called."""

_LENGTH = 0.95
"""The share of solutions that must fit into an answer."""

_CHARACTERS = 2.0
"""Of a token, low: a student may write more than the data do."""


def init(  # noqa: D417 - `AsJson` says what it is
    data: str,
    /,
    *,
    student: str | None = None,
    teacher: str | None = None,
    question: str | None = None,
    answer: str | None = None,
    out: Path | None = None,
    name: str | None = None,
    split: str | None = None,
    encoding: str | None = None,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    json_: AsJson = False,
) -> None:
    """Look at data, guess what it is, and write a recipe that runs, with a reason at every guess.

    Questions and answers in columns, chat records, prompt and completion, passages, multiple
    choice. Without a teacher the student teaches itself.

    Args:
        data: A .jsonl, .json, .csv, .tsv or .parquet file, or a hub id.
        student: Folder, hub id or GGUF file. Default: that of the recipe `own`.
        teacher: The same, of a larger model.
        question: The column that asks, by its path where it is nested. Default: guessed.
        answer: The column of the final answer. Default: guessed.
        out: Recipe to write. Default: named like the data, here.
        name: Configuration of a hub data set.
        split: Split of a hub data set. Default: train.
        encoding: Of a text file that is not UTF-8, such as cp1252.
        overwrite: Replace a file that is there.
    """
    stem = re.sub(r"[^\w.-]+", "-", PurePosixPath(data).name.partition(".")[0]) or "own"
    out = out or Path(f"{stem}.yaml")
    if out.suffix not in {".yaml", ".yml"}:
        raise UsageError(f"--out {out}: must end in .yaml")
    if out.exists() and not overwrite:
        raise UsageError(f"--out {out}: is there already; name another, or add --overwrite")
    given = {"name": name, "split": split, "encoding": encoding}
    section = DataSection.model_validate(
        {"task": "table", "path": data} | {k: v for k, v in given.items() if v is not None}
    )
    try:
        found = _look(section, question, answer)
    except DataError as error:  # there is no recipe yet
        raise DataError(str(error).replace("data.encoding", "--encoding")) from None
    text = "".join(f"{line}\n" for line in _recipe(found, stem, student, teacher, out))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    load_recipe(out)
    if json_:
        print(json.dumps(found.as_json(out), indent=1, ensure_ascii=False))
        return
    say_line(f"data:     {data}: {len(found.problems)} questions")
    for guess in found.guesses:
        say_line(f"  {guess.key}: {_flow(guess.value)}  ({guess.why})")
    if found.header:
        say_line(f"header:   {found.header}")
    if found.not_used:
        say_line(f"not used: {', '.join(found.not_used)}")
    if found.refused:
        every = len(found.problems) + len(found.refused)
        say_line(f"left out: {len(found.refused)} of {every} records, first: {found.refused[0]}")
    for role, model in (("student", student), ("teacher", teacher)):
        if model is not None and is_path(model) and not Path(model).expanduser().exists():
            say_line(f"{role}:  {model} is not here; correct `{role}: {{model: ...}}` in {out}")
    say_line(f"recipe:   {out} (look at its guesses)")
    say_line(f"Next: leaf doctor {out}")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """What was seen of data."""

    section: DataSection
    guesses: list[Guess]
    problems: list[Problem]
    refused: list[DataError]
    not_used: list[str]
    header: str | None
    """What is odd about the line that names the columns."""

    def as_json(self, out: Path) -> dict[str, Any]:
        """Return what a program may want to know."""
        return {
            "file": str(out),
            "questions": len(self.problems),
            "left_out": list(map(str, self.refused)),
            "not_used": self.not_used,
            "header": self.header,
            "guesses": {one.key: {"value": one.value, "why": one.why} for one in self.guesses},
        }


def _look(section: DataSection, question: str | None, answer: str | None) -> _Found:
    records = rows_of(section, "")
    rows = [row for row in records if isinstance(row, Row)]
    if not rows:
        raise next(error for error in records if isinstance(error, DataError))
    guesses = guess_columns(rows, section.path or "", question=question, answer=answer)
    unused = not_used(rows, guesses)
    columns = ColumnsSection.model_validate({guess.key: guess.value for guess in guesses})
    section = section.model_copy(update={"columns": columns})
    problems, refused = read_problems(section)
    guesses = [Guess(key=f"columns.{one.key}", value=one.value, why=one.why) for one in guesses]
    guesses += guess_grader(problems, tuple(GRADERS))
    return _Found(
        section=section,
        guesses=guesses,
        problems=problems,
        refused=refused,
        not_used=unused,
        header=_odd_header(section.path or "", rows[0]),
    )


def _odd_header(path: str, row: Row) -> str | None:
    if not path.removesuffix(".gz").endswith((".csv", ".tsv")):
        return None
    odd = value_among(row.values)
    return odd and (
        f"{path}:1: the first line names the columns, but {odd!r:.60} looks like a value; if it is "
        "a record, put a line of names before it, such as question,answer"
    )


def _recipe(
    found: _Found, stem: str, student: str | None, teacher: str | None, out: Path
) -> Iterator[str]:
    """Yield the lines of the recipe."""
    data = found.section
    yield f"# Written by `leaf init {data.path}`. Each guess has its reason behind it: correct what"
    yield f"# is wrong, then `leaf doctor {out}` checks it. All keys: `leaf show {out}`."
    yield "extends: own # how it is trained; `leaf show own --yaml` prints it"
    yield f"name: {_flow(stem)}"
    who = f"{teacher} teaches" if teacher else "the student teaches itself"
    yield f"description: {_flow(f'{data.path}, {len(found.problems)} questions; {who}.')}"
    if student:
        yield f"student: {{model: {_flow(student)}}}"
    else:
        yield "# student: {model: ...} # none was named: that of `own`"
    if teacher:
        yield f"teacher: {{model: {_flow(teacher)}}}"
        yield "attribute: {reference: teacher} # its right answers are what both are compared on"
        yield "distill: {cross_entropy: 0.0} # the teacher's probabilities alone"
    else:
        yield "teacher: self # none was named: --teacher, or here {model: ...}"
    yield from _data(found)
    yield from _length(found.problems)
    if found.section.columns.context and any(one.distractors for one in found.problems):
        yield "prune: {inject: {sources: [passages]}} # of other records, the nearest"


def _data(found: _Found) -> Iterator[str]:
    data, test = found.section, _test(found.section)
    yield "data: &data"
    yield "  task: table"
    for key in ("path", "name", "split", "encoding"):
        if (value := getattr(data, key)) is not None:
            yield f"  {key}: {_flow(value)}"
    yield "  columns:"
    for guess in found.guesses:
        inner, _, key = guess.key.rpartition(".")
        yield f"{'    ' if inner else '  '}{key}: {_flow(guess.value)} # {_plain(guess.why)}"
    if test is None:
        yield f"  part: [0.0, {_TRAIN}] # no test data were found: a fifth is held out, by question"
        test = f"part: [{_TRAIN}, 1.0]"
    yield "evaluate:"
    yield "  benchmarks:"
    yield f"    held-out: {{<<: *data, {test}}}"


def _test(section: DataSection) -> str | None:
    """Return what differs of the test data that stand beside the training data, if they do."""
    path = section.path or ""
    if is_file(path):
        for name in _TESTS:
            beside = Path(path).with_name(Path(path).name.replace("train", name))
            if beside != Path(path) and beside.expanduser().is_file():
                return f"path: {_flow(str(beside))}"
        return None
    for name in _TESTS[0], _TESTS[2]:
        try:
            rows_of(section.model_copy(update={"split": name}), "")
        except DataError:
            continue
        return f"split: {name}"
    return None


def _length(problems: Sequence[Problem]) -> Iterator[str]:
    lengths = sorted(len(problem.solution) for problem in problems if problem.solution)
    if not lengths:
        return
    longest = lengths[int(_LENGTH * (len(lengths) - 1))]
    tokens = min(max(64 * math.ceil(longest / _CHARACTERS / 64), 128), 1024)
    yield (
        f"generate: {{max_new_tokens: {tokens}}} # {_LENGTH:.0%} of the solutions have at most "
        f"{longest} characters"
    )


_BARE = re.compile(r"[A-Za-z_][\w./-]*")
_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")


def _flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, str) and _BARE.fullmatch(value) and value.lower() not in _WORDS:
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _plain(text: str) -> str:
    """Return a text as a comment may hold it."""
    return "".join(sign for sign in text if sign.isprintable())
