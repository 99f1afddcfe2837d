"""What cutting alone gains, without any training (Fig. 1, appendix A.2).

Only problems that the student fails are asked again, so this can free and never harm: each figure
stands beside that of detectors that know less.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from leaf.errors import StudyError
from leaf.records import Outcome, Problem
from leaf.statistics import compare_values
from leaf.study.finding import Cell, Finding, Measured, Row, Table
from leaf.study.lab import Lab
from leaf.study.merge import merged, share
from leaf.study.output import written
from leaf.study.paper import differs
from leaf.study.plot import add_legend, draw_dots, height_of
from leaf.study.seeds import of_comparison

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
    """With one of these the teacher stays right as well (condition ii)."""
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


def pruning_gain(lab: Lab) -> Finding:
    """Count what the student solves once what a detector marks is cut."""
    found = [_prune(lab, seed) for seed in lab.seeds]
    if not any(one.entered for one in found):
        raise StudyError(
            "there is no problem that the student fails and the teacher solves, so nothing is cut"
        )
    options = lab.recipe.evaluate.model_dump(include={"resamples", "seed"})
    shares = merged([shares_of(one) for one in found])
    compared = merged([against(one, options) for one in found], of_one=("p",))
    accuracy = merged([accuracy_of(one) for one in found])
    return Finding(
        study="pruning-gain",
        says=(*_says(shares, accuracy), *(rests_on(one) for one in found if len(found) == 1)),
        tables=(shares, compared, accuracy),
        differs=differs(lab.recipe, "8", swept=("prune.strategy", "prune.levels"), trains=False),
        draw=lambda figure: _draw(figure, shares),
        size=(7.0, height_of(len(shares.rows), 2)),
    )


def category(problem: Problem) -> str:
    """Return the part of the data that a problem belongs to, else what distracts in it."""
    kinds = "+".join(sorted({one.kind for one in problem.distractors}))
    return problem.source or kinds or "no distractor named"


def _prune(lab: Lab, seed: int) -> Pruned:
    """Cut and verify by every detector, one span at a time and all at once."""
    section = lab.recipe.attribute
    controls = [
        name for name in dict.fromkeys([*section.controls, *CONTROLS]) if name != section.detector
    ]
    runs = {
        strategy: lab.run(
            {
                "prune.strategy": strategy,
                "prune.levels": ["instruction"],
                "attribute.controls": controls,
            },
            until="verify",
            seed=seed,
            label=what,
        )
        for strategy, what in _WAYS.items()
    }
    results = {strategy: run.results for strategy, run in runs.items()}
    first = results["span"]
    assert first.problems is not None  # noqa: S101 - `until` says so
    assert first.student is not None  # noqa: S101
    return Pruned(
        problems=first.problems,
        right=frozenset(score.problem_id for score in first.student[1] if score.right),
        entered=frozenset(problem.id for problem in runs["span"].pipeline.detection.chosen),
        detectors={
            detector: Freed(
                cut=Counter(item.problem_id for item in cuts.tried),
                span=frozenset(
                    verdict.problem_id
                    for verdict in cuts.verdicts or ()
                    if verdict.student is Outcome.RIGHT
                ),
                verified=frozenset(item.problem_id for item in cuts.kept),
                collective=frozenset(
                    verdict.problem_id
                    for verdict in results["collective"].cuts[detector].verdicts or ()
                    if verdict.student is Outcome.RIGHT
                ),
            )
            for detector, cuts in first.cuts.items()
        },
    )


def shares_of(found: Pruned) -> Table:
    """Return what each detector frees, and the recipe's own in each part of the data."""
    own = next(iter(found.detectors))
    parts = _parts(found)
    rows = [
        _shares_row(detector, "all", found.entered, freed)
        for detector, freed in found.detectors.items()
    ]
    if len(parts) > 1:
        rows += [
            _shares_row(own, name, found.entered & part, found.detectors[own])
            for name, part in parts.items()
            if found.entered & part
        ]
    columns = {
        "problems": "count",
        "spans a problem": "number",
        "one span cut": "share",
        "of these verified": "share",
        "all marked cut": "share",
    }
    title = (
        "Solved by the student once pruned, of the problems that it fails and the teacher solves"
    )
    return Table(title=title, columns=columns, rows=tuple(rows))


def _shares_row(detector: str, part: str, entered: frozenset[str], freed: Freed) -> Row:
    spans = sum(count for one, count in freed.cut.items() if one in entered)
    return Row(
        labels={"detector": detector, "part": part},
        cells={
            "problems": len(entered),
            "spans a problem": spans / len(entered) if entered else None,
            "one span cut": share(len(freed.span & entered), len(entered)),
            "of these verified": share(len(freed.verified & entered), len(entered)),
            "all marked cut": share(len(freed.collective & entered), len(entered)),
        },
    )


def _parts(found: Pruned) -> dict[str, frozenset[str]]:
    """Return the parts of the data, in alphabetical order, and their problems."""
    names = sorted({category(problem) for problem in found.problems})
    return {
        name: frozenset(problem.id for problem in found.problems if category(problem) == name)
        for name in names
    }


def against(found: Pruned, options: Mapping[str, int]) -> Table:
    """Compare the recipe's detector with each other one on the same problems.

    Args:
        found: One seed.
        options: Resamples and seed of the bootstrap.
    """
    own = next(iter(found.detectors))
    rows = []
    for detector, freed in found.detectors.items():
        if detector == own or not found.entered:
            continue
        for way, ours, theirs in (
            ("one span cut", found.detectors[own].span, freed.span),
            ("one span cut, verified", found.detectors[own].verified, freed.verified),
            ("all marked cut", found.detectors[own].collective, freed.collective),
        ):
            compared = compare_values(
                {one: float(one in ours) for one in sorted(found.entered)},
                {one: float(one in theirs) for one in sorted(found.entered)},
                base_of={problem.id: problem.base for problem in found.problems},
                resamples=options["resamples"],
                seed=options["seed"],
            )
            cells: dict[str, Cell] = {
                "only its": compared.wins,
                "only the control's": compared.losses,
                "difference": of_comparison(compared),
                "p": compared.p_value,
            }
            rows.append(Row(labels={"control": detector, "way": way}, cells=cells))
    return Table(
        title=f"Freed by {own} against each control, on the same problems (exact test)",
        columns={
            "only its": "count",
            "only the control's": "count",
            "difference": "points",
            "p": "number",
        },
        rows=tuple(rows),
    )


def accuracy_of(found: Pruned) -> Table:
    """Return the accuracy on all training problems before, and with what was failed pruned."""
    freed = next(iter(found.detectors.values()))
    parts = _parts(found)
    everything = {"all": frozenset(problem.id for problem in found.problems)}
    rows = []
    for name, part in {**everything, **(parts if len(parts) > 1 else {})}.items():
        n, gained = len(part), len(freed.collective & part)
        gain = share(gained, n)
        before = len(found.right & part)
        cells: dict[str, Cell] = {
            "problems": n,
            "before": share(before, n),
            "all marked cut": share(before + gained, n),
            "gain": gain,
            "one span cut": share(before + len(freed.span & part), n),
        }
        rows.append(Row(labels={"part": name}, cells=cells))
    return Table(
        title="Accuracy of the student on all training problems; those that it fails and the "
        f"teacher solves are pruned by {next(iter(found.detectors))}",
        columns={
            "problems": "count",
            "before": "share",
            "all marked cut": "share",
            "gain": "points",
            "one span cut": "share",
        },
        rows=tuple(rows),
    )


def _says(shares: Table, accuracy: Table) -> tuple[str, ...]:
    whole, detector = accuracy.rows[0].cells, shares.rows[0].labels["detector"]
    return (
        "Without any training, of the problems that the student fails and the teacher solves, it "
        f"solves {_by_detector(shares, 'one span cut')} once one span that {detector} marks is "
        f"cut, and {_by_detector(shares, 'all marked cut')} once all of them are.",
        f"On all training problems that is {written(whole['before'], 'share')} before and "
        f"{written(whole['all marked cut'], 'share')} after. Only failed problems are pruned and "
        "asked again, so it cannot fall.",
        "One span cut: right after at least one of its spans is cut by itself; more spans are more "
        "tries. Verified: the teacher is still right as well.",
    )


def rests_on(found: Pruned) -> str:
    """Say what the exact test and the interval of a difference rest on."""
    base_of = {problem.id: problem.base or problem.id for problem in found.problems}
    bases = {base_of[one] for one in found.entered}
    if len(bases) == len(found.entered):
        return "The exact test of two detectors is McNemar's."
    return (
        f"The {len(found.entered)} problems are variants of {len(bases)}: the difference of two "
        "detectors draws these, and the exact test counts them."
    )


def _by_detector(shares: Table, column: str) -> str:
    """Return each detector's share of all problems, the recipe's own first."""
    first, *others = [row for row in shares.rows if row.labels["part"] == "all"]
    found = [f"{row.labels['detector']} {written(row.cells[column], 'share')}" for row in others]
    return f"{written(first.cells[column], 'share')} (controls: {', '.join(found)})"


def _draw(figure: Figure, shares: Table) -> None:
    """Draw what each detector frees, and the recipe's own in each part of the data."""
    axes = figure.subplots()
    names = [
        row.labels["detector"]
        if row.labels["part"] == "all"
        else f"{row.labels['detector']}, {row.labels['part']}"
        for row in shares.rows
    ]
    series = {
        column: [
            cell if isinstance(cell := row.cells[column], Measured) else None for row in shares.rows
        ]
        for column in ("one span cut", "all marked cut")
    }
    title = "Solved once pruned, of what the student fails and the teacher solves"
    draw_dots(axes, names, series, unit="share", title=title)
    axes.set_xlim(-1, 101)
    add_legend(figure, axes)
