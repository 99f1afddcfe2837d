"""What people install: the extras that the docs name, an sdist and a wheel that work alone."""

import re
import subprocess
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.marks import ROOT
from tests.works import unpack

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_every_extra_is_in_the_docs_and_no_other() -> None:
    text = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", text.partition("### Extras")[2], re.MULTILINE)
    assert set(listed) == EXTRAS.keys() - {"dev"}
    for page in (ROOT / "docs").glob("*.md"):
        named = re.findall(r"leaf-distill\[([\w,]+)\]", page.read_text(encoding="utf-8"))
        assert {one for names in named for one in names.split(",")} <= EXTRAS.keys(), page


def run(*words: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


@pytest.mark.long
def test_the_wheel_of_the_sdist_works_in_a_fresh_environment(tmp_path: Path) -> None:
    fresh = tmp_path / "venv"
    venv.create(fresh, with_pip=True)
    python = fresh / "bin" / "python"
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "hatchling", cwd=tmp_path)
    run(python, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=ROOT)
    (sdist,) = tmp_path.glob("*.tar.gz")
    (source,) = unpack(sdist, tmp_path / "source").iterdir()
    run(python, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=source)
    (wheel,) = tmp_path.glob("*.whl")
    assert zipfile.ZipFile(wheel).testzip() is None

    # Its dependencies are those of here, found by path: the checkout itself is not.
    (packages,) = fresh.glob("lib/python*/site-packages")
    run(*pip, "--no-deps", wheel, cwd=tmp_path)
    (packages / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")

    where = run(python, "-c", "import leaf; print(leaf.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(fresh)
    command = fresh / "bin" / "leaf"
    assert "demo" in run(command, "recipes", cwd=tmp_path)
    words = ("--set", "data.world.size=60", "--until", "answers")  # the bundled models answer
    assert "60 training problems" in run(command, "run", "demo", *words, cwd=tmp_path)
