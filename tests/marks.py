"""Marks that tests share, by what a test needs."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
RIVALS = ROOT / ".venv-rivals"

needs_bwrap = pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
needs_rivals = pytest.mark.skipif(
    not (RIVALS / "done.txt").is_file(), reason="no rivals: run tools/rivals.py"
)
