"""How both students trained: the curves, and their first and last values."""

from collections.abc import Mapping, Sequence
from typing import Any

_CURVE_KEYS = ("step", "loss", "kl_original", "kl_counterfactual", "learning_rate", "grad_norm")


def training_arms(
    training: Mapping[str, Sequence[Mapping[str, Any]]] | None,
) -> list[dict[str, Any]] | None:
    """Summarise each arm's steps; totals are sums over steps, an arm without steps has nulls."""
    if training is None:
        return None
    return [_arm(arm, training[arm]) for arm in ("kd", "leaf") if arm in training]


def _arm(arm: str, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "arm": arm,
        "steps": len(lines),
        "rows": sum(line["rows"] for line in lines),
        "response_tokens": sum(line["response_tokens"] for line in lines),
        "seconds": sum(line["seconds"] for line in lines),
        "kl_original": _ends(lines, "kl_original"),
        "kl_counterfactual": _ends(lines, "kl_counterfactual"),
        "curve": [{key: line[key] for key in _CURVE_KEYS} for line in lines],
    }


def _ends(lines: Sequence[Mapping[str, Any]], key: str) -> dict[str, float] | None:
    values = [line[key] for line in lines if line[key] is not None]
    return {"first": values[0], "last": values[-1]} if values else None
