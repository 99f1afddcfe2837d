"""The command `leaf grade`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from cyclopts import Parameter
from rich.markup import escape

from leaf.cli.options import AsJson, Plugins, load_plugins, out_console
from leaf.errors import DataError, MissingError, UsageError
from leaf.progress import print_table, table
from leaf.records import Answer, Outcome, Problem

if TYPE_CHECKING:
    from leaf.records import Score

Case = tuple[Problem, Answer]
Found = dict[str, Any]
"""`outcome`, `extracted`, `reason`, and `measures` where its grader measures any."""

_PATIENCE = 20.0
"""Seconds for one symbolic comparison: somebody waits for few, on a machine that may be busy."""

_SHOWN = 60
"""Characters of a text in the table."""


def grade(  # noqa: D417 - `Plugins` and `AsJson` say what they are
    answer: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    grader: str = "numbers",
    gold: Annotated[list[str] | None, Parameter(allow_leading_hyphen=True, negative=())] = None,
    question: str = "",
    cases: Path | None = None,
    plugin: Plugins = None,
    json_: AsJson = False,
) -> None:
    """Judge an answer as a run would, and say what was read and why it is wrong.

    Args:
        answer: What a model said.
        grader: Who judges: a name, or one with its options as in '{close: {relative: 0.01}}'.
        gold: What is right (may be given again: any of them, for olympiad all).
        question: What was asked, for a grader that looks at it (judge, choice).
        cases: File of many: `grader`, `gold` (a text, or a list) and `answer` in each record,
            `question`, and `truncated: true` where the answer was cut at the token limit.
    """
    load_plugins(plugin or ())
    if cases is not None:
        if answer is not None or gold is not None:
            raise UsageError(f"--cases {cases}: has answers and golds of its own; give no others")
        asked, wanted = _cases(cases)
    elif answer is None or gold is None:
        raise UsageError("give --gold and an answer, or a file of --cases")
    else:
        given = {"grader": _chosen(grader), "gold": gold, "answer": answer, "question": question}
        asked, wanted = [_case(given)], []
    found = list(_judged(asked))
    if json_:
        print(json.dumps([found_as_json for _, found_as_json in found], ensure_ascii=False))
    elif cases is None:
        _print_one(found[0][1])
    else:
        _print_many(found)
    rights = [one["outcome"] == Outcome.RIGHT for _, one in found]
    if not json_ and len(wanted) == len(rights):
        agreed = sum(right == said for right, said in zip(rights, wanted, strict=True))
        out_console.print(f"{agreed} of {len(rights)} as the file's `right` says")


def _chosen(grader: str) -> Any:
    """Read a grader with options, as a recipe has it."""
    try:
        return yaml.safe_load(grader) if "{" in grader else grader
    except yaml.YAMLError:
        raise UsageError(
            f"--grader {grader}: write options as {{close: {{relative: 0.01}}}}"
        ) from None


def _cases(path: Path) -> tuple[list[Case], list[bool]]:
    """Read a file of cases, and what each of them says is right, where all do."""
    from leaf.tasks.reading import read_rows

    asked, wanted = [], []
    for row in read_rows(str(path), name=None, split=""):
        if isinstance(row, DataError):
            raise row
        try:
            asked.append(_case(row.values))
        except UsageError as error:
            raise DataError(f"{row.place}: {error}") from None
        if isinstance(row.values.get("right"), bool):
            wanted.append(row.values["right"])
    return asked, wanted


def _case(values: Mapping[str, Any]) -> Case:
    """Return a problem with its gold, and the answer to it.

    Raises:
        UsageError: there is no such grader, or a value is missing or of another type.
        RecipeError: the grader has no such option.
    """
    from leaf.api.settings import check_grader

    grader, options = check_grader(values.get("grader", "numbers"))
    gold, said, cut = values.get("gold"), values.get("answer"), values.get("truncated", False)
    question = values.get("question", "")
    golds = [str(gold)] if isinstance(gold, str | int) and not isinstance(gold, bool) else gold
    if not isinstance(golds, list) or not golds or not all(isinstance(one, str) for one in golds):
        raise UsageError(f"`gold` must be a text or a list of texts, but is {gold!r:.60}")
    if not isinstance(said, str):
        raise UsageError(f"`answer` must be a text, but is {said!r:.60}")
    if not isinstance(question, str):
        raise UsageError(f"`question` must be a text, but is {question!r:.60}")
    if not isinstance(cut, bool):
        raise UsageError(f"`truncated` must be true or false, but is {cut!r:.60}")
    every = grader == "olympiad"
    problem = Problem(
        id="case",
        question=question,
        answer=", ".join(golds) if every else golds[0],
        golds=tuple(golds if every else golds[1:]),
        solution="",
        grader=grader,
        grader_options=options,
    )
    return problem, Answer(
        problem_id="case", text=said, prompt_tokens=0, response_tokens=0, truncated=cut
    )


def _judged(asked: list[Case]) -> Iterator[tuple[Case, Found]]:
    from leaf.grade import Unscored
    from leaf.pipeline.grading import open_graders
    from leaf.recipe import GradeSection

    with open_graders(GradeSection(time_limit=_PATIENCE)) as graders:
        scores = graders.grade([problem for problem, _ in asked], [said for _, said in asked])
    if lost := [score.reason for score in scores if isinstance(score, Unscored)]:
        raise MissingError(f"{len(lost)} of {len(scores)} requests failed, the last: {lost[-1]}")
    for case, score in zip(asked, scores, strict=True):
        reason = score.reason or _why(case[0], score)
        found: Found = {"outcome": score.outcome, "extracted": score.extracted, "reason": reason}
        measures = {one.name: one.value for one in score.measures}
        yield case, found | ({"measures": measures} if measures else {})


def _why(problem: Problem, score: "Score") -> str | None:
    if score.outcome is not Outcome.WRONG:
        return None
    golds = " or ".join(f"`{gold}`" for gold in dict.fromkeys((problem.answer, *problem.golds)))
    return f"read as `{score.extracted}`, which is not {golds}"


def _print_one(found: Found) -> None:
    for name in ("outcome", "extracted", "reason"):
        if found[name] is not None:
            out_console.print(f"{name + ':':10} {escape(str(found[name]))}", soft_wrap=True)
    for name, value in found.get("measures", {}).items():
        out_console.print(f"{name + ':':10} {value:.3f}", soft_wrap=True)


def _print_many(found: list[tuple[Case, Found]]) -> None:
    rows = table("", "grader", "gold", "read", "outcome", "reason")
    for number, ((problem, _), one) in enumerate(found, start=1):
        texts = [problem.grader, problem.answer, one["extracted"] or "", one["outcome"] or ""]
        # Of what is wrong, gold and what was read say why.
        own = one["reason"] if not (one["reason"] or "").startswith("read as ") else ""
        rows.add_row(str(number), *(escape(text[:_SHOWN]) for text in texts), escape(own or ""))
    print_table(out_console, rows)
    counts = {outcome: sum(one["outcome"] == outcome for _, one in found) for outcome in Outcome}
    said = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    out_console.print(f"{len(found)} answers: {said}")
