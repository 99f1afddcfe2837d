"""Marks that tests share, by what a test needs."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
RIVALS = ROOT / ".venv-rivals"
VLLM = ROOT / ".venv-vllm"
OFFLINE = Path(os.environ.get("LEAF_OFFLINE_MODELS") or Path.home() / ".cache" / "leaf" / "offline")
SMOL = OFFLINE / "smollm2-135m.gguf"

needs_bwrap = pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
needs_rivals = pytest.mark.skipif(
    not (RIVALS / "done.txt").is_file(), reason="no rivals: run tools/rivals.py"
)
needs_vllm = pytest.mark.skipif(
    not (VLLM / "done").is_file(), reason="no vLLM for a CPU: run make vllm"
)
needs_smol = pytest.mark.skipif(
    not SMOL.is_file(), reason="SmolLM2 is not here: tools/offline_models.py smollm2-135m"
)
