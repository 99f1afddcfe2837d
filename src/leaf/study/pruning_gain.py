"""What cutting alone gains, without any training (Fig. 1, appendix A.2).

Only problems that the student fails are asked again, so this can free and never harm: each figure
stands beside that of detectors that know less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from leaf.errors import StudyError
from leaf.records import Outcome, Problem
from leaf.report.control import Controlled, controlled
from leaf.statistics import Interval, compare_values
from leaf.store.ledger import Entry
from leaf.study.finding import Cell, Finding, Row, Table
from leaf.study.lab import Lab
from leaf.study.output import written
from leaf.study.paper import differs
from leaf.study.placebos import against_placebos, of_every_cut, says_of
from leaf.study.plot import Series, add_legend, draw_dots, height_of
from leaf.study.scores import drawn
from leaf.study.seeds import merged, share

CONTROLS = ("random", "perplexity")
"""Run beside the recipe's own controls."""

_WAYS = {"span": "one span cut", "collective": "all marked cut"}
"""Strategy to the column of what the student then solves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Freed:
    """The problems, by id, that one detector's cuts free."""

    cut: Mapping[str, int]
    """Problem to how many of its spans were cut, each by itself; only those with one."""
    span: frozenset[str]
    """The student is right once one of its spans is cut, whichever."""
    verified: frozenset[str]
    """With one of these the teacher, if there is one, stays right as well (condition ii)."""
    collective: frozenset[str]
    """The student is right once all that is marked is cut."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruned:
    """One seed."""

    problems: Sequence[Problem]
    right: frozenset[str]
    """What the student solves as it is."""
    entered: frozenset[str]
    """What it fails and the teacher solves."""
    detectors: Mapping[str, Freed]
    """The recipe's own first."""
    controlled: Sequence[Controlled] = ()
    """What each detector's single cuts were held against, in that order."""

    @property
    def own(self) -> str:
        """The recipe's own detector."""
        return next(iter(self.detectors))

    @property
    def parts(self) -> dict[str, frozenset[str]]:
        """All problems, then each part of the data where there are several, by name."""
        names = sorted({category(problem) for problem in self.problems})
        parts = {"all": frozenset(problem.id for problem in self.problems)}
        for name in names if len(names) > 1 else ():
            parts[name] = frozenset(
                problem.id for problem in self.problems if category(problem) == name
            )
        return parts


def pruning_gain(lab: Lab) -> Finding:
    """Count what the student solves once what a detector marks is cut."""
    seeds = [_prune(lab, seed) for seed in lab.seeds]
    if not any(pruned.entered for pruned in seeds):
        raise StudyError(
            "there is no problem that the student fails"
            f"{'' if lab.recipe.alone else ' and the teacher solves'}, so nothing is cut"
        )
    options = drawn(lab.recipe.evaluate)
    shares = merged([shares_of(pruned) for pruned in seeds])
    compared = merged([against(pruned, options) for pruned in seeds], of_one=("p",))
    accuracy = merged([accuracy_of(pruned) for pruned in seeds])
    placebos = merged([against_placebos(pruned.controlled) for pruned in seeds], of_one=("p",))
    return Finding(
        study="pruning-gain",
        says=(
            *_says(shares, accuracy, alone=lab.recipe.alone),
            *says_of(placebos),
            *map(rests_on, seeds if len(seeds) == 1 else ()),
        ),
        tables=(shares, compared, *([placebos] if placebos.rows else []), accuracy),
        differs=differs(lab.recipe, "8", swept=("prune.strategy", "prune.levels"), trains=False),
        draw=lambda figure: _draw(figure, shares),
        size=(7.0, height_of(len(shares.rows), 2)),
    )


def category(problem: Problem) -> str:
    """Return the part of the data that a problem belongs to, else what distracts in it."""
    kinds = "+".join(sorted({distractor.kind for distractor in problem.distractors}))
    return problem.source or kinds or "no distractor named"


def _prune(lab: Lab, seed: int) -> Pruned:
    """Cut and verify by every detector, one span at a time and all at once."""
    section = lab.recipe.attribute
    controls = [
        name for name in dict.fromkeys([*section.controls, *CONTROLS]) if name != section.detector
    ]
    changes = {"prune.levels": ["instruction"], "attribute.controls": controls}
    held = of_every_cut(lab.recipe.verify)
    runs = {
        strategy: lab.run(
            {"prune.strategy": strategy, **changes, **(held if strategy == "span" else {})},
            until="verify",
            seed=seed,
            label=label,
        )
        for strategy, label in _WAYS.items()
    }
    spans, collective = (runs[strategy].entries for strategy in _WAYS)
    results = runs["span"].results
    assert results.problems is not None  # noqa: S101 - `until` says so
    assert results.student is not None  # noqa: S101
    return Pruned(
        problems=results.problems,
        right=frozenset(score.problem_id for score in results.student[1] if score.right),
        entered=frozenset(problem.id for problem in runs["span"].pipeline.detection.chosen),
        detectors={
            detector: Freed(
                cut={
                    entry.problem_id: len(tried)
                    for entry in spans
                    if (tried := entry.tried(detector))
                },
                span=_solved(spans, detector),
                verified=frozenset(
                    entry.problem_id
                    for entry in spans
                    if any(item.kept for item in entry.tried(detector))
                ),
                collective=_solved(collective, detector),
            )
            for detector in results.cuts
        },
        controlled=controlled(results, spans, runs["span"].recipe),
    )


def _solved(entries: Sequence[Entry], detector: str) -> frozenset[str]:
    """Return the problems that the student solves after one of a detector's cuts."""
    return frozenset(
        entry.problem_id
        for entry in entries
        for item in entry.tried(detector)
        if item.student and item.student.outcome is Outcome.RIGHT
    )


def shares_of(pruned: Pruned) -> Table:
    """Return what each detector frees, and the recipe's own in each part of the data."""
    wanted = [(detector, "all", pruned.entered) for detector in pruned.detectors]
    wanted += [
        (pruned.own, name, pruned.entered & part)
        for name, part in pruned.parts.items()
        if name != "all" and pruned.entered & part
    ]
    rows = []
    for detector, name, entered in wanted:
        freed, n = pruned.detectors[detector], len(entered)
        spans = sum(count for problem, count in freed.cut.items() if problem in entered)
        cells: dict[str, Cell] = {
            "problems": n,
            "spans a problem": spans / n if n else None,
            "one span cut": share(len(freed.span & entered), n),
            "of these verified": share(len(freed.verified & entered), n),
            "all marked cut": share(len(freed.collective & entered), n),
        }
        rows.append(Row(labels={"detector": detector, "part": name}, cells=cells))
    shares = ("one span cut", "of these verified", "all marked cut")
    return Table(
        title="Solved by the student once pruned, of the problems that enter detection",
        columns={
            "problems": "count",
            "spans a problem": "number",
            **dict.fromkeys(shares, "share"),
        },
        rows=tuple(rows),
    )


def against(pruned: Pruned, options: Mapping[str, int]) -> Table:
    """Compare the recipe's detector with each other one on the same problems.

    Args:
        pruned: One seed.
        options: Resamples and seed of the bootstrap.
    """
    own = pruned.detectors[pruned.own]
    base_of = {problem.id: problem.base for problem in pruned.problems}
    entered = sorted(pruned.entered)
    rows = []
    for detector, other in pruned.detectors.items():
        if detector == pruned.own or not entered:
            continue
        for way, freed, freed_by_other in (
            ("one span cut", own.span, other.span),
            ("one span cut, verified", own.verified, other.verified),
            ("all marked cut", own.collective, other.collective),
        ):
            compared = compare_values(
                {problem: float(problem in freed) for problem in entered},
                {problem: float(problem in freed_by_other) for problem in entered},
                base_of=base_of,
                **options,
            )
            cells: dict[str, Cell] = {
                "only its": compared.wins,
                "only the control's": compared.losses,
                "difference": compared,
                "p": compared.p_value,
            }
            rows.append(Row(labels={"control": detector, "way": way}, cells=cells))
    counts = {"only its": "count", "only the control's": "count"}
    return Table(
        title=f"Freed by {pruned.own} against each control, on the same problems (exact test)",
        columns={**counts, "difference": "points", "p": "number"},
        rows=tuple(rows),
    )


def accuracy_of(pruned: Pruned) -> Table:
    """Return the accuracy on all training problems before, and with what was failed pruned."""
    freed = pruned.detectors[pruned.own]
    rows = []
    for name, part in pruned.parts.items():
        n, gained, before = len(part), len(freed.collective & part), len(pruned.right & part)
        cells: dict[str, Cell] = {
            "problems": n,
            "before": share(before, n),
            "all marked cut": share(before + gained, n),
            "gain": share(gained, n),
            "one span cut": share(before + len(freed.span & part), n),
        }
        rows.append(Row(labels={"part": name}, cells=cells))
    return Table(
        title="Accuracy of the student on all training problems; those that enter detection are "
        f"pruned by {pruned.own}",
        columns={
            "problems": "count",
            "before": "share",
            "all marked cut": "share",
            "gain": "points",
            "one span cut": "share",
        },
        rows=tuple(rows),
    )


def _says(shares: Table, accuracy: Table, *, alone: bool) -> tuple[str, ...]:
    whole, detector = accuracy.rows[0].cells, shares.rows[0].labels["detector"]
    return (
        "Without any training, of the problems that the student fails"
        f"{'' if alone else ' and the teacher solves'}, it solves "
        f"{_by_detector(shares, 'one span cut')} once one span that {detector} marks is "
        f"cut, and {_by_detector(shares, 'all marked cut')} once all of them are.",
        f"On all training problems that is {written(whole['before'], 'share')} before and "
        f"{written(whole['all marked cut'], 'share')} after. Only failed problems are pruned and "
        "asked again, so it cannot fall.",
        "One span cut: right after at least one of its spans is cut by itself; more spans are more "
        "tries." + ("" if alone else " Verified: the teacher is still right as well."),
    )


def rests_on(pruned: Pruned) -> str:
    """Say what the exact test and the interval of a difference rest on."""
    bases = {
        problem.base or problem.id for problem in pruned.problems if problem.id in pruned.entered
    }
    if len(bases) == len(pruned.entered):
        return "The exact test of two detectors is McNemar's."
    return (
        f"The {len(pruned.entered)} problems are variants of {len(bases)}: the difference of two "
        "detectors draws these, and the exact test counts them."
    )


def _by_detector(shares: Table, column: str) -> str:
    """Return each detector's share of all problems, the recipe's own first."""
    first, *others = [row for row in shares.rows if row.labels["part"] == "all"]
    controls = [f"{row.labels['detector']} {written(row.cells[column], 'share')}" for row in others]
    return f"{written(first.cells[column], 'share')} (controls: {', '.join(controls)})"


def _draw(figure: Figure, shares: Table) -> None:
    """Draw what each detector frees, and the recipe's own in each part of the data."""
    axes = figure.subplots()
    names = [", ".join(row.labels.values()).removesuffix(", all") for row in shares.rows]
    cells = {way: [row.cells[way] for row in shares.rows] for way in _WAYS.values()}
    series: Series = {
        way: [cell if isinstance(cell, Interval) else None for cell in column]
        for way, column in cells.items()
    }
    title = "Solved once pruned, of what enters detection"
    draw_dots(axes, names, series, unit="share", title=title)
    axes.set_xlim(-1, 101)
    add_legend(figure, axes)
