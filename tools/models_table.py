"""Rehearses every causal family of the installed transformers, and writes docs/models.md from that.

    python tools/models_table.py            # resumes; minutes for all
    python tools/models_table.py --only llama gemma2

Each family is built from its own default configuration, at tiny size (`leaf.models.tiny`). What was
found of one is kept in docs/models.json, with the version of transformers.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging

from leaf.distill.rehearsal import rehearse_training
from leaf.errors import LeafError
from leaf.models.paths import USES
from leaf.models.rehearsal import rehearse_copy
from leaf.models.tiny import tiny_model
from leaf.recipe import DistillSection

DOCS = Path(__file__).parents[1] / "docs"
KEPT = DOCS / "models.json"

SETTINGS: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1]},
    "deepseek_v2": {"num_experts_per_tok": 6},
    "dots1": {
        "n_routed_experts": 128,
        "n_shared_experts": 2,
        "num_experts_per_tok": 6,
        "first_k_dense_replace": 1,
    },
    "granitemoehybrid": {
        "layer_types": (["linear_attention"] * 5 + ["full_attention"]) * 4,
        "num_hidden_layers": 24,
    },
    "lfm2_moe": {"layer_types": (["conv"] * 3 + ["full_attention"]) * 8},
}
"""What the models of a family set, and its default configuration leaves out."""


def config_of(family: str) -> Any:
    """Return a family's configuration, as a decoder."""
    made = CONFIG_MAPPING[family]
    own = dict(SETTINGS.get(family, {}))
    if hasattr(made, "is_decoder") or "is_decoder" in getattr(made, "__annotations__", {}):
        own["is_decoder"] = True
    return made(**own)


def families() -> list[str]:
    """Return the families that transformers has a causal model of."""
    return sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def look_at(family: str) -> dict[str, Any]:
    """Rehearse a family; return what its row of the table says."""
    try:
        config = config_of(family)
        tiny_model(config)
    except Exception as error:
        return {"left_out": _line(error)}
    try:
        paths = rehearse_copy(config)
    except Exception as error:
        return {"left_out": f"its rehearsal fails: {_line(error)}"}
    row: dict[str, Any] = {
        use: "refused" if use in paths.refused else paths.way(use) for use in USES
    }
    row["why"] = paths.line
    if any(text.startswith("no tiny copy") for text in paths.why.values()):
        return {"left_out": next(iter(paths.why.values()))}
    return row


def train(family: str, row: dict[str, Any]) -> dict[str, str]:
    """Rehearse the training of a family; return what is added to its row."""
    found = {"full": "refused", "lora": "refused"}
    if row["training"] == "refused":
        return found
    for tuning in ("full", "lora"):
        section = DistillSection.model_validate({"tuning": tuning})
        try:
            rehearse_training(config_of(family), section, name=family)
            found[tuning] = "yes"
        except LeafError as error:
            found["why"] = f"{row['why']}; {_line(error)}"
    return found


def page(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of docs/models.md."""
    rows = {name: row for name, row in found.items() if "left_out" not in row}
    yield Path(__file__).with_name("models_head.md").read_text(encoding="utf-8").rstrip()
    yield ""
    yield f"## {len(rows)} families of transformers {version('transformers')}"
    yield ""
    yield "| use | packed | padded | alone | refused |"
    yield "|---|---|---|---|---|"
    for use in USES:
        counts = Counter(row[use] for row in rows.values())
        yield (
            f"| {use} | "
            + " | ".join(str(counts[way]) for way in ("packed", "padded", "alone", "refused"))
            + " |"
        )
    yield ""
    yield "| family | sensitivity | ablation | generation | training | adapters | why |"
    yield "|---|---|---|---|---|---|---|"
    for name, row in sorted(rows.items()):
        ways = " | ".join(row[use] for use in USES)
        why = "" if row["why"] == f"{', '.join(USES)}: packed" else row["why"].replace("|", "/")
        yield f"| `{name}` | {ways} | {row.get('lora', '')} | {why} |"
    left = {name: row["left_out"] for name, row in found.items() if "left_out" in row}
    yield ""
    yield f"## {len(left)} families that are left out"
    yield ""
    yield "Their default configuration makes no model that runs on text alone."
    yield ""
    yield "| family | what its code says |"
    yield "|---|---|"
    for name, reason in sorted(left.items()):
        yield f"| `{name}` | {reason.replace('|', '/')} |"


def main() -> int:
    """Look at what is missing, keep it, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", nargs="*", default=families(), help="families to look at")
    parser.add_argument("--again", action="store_true", help="also those that are kept")
    chosen = parser.parse_args()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}
    if kept.get("transformers") != version("transformers"):
        kept = {"transformers": version("transformers"), "families": {}}
    rows = kept["families"]
    for family in chosen.only:
        if chosen.again or family not in rows:
            rows[family] = look_at(family)
            _keep(kept, family)
    for family in chosen.only:
        if "left_out" not in rows[family] and "lora" not in rows[family]:
            rows[family] |= train(family, rows[family])
            _keep(kept, family)
    lines = "\n".join(page(kept["families"]))
    (DOCS / "models.md").write_text(lines + "\n", encoding="utf-8")
    return 0


def _keep(kept: dict[str, Any], family: str) -> None:
    KEPT.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(family, kept["families"][family], flush=True)


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1][:160]


if __name__ == "__main__":
    sys.exit(main())
