import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def make(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def fake_python(folder: Path, body: str) -> Path:
    """An executable that stands for a python3 of another machine."""
    script = folder / "python3"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    return script


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            'case "$*" in --version) echo Python 3.9.2;; *) exit 1;; esac',
            "LeaF needs Python 3.11 or newer, but {python} is Python 3.9.2; "
            "name another one: make install PYTHON=python3.12",
        ),
        (
            'case "$*" in *ensurepip*) exit 1;; esac',
            "{python} has no venv module; on Debian: apt-get install python3-venv",
        ),
    ],
)
def test_an_unfit_python_is_refused_in_one_line(body: str, expected: str, tmp_path: Path) -> None:
    python = fake_python(tmp_path, body)

    done = make("install", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}")

    first, *rest = done.stderr.splitlines()
    assert first == expected.format(python=python)
    assert [line for line in rest if not line.startswith("make")] == []
    assert not (tmp_path / "venv").exists()


def test_help_lists_every_target() -> None:
    listed = {line.split()[1] for line in make("help").stdout.splitlines()}

    wanted = {"install", "dev", "demo", "test", "check", "bench", "docs", "long", "gpu", "clean"}
    assert wanted <= listed


def test_the_demo_needs_neither_rivals_nor_ray_nor_root(tmp_path: Path) -> None:
    lean, whole = (
        make("--dry-run", name, f"VENV={tmp_path / 'venv'}").stdout for name in ("demo", "test")
    )
    for word in ("rivals", "[dev,ray]", "apt-get install"):
        assert word not in lean.replace("apt-get install python3-venv", "")
        assert word in whole
