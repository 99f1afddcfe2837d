"""How long the questions are, and how many: originals and verified changes of them (Table 8, 9)."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from matplotlib.figure import Figure

from leaf.recipe import Recipe
from leaf.records import Problem
from leaf.study.finding import Cell, Finding, Row, Table
from leaf.study.lab import Lab, Run
from leaf.study.output import written
from leaf.study.paper import differs, of_student, paper_table, printed_table
from leaf.study.plot import draw_cumulative
from leaf.study.pruning_gain import category
from leaf.study.seeds import merged


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """Questions of one kind: what is a training row, or may become one."""

    kind: str
    """`originals`, `in detection`, or `changed questions: ` and how they were made."""
    parts: tuple[str, ...]
    """Each question's part of the data."""
    tokens: tuple[int, ...]
    """Each question's length, in the student's tokens; nothing of a template counts."""


def data_statistics(lab: Lab) -> Finding:
    """Count originals and verified changed questions, and the tokens of their questions."""
    runs = lab.runs(until="verify", label="training data")
    seeds = [_samples(run) for run in runs]
    code = any(problem.grader == "code" for problem in runs[0].results.problems or ())
    name = "9" if code else "8"
    table = merged([statistics_of(samples, lab.recipe, name) for samples in seeds])
    counts = {
        row.labels["samples"]: written(row.cells["count"], "count")
        for row in table.rows
        if row.labels["part"] == "all"
    }
    made = [
        f"{count} {kind.removeprefix(_MADE)}" for kind, count in counts.items() if _MADE in kind
    ]
    return Finding(
        study="data-statistics",
        says=(
            f"{counts['originals']} original questions, verified changed questions: "
            f"{', '.join(made) or 'none'}.",
            "Tokens of the student's tokenizer, of the question alone. In detection: those that "
            f"the student fails{'' if lab.recipe.alone else ' and the teacher solves'}.",
        ),
        tables=(table,),
        paper=(printed_table(name),),
        differs=differs(lab.recipe, name, trains=False),
        draw=lambda figure: _draw(figure, seeds[0]),
        size=(7.0, 3.2),
    )


_MADE = "changed questions: "


def _samples(run: Run) -> list[Samples]:
    """Return the questions of one run by kind."""
    detection = run.pipeline.detection
    tokenizer = run.pipeline.session.student_chat.tokenizer
    origins, problems = detection.origins, detection.problems
    # Kind to questions, each with the problem that it is or is made of.
    kinds: dict[str, list[tuple[str, Problem]]] = {
        "originals": [(problem.question, problem) for problem in run.results.problems or ()],
        "in detection": [(problem.question, problem) for problem in detection.chosen],
    }
    for item in run.results.cuts[run.detector].kept:
        within = ", of the response" if item.problem_id in origins else ""
        problem = problems[origins.get(item.problem_id, item.problem_id)]
        kinds.setdefault(f"{_MADE}{item.strategy}{within}", []).append((item.question, problem))
    return [
        Samples(
            kind=kind,
            parts=tuple(category(problem) for _, problem in questions),
            tokens=tuple(
                len(tokenizer(question, add_special_tokens=False)["input_ids"])
                for question, _ in questions
            ),
        )
        for kind, questions in kinds.items()
    ]


def statistics_of(samples: Sequence[Samples], recipe: Recipe, name: str) -> Table:
    """Return the table, with the paper's numbers where its table `name` is of this setting."""
    several = len({part for questions in samples for part in questions.parts}) > 1
    rows = []
    for questions in samples:
        rows.append(
            _row(questions.kind, "all", questions.tokens, _paper(recipe, name, questions.kind))
        )
        for part in sorted(set(questions.parts)) if several else ():
            tokens = [
                n
                for n, its_part in zip(questions.tokens, questions.parts, strict=True)
                if its_part == part
            ]
            rows.append(_row(questions.kind, part, tokens, {}))
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
    student = of_student(recipe, name)
    if recipe.data.task != corpus["task"] or not student:
        return {}
    rows = {
        "originals": paper_table(name).students["any student"]["original"],
        f"{_MADE}span": student["counterfactual"],
    }
    row = {"count" if column == "total" else column: n for column, n in rows.get(kind, {}).items()}
    return {column: row[column] for column in ("min", "max", "mean", "count") if column in row}


def _draw(figure: Figure, samples: Sequence[Samples]) -> None:
    """Draw the share of questions up to each length."""
    axes = figure.subplots()
    lengths = {
        f"{questions.kind} ({len(questions.tokens)})": questions.tokens
        for questions in samples
        if questions.tokens
    }
    draw_cumulative(axes, lengths, x="tokens of the question")
    axes.set_ylabel("share of questions")
