"""How both students trained: the curves, and their first and last values."""

from collections.abc import Mapping, Sequence
from typing import Any

from leaf.recipe import measurement
from leaf.records import ARMS

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
    return [_arm(arm, training[arm]) for arm in ARMS if arm in training]


def training_rows(stages: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many rows each arm trains on, of those whose training is there."""
    items = {stage["name"]: stage["items"] for stage in stages}
    return {arm: items[f"training {arm}"] for arm in ("kd", "leaf") if f"training {arm}" in items}


def overhead(
    stages: Sequence[Mapping[str, Any]], controls: Sequence[str]
) -> dict[str, float] | None:
    """Compare what LeaF and plain distillation cost to the trained student, in seconds.

    `stage_1` is all that comes before training (answers, detection, verification) without what
    only detectors run as `controls` needed. Plain distillation needs none of it. None until both
    students are trained.
    """
    seconds = {stage["name"]: stage["seconds"] or 0.0 for stage in stages}
    if not {"training kd", "training leaf"} <= seconds.keys():
        return None
    trained = next(at for at, stage in enumerate(stages) if stage["name"].startswith("training "))
    before = [
        stage
        for stage in stages[:trained]
        if not any(_is_alone(stage["name"], control) for control in controls)
    ]
    kd, leaf = seconds["training kd"], seconds["training leaf"]
    stage_1 = sum(stage["seconds"] or 0.0 for stage in before)
    found = {"kd_seconds": kd, "leaf_seconds": leaf, "stage_1_seconds": stage_1}
    if kd:
        found |= {"training": leaf / kd - 1.0, "whole": (stage_1 + leaf) / kd - 1.0}
    return found


def _is_alone(stage: str, detector: str) -> bool:
    """Whether a stage is there for one detector; the gradient is measured for all of them."""
    stage = stage.removesuffix(" in the response")
    measured = measurement(detector)
    models = () if detector == "gradient" else (f"student {measured}", f"teacher {measured}")
    return stage in models or stage.endswith((f"({detector})", f"by {detector}"))


def _arm(arm: str, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "arm": arm,
        "steps": len(lines),
        "rows": sum(line["rows"] for line in lines),
        "response_tokens": sum(line["response_tokens"] for line in lines),
        "seconds": sum(line["seconds"] for line in lines),
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
