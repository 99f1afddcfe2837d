"""The environment of `tools/rivals.py` has the rivals and shares all else."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-rivals"

if not (FOLDER / "done.txt").is_file():
    pytest.skip("no rivals: run tools/rivals.py", allow_module_level=True)


def test_making_it_again_keeps_it_and_names_its_python():
    before = (FOLDER / "done.txt").stat().st_mtime_ns
    words = [sys.executable, str(ROOT / "tools" / "rivals.py")]
    made = subprocess.run(words, capture_output=True, text=True, check=True)
    assert made.stdout.strip() == str(FOLDER / "bin" / "python")
    assert (FOLDER / "done.txt").stat().st_mtime_ns == before


def test_the_rivals_are_its_own_and_torch_is_the_one_of_here():
    code = "from importlib.util import find_spec as f; print(f('trl').origin, f('torch').origin)"
    words = [str(FOLDER / "bin" / "python"), "-c", code]
    found = subprocess.run(words, capture_output=True, text=True, check=True, cwd="/")
    rival, torch = found.stdout.split()
    assert Path(rival).is_relative_to(FOLDER)
    assert Path(torch).is_relative_to(sys.prefix)
