"""How both students trained: the curves, and their first and last values."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from leaf.store.arms import in_order
from leaf.store.work import StageLog

_CURVE_KEYS = (
    "step",
    "loss",
    "kl_original",
    "kl_counterfactual",
    "validation_loss",
    "learning_rate",
    "grad_norm",
)


def training_arms(
    training: Mapping[str, Sequence[Mapping[str, Any]]] | None,
) -> list[dict[str, Any]] | None:
    """Summarise each arm's steps; totals are sums over steps, an arm without steps has nulls."""
    if training is None:
        return None
    return [_arm(arm, training[arm]) for arm in in_order(training)]


def training_rows(logs: Sequence[StageLog]) -> dict[str, int]:
    """Return how many rows each arm trains on, of those whose training is there."""
    # The baseline of an arm that the recipe names may have the same name: the recipe's own counts.
    return {log.about.role: log.items for log in reversed(logs) if log.kind == "students"}


def overhead(
    logs: Sequence[StageLog],
    controls: Sequence[str],
    baseline: str = "kd",
    reference: str = "gold",
) -> dict[str, float] | None:
    """Compare what LeaF and its baseline cost to the trained student, in seconds.

    `stage_1` is all that comes before training (answers, detection, verification) without what
    only detectors run as `controls` needed. Of it, plain distillation needs the teacher's `answers`
    where these are y (`reference`, of the recipe), and RFT the student's own. None until both
    students are trained.
    """
    trained = {log.about.role: log.seconds for log in reversed(logs) if log.kind == "students"}
    if not {baseline, "leaf"} <= trained.keys():
        return None
    plain, leaf = trained[baseline], trained["leaf"]
    before = [log for log in before_training(logs) if not _is_alone(log, controls)]
    stage_1 = sum(log.seconds for log in before)
    author = "student" if baseline == "rft" else "teacher" if reference == "teacher" else None
    answers = sum(
        log.seconds for log in before if _is_of_originals(log) and log.about.role == author
    )
    found = {
        "baseline_seconds": plain,
        "leaf_seconds": leaf,
        "stage_1_seconds": stage_1,
        "answers_seconds": answers,
    }
    if plain:
        whole = (stage_1 + leaf) / (answers + plain) - 1.0
        found |= {"training": leaf / plain - 1.0, "whole": whole}
    return found


def before_training(logs: Sequence[StageLog]) -> Iterator[StageLog]:
    """Yield what became of the stages up to the first training."""
    return itertools.takewhile(lambda log: log.kind != "students", logs)


def _is_of_originals(log: StageLog) -> bool:
    """Whether a result is what was answered to whole training problems, once or more often."""
    return log.kind in ("answers", "scores") and not log.about.changed


def _is_alone(log: StageLog, controls: Sequence[str]) -> bool:
    """Whether a result is there for controls alone; the gradient is measured for all detectors."""
    for_all = log.kind == "sensitivities" and log.about.detector == "gradient"
    return log.about.detector in controls and not for_all


def _arm(arm: str, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "arm": arm,
        "steps": len(lines),
        "rows": sum(line["rows"] for line in lines),
        "response_tokens": sum(line["response_tokens"] for line in lines),
        "seconds": sum(line["seconds"] for line in lines),
        "loss": _ends(lines, "loss"),
        "kl_original": _ends(lines, "kl_original"),
        "kl_counterfactual": _ends(lines, "kl_counterfactual"),
        "validation_loss": _ends(lines, "validation_loss"),
        "learning_rate": _ends(lines, "learning_rate"),
        "grad_norm": _ends(lines, "grad_norm"),
        "curve": [{key: line.get(key) for key in _CURVE_KEYS} for line in lines],
    }


def _ends(lines: Sequence[Mapping[str, Any]], key: str) -> dict[str, float] | None:
    values = [line[key] for line in lines if line.get(key) is not None]
    return {"first": values[0], "last": values[-1]} if values else None
