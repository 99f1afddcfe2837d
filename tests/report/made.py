"""From the parts that fixtures write by hand to a report."""

from typing import Any

from leaf.report import content
from leaf.store.results import Cuts, Results


def results_of(run: dict[str, Any]) -> Results:
    """Return the results of a `run` (a fixture of conftest.py); None is what it has not reached."""
    answers = {
        role: run[f"{role}_answers"] and (run[f"{role}_answers"], run[f"{role}_scores"])
        for role in ("student", "teacher")
    }
    return Results(
        alone=run["recipe"].alone,
        problems=run["problems"],
        **answers,
        attributions=run["attributions"],
        focus=run["focus"],
        segments=run.get("segments", {}),
        cuts={
            detector: cuts
            if isinstance(cuts, Cuts)
            else Cuts(counterfactuals=cuts[0], verdicts=cuts[1])
            for detector, cuts in run["cuts"].items()
        },
        rankings=run.get("rankings", {}),
        estimates=run["estimates"],
        comparisons=run["comparisons"],
        robustness=run.get("robustness", {}),
        consistency=run.get("consistency", {}),
        entered=run.get("entered"),
        lengths=run.get("lengths", {}),
        others=run.get("others", {}),
        rows=run.get("rows", {}),
        responses=run.get("responses", {}),
        beside=run.get("beside", {}),
        drops=run["drops"],
        notes=run.get("notes", []),
    )


def build_report(**run: Any) -> dict[str, Any]:
    """Build the report of a `run`."""
    return content.build_report(
        results_of(run),
        recipe=run["recipe"],
        command=run["command"],
        manifest=run["manifest"],
        logs=run["logs"],
        training=run["training"] or {},
    )
