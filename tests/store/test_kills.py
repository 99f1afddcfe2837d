"""A whole run that is killed again and again ends with the bytes of one that was left alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.marks import ROOT

KILLS = 40


@pytest.mark.long
def test_a_run_killed_forty_times_ends_with_the_same_bytes(tmp_path: Path) -> None:
    """By SIGKILL, from the first shard to the last benchmark; minutes, as each start loads it all.

    One thread: sums in another order would have other last bits.
    """
    tool = [sys.executable, str(ROOT / "tools" / "kill_and_resume.py")]
    run = [sys.executable, "-m", "leaf", "run", "demo"]
    small = ["data.world.size=200", "store.shard_size=8", "distill.epochs=2"]
    small += ["distill.checkpoint_every=2", "evaluate.resamples=100"]
    words = [word for setting in small for word in ("--set", setting)]
    command = [*tool, "--scratch", str(tmp_path), "--kills", str(KILLS), "--", *run, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"killed {KILLS} times" in done.stdout
    assert "are the same" in done.stdout
