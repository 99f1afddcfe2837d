"""Whether the trained students look less at what distracts: beyond the paper.

Attention (the reference's, mean over layers and heads) and embedding gradients (Eq. 2) of every
model on the same questions; of each, the share that falls on verified confounders, and on planted
distractors of questions that nobody was trained on. Per question, joined to who answers it right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from leaf.errors import StudyError
from leaf.models.files import Source, trained
from leaf.pipeline.benchmarks import Benchmark, load_benchmarks
from leaf.records import Problem, Score
from leaf.statistics import Values
from leaf.store.results import Graded
from leaf.store.work import About
from leaf.study.finding import Finding, Measured, Table
from leaf.study.lab import Lab, Run
from leaf.study.mass import (
    ARMS,
    MEASURES,
    Asked,
    Audit,
    Place,
    associations,
    audit,
    differences,
    masses,
)
from leaf.study.merge import merged
from leaf.study.output import written
from leaf.study.plot import add_legend, draw_dots, height_of

MOST = 500
"""Most questions of a benchmark, the first ones: every one takes two passes by four models."""

_TRAINED = "training: verified confounders"


def focus_audit(lab: Lab) -> Finding:
    """Measure where four models look: the student before, after KD, after LeaF, the teacher."""
    found = []
    for seed in lab.seeds:
        run = lab.run({"attribute.controls": []}, until="distill", seed=seed, label="students")
        found.append(_audits(run, [*_training(run), *_benchmarks(run)]))
    if not any(one.tokens for audits in found for one in audits):
        raise StudyError(
            "nothing to look at: no counterfactual was verified, and no benchmark names its "
            "distractors (playground and gsm_ic do)"
        )
    section = lab.recipe.evaluate
    table = merged([masses(audits, section) for audits in found])
    changes = merged([differences(audits, section) for audits in found])
    joined = merged([associations(audits, section) for audits in found])
    return Finding(
        study="focus-audit",
        says=(*_says(changes), *_notes(found)),
        tables=(table, changes, joined),
        differs=("The paper shows attention of one case (Fig. 11) and measures none.",),
        draw=lambda figure: _draw(figure, table),
        size=(9.5, height_of(len({_scope(row.labels) for row in table.rows}), len(ARMS) + 1)),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scope:
    """Questions that belong together."""

    name: str
    asked: list[Asked]
    right: Mapping[str, Values]
    """Arm to question to 1 where its answer is right, else 0."""


def _scope(labels: Mapping[str, str]) -> str:
    return labels["where"]


def sources_of(run: Run) -> dict[str, Source | None]:
    """Return each arm's weights where they are not the recipe's own student or teacher."""
    students = {arm: trained(arm, folder) for arm, folder in run.results.students.items()}
    return {"before": None, **students, "teacher": None}


def _training(run: Run) -> list[_Scope]:
    """Return the training problems with a verified removal, and what was removed."""
    results, detection = run.results, run.pipeline.detection
    places: dict[str, list[Place]] = {}
    for item in results.cuts[run.recipe.attribute.detector].kept:
        if item.strategy in {"span", "collective"} and item.problem_id in detection.problems:
            places.setdefault(item.problem_id, []).extend(item.spans)
    references = {item.problem_id: item.reference for item in results.attributions or ()}
    asked = [
        Asked(problem=detection.problems[one], reference=references[one], places=tuple(found))
        for one, found in list(places.items())[:MOST]
    ]
    if not asked:
        return []
    right = {}
    problems = [one.problem for one in asked]
    for arm, source in sources_of(run).items():
        # Known by what enters detection: the student was wrong, the teacher right.
        if source is None:
            right[arm] = {problem.id: float(arm == "teacher") for problem in problems}
            continue
        _, scores = run.pipeline.session.answers(
            run.recipe.student, source, problems, About(role=arm, asked="training problems again")
        )
        right[arm] = _right(scores)
    return [_Scope(name=_TRAINED, asked=asked, right=right)]


def _benchmarks(run: Run) -> list[_Scope]:
    """Return the questions of each benchmark that name their distractors."""
    recipe = run.recipe
    scopes = []
    for name, benchmark in load_benchmarks(recipe.evaluate, recipe.generate).items():
        if not any(problem.distractors for problem in benchmark.problems):
            continue
        graded = {arm: _graded(run, benchmark, arm) for arm in sources_of(run)}
        references = references_of(benchmark.problems, graded["teacher"])
        asked = [
            Asked(problem=problem, reference=references[problem.id], places=problem.distractors)
            for problem in benchmark.problems
            if problem.distractors and references.get(problem.id)
        ][:MOST]
        if asked:
            right = {arm: _right(scores) for arm, (_, scores) in graded.items()}
            scopes.append(_Scope(name=f"{name}: planted distractors", asked=asked, right=right))
    return scopes


def _graded(run: Run, benchmark: Benchmark, arm: str) -> Graded:
    """Let an arm answer a benchmark, as `leaf run` does: what it computed is found again."""
    session, role = run.pipeline.session, "teacher" if arm == "teacher" else "student"
    return session.answers(
        run.recipe.teacher if arm == "teacher" else run.recipe.student,
        sources_of(run)[arm] or session.sources[role],
        benchmark.asked,
        About(role=arm, asked=benchmark.name),
        generate=benchmark.generate(run.recipe.generate),
    )


def references_of(problems: Sequence[Problem], teacher: Graded) -> dict[str, str]:
    """Return each question's reference: the data's solution, else what the teacher rightly said."""
    said = {
        answer.problem_id: answer.text
        for answer, score in zip(*teacher, strict=True)
        if score.right
    }
    return {problem.id: problem.solution or said.get(problem.id, "") for problem in problems}


def _right(scores: Sequence[Score]) -> dict[str, float]:
    return {score.problem_id: float(score.right) for score in scores}


def _audits(run: Run, scopes: Sequence[_Scope]) -> list[Audit]:
    """Look into every model once, on the questions of all scopes with their references."""
    session = run.pipeline.session
    pairs = [(one.problem, one.reference) for scope in scopes for one in scope.asked]
    if not pairs:
        return []
    found = {
        measure: {
            arm: session.sensitivities(
                "teacher" if arm == "teacher" else "student", measure, pairs, source=source
            )
            for arm, source in sources_of(run).items()
        }
        for measure in MEASURES
    }
    audits = []
    first = 0
    for scope in scopes:
        own = slice(first, first + len(scope.asked))
        scores = {
            measure: {arm: every[own] for arm, every in arms.items()}
            for measure, arms in found.items()
        }
        audits.append(audit(scope.name, scope.asked, scores, scope.right))
        first = own.stop
    return audits


def _says(changes: Table) -> tuple[str, ...]:
    """Say for each scope how LeaF's focus differs from plain distillation's."""
    lines = []
    for row in changes.rows:
        if row.labels["difference"] != "LeaF minus KD":
            continue
        of = {name: written(row.cells[name], unit) for name, unit in changes.columns.items()}
        lines.append(
            f"{_scope(row.labels)}: LeaF minus KD is {of['of attention']} points of attention, "
            f"{of['of gradient']} of gradient, {of['right']} of accuracy."
        )
    return tuple(lines)


def _notes(found: Sequence[Sequence[Audit]]) -> tuple[str, ...]:
    lines = [
        "Attention: what the reference's tokens pay to the question's, mean over layers and heads. "
        "Gradient: norms of the loss by each token's embedding (Eq. 2), added up.",
        "Verified confounders were chosen by the untrained student's gradient, which is high there "
        "by choice: compare KD with LeaF. Both were trained on those problems; planted distractors "
        "are in questions that nobody was trained on.",
        f"A benchmark's first {MOST} questions at most. A share is no cause: the last table says "
        "where both moved, not why.",
    ]
    if left_out := sum(one.left_out for audits in found for one in audits):
        lines.append(f"{left_out} questions are left out: a model gave no scores for them.")
    return tuple(lines)


def _draw(figure: Figure, table: Table) -> None:
    """Draw each model's share on the places, scope by scope."""
    scopes = list(dict.fromkeys(_scope(row.labels) for row in table.rows))
    sides = figure.subplots(1, len(MEASURES), sharey=True)
    for axes, measure in zip(sides, MEASURES, strict=True):
        series: dict[str, list[Measured | None]] = {
            name: [_value(table, scope, name, f"of {measure}") for scope in scopes]
            for name in ARMS.values()
        }
        series["by length alone"] = [_chance(table, scope) for scope in scopes]
        draw_dots(axes, scopes, series, unit="share", title=f"{measure} on the places")
        axes.set_xlabel("% of the question's")
        axes.set_xlim(left=0)
    add_legend(figure, sides[0])


def _value(table: Table, scope: str, model: str, column: str) -> Measured | None:
    for row in table.rows:
        if (_scope(row.labels), row.labels["model"]) == (scope, model):
            cell = row.cells[column]
            return cell if isinstance(cell, Measured) else None
    return None


def _chance(table: Table, scope: str) -> Measured | None:
    """Return what would fall on the places if every token got the same."""
    for row in table.rows:
        cell = row.cells["of tokens"]
        if _scope(row.labels) == scope and isinstance(cell, int | float):
            return Measured(value=cell, low=None, high=None, n=0)
    return None
