"""How long the questions are, and how many: originals and verified changes of them (Table 8, 9)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from matplotlib.figure import Figure

from leaf.recipe import Recipe
from leaf.records import Counterfactual, Problem
from leaf.study.finding import Cell, Finding, Row, Table
from leaf.study.lab import Lab, Run
from leaf.study.merge import merged
from leaf.study.output import written
from leaf.study.paper import differs, of_student, paper_table, printed_table
from leaf.study.pruning_gain import category


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """Questions of one kind: what is a training row, or may become one."""

    kind: str
    """`originals`, `in detection`, or `counterfactuals: ` and how they were made."""
    parts: tuple[str, ...]
    """Each question's part of the data."""
    tokens: tuple[int, ...]
    """Each question's length, in the student's tokens; nothing of a template counts."""


def data_statistics(lab: Lab) -> Finding:
    """Count originals and verified counterfactuals, and the tokens of their questions."""
    runs = [
        lab.run({"attribute.controls": []}, until="verify", seed=seed, label="training data")
        for seed in lab.seeds
    ]
    found = [_samples(run) for run in runs]
    code = any(problem.grader == "code" for problem in runs[0].results.problems or ())
    name = "9" if code else "8"
    table = merged([statistics_of(one, lab.recipe, name) for one in found])
    originals, *_ = table.rows
    kinds = [row for row in table.rows if row.labels["part"] == "all"][2:]
    counted = ", ".join(
        f"{written(row.cells['count'], 'count')} {row.labels['samples'].removeprefix(_MADE)}"
        for row in kinds
    )
    return Finding(
        study="data-statistics",
        says=(
            f"{written(originals.cells['count'], 'count')} original questions, verified "
            f"counterfactuals: {counted or 'none'}.",
            "Tokens of the student's tokenizer, of the question alone. In detection: those that "
            "the student fails and the teacher solves.",
        ),
        tables=(table,),
        paper=(printed_table(name),),
        differs=differs(lab.recipe, name, trains=False),
        draw=lambda figure: _draw(figure, found[0]),
        size=(7.0, 3.2),
    )


_MADE = "counterfactuals: "


def _samples(run: Run) -> list[Samples]:
    """Return the questions of one run by kind."""
    pipeline, results = run.pipeline, run.results
    tokenizer = pipeline.session.student_chat.tokenizer
    assert results.problems is not None  # noqa: S101 - `until` says so

    def tokens(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    found = [
        _of_problems("originals", results.problems, tokens),
        _of_problems("in detection", pipeline.detection.chosen, tokens),
    ]
    problems = pipeline.detection.every_problem
    origins = pipeline.detection.origins
    kept: dict[str, list[Counterfactual]] = {}
    for item in results.cuts[run.recipe.attribute.detector].kept:
        within = ", of the response" * (item.problem_id in origins)
        kept.setdefault(f"{_MADE}{item.strategy}{within}", []).append(item)
    for kind, items in kept.items():
        ids = [origins.get(item.problem_id, item.problem_id) for item in items]
        found.append(
            Samples(
                kind=kind,
                parts=tuple(category(problems[one]) for one in ids),
                tokens=tuple(tokens(item.question) for item in items),
            )
        )
    return found


def _of_problems(kind: str, problems: Sequence[Problem], tokens: Callable[[str], int]) -> Samples:
    return Samples(
        kind=kind,
        parts=tuple(category(problem) for problem in problems),
        tokens=tuple(tokens(problem.question) for problem in problems),
    )


def statistics_of(found: Sequence[Samples], recipe: Recipe, name: str) -> Table:
    """Return the table, with the paper's numbers where its table `name` is of this setting."""
    rows = []
    for one in found:
        paper = _paper(recipe, name, one.kind)
        rows.append(_row(one.kind, "all", one.tokens, paper))
        parts = sorted(set(one.parts))
        if len({part for other in found for part in other.parts}) > 1:
            rows += [
                _row(
                    one.kind,
                    part,
                    [n for n, of in zip(one.tokens, one.parts, strict=True) if of == part],
                    {},
                )
                for part in parts
            ]
    return Table(
        title="Questions and their tokens",
        columns={"min": "tokens", "max": "tokens", "mean": "number", "count": "count"},
        rows=tuple(rows),
    )


def _row(kind: str, part: str, tokens: Sequence[int], paper: dict[str, float]) -> Row:
    cells: dict[str, Cell] = {
        "min": min(tokens, default=None),
        "max": max(tokens, default=None),
        "mean": fmean(tokens) if tokens else None,
        "count": len(tokens),
    }
    return Row(labels={"samples": kind, "part": part}, cells=cells, paper=paper)


def _paper(recipe: Recipe, name: str, kind: str) -> dict[str, float]:
    """Return the paper's row of these samples, where data and student are the paper's."""
    corpus = paper_table(name).corpus
    mine = of_student(recipe, name)
    if recipe.data.task != corpus["task"] or not mine:
        return {}
    rows = {
        "originals": paper_table(name).students["any student"]["original"],
        f"{_MADE}span": mine["counterfactual"],
    }
    found = rows.get(kind, {})
    columns = {"min": "min", "max": "max", "mean": "mean", "count": "total"}
    return {ours: found[theirs] for ours, theirs in columns.items() if theirs in found}


_LINES = (("#000000", "-"), ("#0072b2", "--"), ("#d55e00", ":"), ("#009e73", "-."))
"""Colours that colour-blind readers tell apart, and lines for print."""


def _draw(figure: Figure, found: Sequence[Samples]) -> None:
    """Draw the share of questions up to each length."""
    axes = figure.subplots()
    for at, one in enumerate(found):
        if one.tokens:
            label = f"{one.kind} ({len(one.tokens)})"
            color, line = _LINES[at % len(_LINES)]
            axes.ecdf(one.tokens, label=label, color=color, linestyle=line, linewidth=1.8)
    axes.set_xlabel("tokens of the question")
    axes.set_ylabel("share of questions")
    axes.legend(frameon=False, fontsize=9)
