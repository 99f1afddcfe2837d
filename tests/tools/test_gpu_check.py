"""The script for a machine with a GPU, as far as a machine without one can tell."""

import os
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "gpu_check.sh"


def check(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPT), *words],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def parts() -> dict[str, list[str]]:
    """The commands that a dry run prints, by the names of their parts."""
    lines = check("--dry-run").stdout.splitlines()
    return {name: words.split() for name, _, words in (line.partition(": ") for line in lines)}


def test_its_parts_end_within_ten_minutes(parts: dict[str, list[str]]) -> None:
    assert all(words[0] == "timeout" for words in parts.values())
    assert sum(int(words[1]) for words in parts.values()) <= 600


def test_each_benchmark_takes_the_options_it_is_given(parts: dict[str, list[str]]) -> None:
    named = []
    for words in parts.values():
        at = words.index("-m") + 1 if "-m" in words else 0
        if words[at].startswith("benchmarks."):
            module = import_module(words[at])
            module.app.parse_args(words[at + 1 :], exit_on_error=False, print_error=False)
            named.append(words[at])
    assert [*dict.fromkeys(named)] == [
        f"benchmarks.{name}" for name in ("attribute", "kl", "distill", "generate")
    ]


def test_a_part_that_fails_stops_no_other_and_is_told_at_the_end(
    parts: dict[str, list[str]], tmp_path: Path
) -> None:
    python = tmp_path / "python"
    # Attribution fails; every other part ends with a line of figures; no package vllm.
    python.write_text(
        '#!/bin/sh\ncase "$*" in *"import vllm"*) exit 1;; '
        "*benchmarks.attribute*) echo gone wrong; exit 3;; esac\necho '{}'\n"
    )
    python.chmod(0o755)
    out = tmp_path / "out"
    done = check("--cpu", PYTHON=str(python), OUT=str(out), VLLM=str(python), DATA=str(tmp_path))
    assert done.returncode == 1, done.stderr
    told = dict(line.split(": ", 1) for line in (out / "parts.txt").read_text().split("\n") if line)
    assert told["attribute"] == "FAILED (3): gone wrong"
    assert told["generate-vllm"] == f"not run: {python} has no vLLM"
    assert set(told) == set(parts)
    assert (out / "kl.json").read_text() == "{}\n"
    assert not (out / "attribute.json").exists()
