"""Several runs side by side: what differs in their recipes, and what came of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaf.errors import UsageError
from leaf.recipe.base import leaves
from leaf.report.content import FORMAT
from leaf.report.plain import plain
from leaf.report.readings import reading
from leaf.report.scores import SMALL_N
from leaf.statistics import Comparison, Values, compare_values
from leaf.store.arms import in_order
from leaf.store.run_folder import VALUES, QuestionValue, read_records, repeat, report_of

Questions = dict[tuple[str, int], QuestionValue]
"""Digest of a question, and which time it is asked, to what was scored on it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What is known of one run."""

    name: str
    """Short and different from that of every other run."""
    folder: Path
    report: dict[str, Any]
    values: dict[tuple[str, str], Questions] | None
    """Benchmark and arm to each question's value; None where the run has not kept them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Paired:
    """One student of a run against that of the first run, on the questions that both were asked."""

    arm: str
    """`kd` or `leaf`."""
    run: str
    comparison: Comparison
    lone: tuple[int, int]
    """Questions that only the first run was asked, and only this one."""


def compare(folders: Sequence[Path]) -> dict[str, Any]:
    """Gather, as JSON values, all that the page of a comparison shows.

    A benchmark that at least two runs have is compared between those; the first run's students are
    what the others' are held against.

    Raises:
        UsageError: a folder that is named twice or holds no report of this version of leaf.
        StoreError: a file is damaged.
    """
    runs = read_runs(folders)
    having = Counter(label for run in runs for label in _results(run))
    return {
        "runs": [_about(run) for run in runs],
        "settings": [{"key": key, "values": values} for key, values in differences(runs)],
        "benchmarks": [
            {
                "benchmark": label,
                "scores": [
                    {"run": run.name, **_results(run)[label]}
                    for run in runs
                    if label in _results(run)
                ],
                "paired": [_as_json(one) for one in paired(runs, label)],
            }
            for label, count in having.items()
            if count > 1
        ],
        "alone": [
            {"run": run.name, "benchmarks": labels}
            for run in runs
            for labels in [[label for label in _results(run) if having[label] == 1]]
            if labels
        ],
        "without_values": [
            {"run": run.name, "command": repeat(run.folder)}
            for run in runs
            if run.values is None and _results(run)
        ],
    }


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read what is compared of each run folder.

    Raises:
        UsageError: a folder that is named twice or holds no report of this version of leaf.
        StoreError: a file is damaged.
    """
    seen = Counter(folder.resolve() for folder in folders)
    twice = [folder for folder in folders if seen[folder.resolve()] > 1]
    if twice:
        raise UsageError(f"{twice[0]}: is named twice; a run compared with itself shows nothing")
    short = Counter(folder.resolve().name for folder in folders)
    return [
        Run(
            name=name if short[name] == 1 else str(folder),
            folder=folder,
            report=_report(folder),
            values=_values(folder),
        )
        for folder in folders
        for name in [folder.resolve().name]
    ]


def differences(runs: Sequence[Run]) -> list[tuple[str, list[Any]]]:
    """Return each recipe key whose values differ, with the value of every run; None: has none."""
    flat = [dict(leaves(run.report["recipe"])) for run in runs]
    keys = dict.fromkeys(key for values in flat for key in values)
    found = [(key, [values.get(key) for values in flat]) for key in keys]
    return [(key, values) for key, values in found if any(one != values[0] for one in values[1:])]


def paired(runs: Sequence[Run], benchmark: str) -> list[Paired]:
    """Compare both students of every later run with those of the first, question by question."""
    first = runs[0]
    section = first.report["recipe"]["evaluate"]
    found = []
    for run in runs[1:]:
        had = {arm for label, arm in run.values or {} if label == benchmark}
        for arm in sorted(in_order(had - {"before", "teacher"}), key=lambda arm: arm != "leaf"):
            ours = (run.values or {}).get((benchmark, arm), {})
            theirs = (first.values or {}).get((benchmark, arm), {})
            shared = [question for question in ours if question in theirs]
            if not shared:
                continue
            comparison = compare_values(
                *(_named(shared, values) for values in (ours, theirs)),
                base_of={_name(one): theirs[one].base for one in shared},
                resamples=section["resamples"],
                seed=section["seed"],
            )
            lone = (len(theirs) - len(shared), len(ours) - len(shared))
            found.append(Paired(arm=arm, run=run.name, comparison=comparison, lone=lone))
    return found


def _results(run: Run) -> dict[str, dict[str, Any]]:
    """Return a run's results by benchmark and measure; none before evaluation."""
    return {
        one["benchmark"]: {"arms": one["arms"], "comparison": one["comparison"]}
        for one in run.report["results"] or ()
    }


def _about(run: Run) -> dict[str, Any]:
    """Return what is said of one run by itself."""
    report, cost = run.report, run.report["cost"]
    recipe, manifest = report["recipe"], report["manifest"]
    own: Mapping[str, Any] = next((one for one in report["detectors"] or () if one["own"]), {})
    peaks = [stage.get("peak_bytes") for stage in cost["stages"]]
    return {
        "name": run.name,
        "folder": str(run.folder),
        "recipe": recipe["name"],
        "student": recipe["student"]["model"],
        "teacher": recipe["teacher"]["model"],
        "data": recipe["data"]["path"] or recipe["data"]["task"],
        "problems": report["problems"],
        "missing": report["missing"],
        "command": report["command"],
        "when": manifest["when"],
        "commit": manifest["commit"],
        "device": manifest["hardware"]["accelerator"] or manifest["hardware"]["processor"],
        "detector": own.get("detector"),
        "tried": own.get("tried"),
        "verified": own.get("verified"),
        "freed": own.get("freed"),
        "seconds": cost["computed_seconds"] + cost["reused_seconds"],
        "peak_bytes": max((peak for peak in peaks if peak is not None), default=None),
    }


def _as_json(one: Paired) -> dict[str, Any]:
    comparison = one.comparison
    return {
        "arm": one.arm,
        "run": one.run,
        **plain(comparison),
        "reading": reading(comparison),
        "small": comparison.n < SMALL_N,
        "only_first": one.lone[0],
        "only_this": one.lone[1],
    }


def _report(folder: Path) -> dict[str, Any]:
    report = report_of(folder)
    if report.get("format") != FORMAT:
        raise UsageError(
            f"{folder / 'report.json'}: has format {report.get('format')}, but this version of "
            f"leaf reads format {FORMAT}; `{repeat(folder)}` writes it again"
        )
    return report


def _values(folder: Path) -> dict[tuple[str, str], Questions] | None:
    path = folder / VALUES
    if not path.is_file():
        return None
    found: dict[tuple[str, str], Questions] = {}
    for one in read_records(path, QuestionValue, f"`{repeat(folder)}` writes it again"):
        questions = found.setdefault((one.benchmark, one.arm), {})
        time = 0
        # The same question may stand in a benchmark twice.
        while (one.question, time) in questions:
            time += 1
        questions[one.question, time] = one
    return found


def _named(questions: Sequence[tuple[str, int]], values: Questions) -> Values:
    return {_name(one): values[one].value for one in questions}


def _name(question: tuple[str, int]) -> str:
    digest, time = question
    return f"{digest} {time}"
