"""The environment of `tools/rivals.py` has the rivals and shares all else."""

import os
import subprocess
import sys
from pathlib import Path

from tests.marks import RIVALS, ROOT, needs_rivals

pytestmark = needs_rivals


def test_making_it_again_keeps_it_and_names_its_python():
    before = (RIVALS / "done.txt").stat().st_mtime_ns
    words = [sys.executable, str(ROOT / "tools" / "rivals.py")]
    made = subprocess.run(words, capture_output=True, text=True, check=True)
    assert made.stdout.strip() == str(RIVALS / "bin" / "python")
    assert (RIVALS / "done.txt").stat().st_mtime_ns == before


def test_the_rivals_are_its_own_and_torch_and_this_checkout_are_those_of_here():
    code = (
        "from importlib.util import find_spec as f; "
        "print(*(f(name).origin for name in ('lm_eval', 'torch', 'leaf')))"
    )
    words = [str(RIVALS / "bin" / "python"), "-c", code]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    found = subprocess.run(
        words, capture_output=True, text=True, check=True, cwd="/", env=environment
    )
    rival, torch, leaf = found.stdout.split()
    assert Path(rival).is_relative_to(RIVALS)
    assert Path(torch).is_relative_to(sys.prefix)
    assert Path(leaf).is_relative_to(ROOT / "src")
