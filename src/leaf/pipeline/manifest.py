"""Where and with what a run was made: versions, hardware, commit, models. Never a secret."""

import datetime
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch

from leaf.models.files import Source
from leaf.models.load import best_device, dtype_name, resolve_dtype
from leaf.recipe import Recipe

_PACKAGES = (
    "leaf-distill",
    "torch",
    "transformers",
    "peft",
    "datasets",
    "pyarrow",
    "math-verify",
    "scipy",
)


def build_manifest(recipe: Recipe, sources: Mapping[str, Source]) -> dict[str, Any]:
    """Describe this machine and the models of a run, as JSON values."""
    device = best_device()
    sections = {"student": recipe.student, "teacher": recipe.teaching}
    return {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
        "commit": _commit(),
        "hardware": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": psutil.cpu_count(),
            "threads": torch.get_num_threads(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "device": str(device),
            "accelerator": torch.cuda.get_device_name() if device.type == "cuda" else None,
        },
        "models": {
            role: {
                "name": source.name,
                "fingerprint": source.fingerprint,
                "dtype": dtype_name(resolve_dtype(sections[role].dtype, device)),
            }
            for role, source in sources.items()
            # Where the student is its own teacher there is one model.
            if role == "student" or not recipe.alone
        },
        "seeds": {
            "data": recipe.data.seed,
            "distill": recipe.distill.seed,
            "evaluate": recipe.evaluate.seed,
        },
    }


def _commit() -> str | None:
    """Return the commit of the checkout that LeaF runs from, if it runs from one."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
