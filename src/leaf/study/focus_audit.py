"""Whether the trained students look less at what distracts: beyond the paper.

Attention (the reference's, mean over layers and heads) and embedding gradients (Eq. 2) of every
model on the same questions; of each, the share that falls on verified cuts, and on planted
distractors of questions that nobody was trained on. Per question, joined to who answers it right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from leaf.errors import StudyError
from leaf.pipeline.benchmarks import load_benchmarks
from leaf.records import Problem, Score
from leaf.statistics import Interval, Values
from leaf.store.arms import arm_of
from leaf.store.results import Graded
from leaf.study.finding import Finding, Table
from leaf.study.lab import Lab, Run
from leaf.study.mass import MEASURES, Asked, Audit, associations, audit, differences, masses
from leaf.study.output import written
from leaf.study.plot import draw_pair, size_of_pair
from leaf.study.seeds import merged

MOST = 500
"""Most questions of a benchmark, the first ones: every one takes two passes by four models."""

_TRAINED = "training: verified cuts"


def focus_audit(lab: Lab) -> Finding:
    """Measure where models look: the student before, after the baseline and LeaF, the teacher."""
    seeds, plain = [], arm_of(lab.recipe.baseline).title
    for run in lab.runs(until="distill", label="students"):
        seeds.append(_audits(run, [*_training(run), *_benchmarks(run)]))
    if not any(one.tokens for audits in seeds for one in audits):
        raise StudyError(
            "nothing to look at: no changed question was verified, and no benchmark names its "
            "distractors (playground and gsm_ic do)"
        )
    section = lab.recipe.evaluate
    table = merged([masses(audits, section) for audits in seeds])
    changes = merged([differences(audits, section) for audits in seeds])
    joined = merged([associations(audits, section) for audits in seeds])
    return Finding(
        study="focus-audit",
        says=(*_says(changes, plain), *_notes(seeds, plain)),
        tables=(table, changes, joined),
        differs=("The paper shows attention of one case (Fig. 11) and measures none.",),
        draw=lambda figure: _draw(figure, table),
        size=size_of_pair(table, more=1),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scope:
    """Questions that belong together."""

    name: str
    asked: list[Asked]
    right: Mapping[str, Values]
    """Arm to question to 1 where its answer is right, else 0."""


def _training(run: Run) -> list[_Scope]:
    """Return the training problems with a verified removal, and what was removed."""
    asked = [
        Asked(
            problem=run.pipeline.detection.problems[entry.problem_id],
            reference=entry.reference,
            places=tuple(span for removal in removals for span in removal.spans),
        )
        for entry in run.entries
        if (removals := run.verified_removals(entry))
    ][:MOST]
    if not asked:
        return []
    problems = [question.problem for question in asked]
    right = {}
    for arm, source in run.sources.items():
        if source is None:
            # Known by what enters detection: the student was wrong, the teacher right.
            right[arm] = {problem.id: float(arm == "teacher") for problem in problems}
        else:
            right[arm] = _right(run.answers(arm, problems, "training problems again")[1])
    return [_Scope(name=_TRAINED, asked=asked, right=right)]


def _benchmarks(run: Run) -> list[_Scope]:
    """Return the questions of each benchmark that name their distractors."""
    recipe = run.recipe
    scopes = []
    for name, benchmark in load_benchmarks(recipe.evaluate, recipe.generate).items():
        if not any(problem.distractors for problem in benchmark.problems):
            continue
        generate = benchmark.generate(recipe.generate)
        graded = {
            arm: run.answers(arm, benchmark.asked, benchmark.name, generate) for arm in run.sources
        }
        # Without a teacher, what the student as it came says rightly.
        references = references_of(benchmark.problems, graded.get("teacher", graded["before"]))
        asked = [
            Asked(problem=problem, reference=references[problem.id], places=problem.distractors)
            for problem in benchmark.problems
            if problem.distractors and references.get(problem.id)
        ][:MOST]
        if asked:
            right = {arm: _right(scores) for arm, (_, scores) in graded.items()}
            scopes.append(_Scope(name=f"{name}: planted distractors", asked=asked, right=right))
    return scopes


def references_of(problems: Sequence[Problem], graded: Graded) -> dict[str, str]:
    """Return each question's reference: the data's solution, else what a model rightly said."""
    answers = {
        answer.problem_id: answer.text for answer, score in zip(*graded, strict=True) if score.right
    }
    return {problem.id: problem.solution or answers.get(problem.id, "") for problem in problems}


def _right(scores: Sequence[Score]) -> dict[str, float]:
    return {score.problem_id: float(score.right) for score in scores}


def _audits(run: Run, scopes: Sequence[_Scope]) -> list[Audit]:
    """Look into every model once, on the questions of all scopes with their references."""
    pairs = [(one.problem, one.reference) for scope in scopes for one in scope.asked]
    if not pairs:
        return []
    scores = {
        measure: {arm: run.look(arm, measure, pairs) for arm in run.sources} for measure in MEASURES
    }
    audits = []
    first = 0
    for scope in scopes:
        own = slice(first, first + len(scope.asked))
        of_scope = {
            measure: {arm: every[own] for arm, every in arms.items()}
            for measure, arms in scores.items()
        }
        audits.append(audit(scope.name, scope.asked, of_scope, scope.right))
        first = own.stop
    return audits


def _says(changes: Table, plain: str) -> tuple[str, ...]:
    """Say for each scope how LeaF's focus differs from its baseline's."""
    lines = []
    for row in changes.rows:
        if row.labels["difference"] != f"LeaF minus {plain}":
            continue
        of = {name: written(row.cells[name], unit) for name, unit in changes.columns.items()}
        lines.append(
            f"{row.labels['where']}: LeaF minus {plain} is {of['of attention']} points of "
            f"attention, {of['of gradient']} of gradient, {of['right']} of accuracy."
        )
    return tuple(lines)


def _notes(seeds: Sequence[Sequence[Audit]], plain: str) -> tuple[str, ...]:
    lines = [
        "Attention: what the reference's tokens pay to the question's, mean over layers and heads. "
        "Gradient: norms of the loss by each token's embedding (Eq. 2), added up.",
        "Verified cuts were chosen on the untrained student, whose share is high there by "
        f"choice: compare {plain} with LeaF. Both were trained on those problems; planted "
        "distractors are in questions that nobody was trained on.",
        f"A benchmark's first {MOST} questions at most. A share is no cause: the last table says "
        "where both moved, not why.",
    ]
    if left_out := sum(one.left_out for audits in seeds for one in audits):
        lines.append(f"{left_out} questions are left out: a model gave no scores for them.")
    return tuple(lines)


def _draw(figure: Figure, table: Table) -> None:
    """Draw each model's share on the places, scope by scope."""
    # What would fall on the places if every token got the same; no model is in it.
    chance = {row.labels["where"]: row.cells["of tokens"] for row in table.rows}
    by_length = [
        Interval(value=cell, low=None, high=None, n=0) if isinstance(cell, int | float) else None
        for cell in chance.values()
    ]
    sides = [(f"of {measure}", f"{measure} on the places") for measure in MEASURES]
    for axes in draw_pair(figure, table, *sides, more={"by length alone": by_length}):
        axes.set_xlabel("% of the question's")
        axes.set_xlim(left=0)
