"""What a run cost: time and memory by stage, tokens by model, and the price of a kept row."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from leaf.report.counts import Change
from leaf.store.arms import arm_of
from leaf.store.work import StageLog

STAGES = {
    "answers": "training problems",
    "attribute": "detection",
    "prune": "pruning",
    "verify": "verification",
    "distill": "training",
    "evaluate": "evaluation",
}
"""Stage of a run to what is done there, in order."""

_MADE = {"removal": "pruned", "transplant": "transplanted", "injection": "injected"}
"""Kind of a changed question to what its answers are logged as (`About.changed`)."""


def cost(
    logs: Sequence[StageLog],
    training: Mapping[str, Sequence[Mapping[str, Any]]],
    made: Mapping[str, Sequence[Change]],
    detector: str,
) -> dict[str, Any]:
    """Gather what a run cost, results that were found in the store included.

    Args:
        logs: What became of each result.
        training: Arm to its steps.
        made: Kind (`removal`, `transplant`, `injection`) to what `detector` led to.
        detector: The recipe's own.
    """
    logs = _once(logs)
    return {
        "stages": [
            {
                "name": log.title,
                "stage": log.stage,
                "kind": log.kind,
                "about": log.about,
                "key": log.key,
                "seconds": log.seconds,
                "peak_bytes": log.peak_bytes,
                "items": log.items,
                "reused": log.computed == 0,
                "detail": f"{log.records} records",
                "tokens": log.tokens,
            }
            for log in logs
        ],
        "computed_seconds": sum(log.seconds for log in logs if log.computed),
        "reused_seconds": sum(log.seconds for log in logs if not log.computed),
        "tokens": _by_model(logs, training),
        "rows": _a_kept_row(logs, made, detector),
    }


def _once(logs: Sequence[StageLog]) -> list[StageLog]:
    """Leave out results that came again: an arm's stage 1 takes most of its from the recipe's."""
    first: dict[tuple[str, str], StageLog] = {}
    for log in logs:
        first.setdefault((log.kind, log.key), log)
    return list(first.values())


def _by_model(
    logs: Sequence[StageLog], training: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """Add up what each model read and wrote in each stage, stages in order.

    A student in training reads its rows; what its teacher reads for it is no part of this.
    """
    read: dict[tuple[str, str], int] = defaultdict(int)
    written: dict[tuple[str, str], int] = defaultdict(int)
    for log in logs:
        if log.tokens:
            read[log.stage, log.about.role] += log.tokens.read
            written[log.stage, log.about.role] += log.tokens.written
    for arm, steps in training.items():
        read["distill", arm] += sum(step.get("tokens", 0) for step in steps)
    order = list(STAGES)
    return [
        {
            "stage": STAGES.get(stage, stage),
            "model": role if role in ("student", "teacher") else arm_of(role).title,
            "read": count,
            "written": written[stage, role],
        }
        for (stage, role), count in sorted(
            read.items(), key=lambda item: order.index(item[0][0]) if item[0][0] in order else 99
        )
        if count
    ]


def _a_kept_row(
    logs: Sequence[StageLog], made: Mapping[str, Sequence[Change]], detector: str
) -> list[dict[str, Any]]:
    """Return what verification read and wrote for each kind of changed question, by what it kept.

    Placebos are the price of removals.
    """
    rows = []
    for kind, changes in made.items():
        names = {_MADE[kind]} | ({"placebo", "sampled"} if kind == "removal" else set())
        counted = [
            log.tokens
            for log in logs
            if log.tokens
            and log.kind == "answers"
            and log.about.changed in names
            and log.about.detector in (detector, "")
        ]
        if not changes or not counted:
            continue
        tokens = sum(one.read + one.written for one in counted)
        kept = sum(item.kept for _, item in changes)
        rows.append(
            {
                "kind": kind,
                "tried": len(changes),
                "kept": kept,
                "tokens": tokens,
                "tokens_a_row": tokens / kept if kept else None,
            }
        )
    return rows
