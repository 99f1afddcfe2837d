"""What people install: the extras that the docs name, an sdist and a wheel that work alone."""

import os
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

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def test_every_extra_is_in_the_docs_and_no_other() -> None:
    text = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", text.partition("### Extras")[2], re.MULTILINE)
    assert set(listed) == EXTRAS.keys() - {"dev"}
    for page in (ROOT / "docs").glob("*.md"):
        named = re.findall(r"leaf-distill\[([\w,]+)\]", page.read_text(encoding="utf-8"))
        assert {one for names in named for one in names.split(",")} <= EXTRAS.keys(), page


def run(*words: str | Path, cwd: Path) -> str:
    # Where pip finds packages is this machine's affair.
    index = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), "OMP_NUM_THREADS": "1", **index},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def environment(folder: Path) -> Path:
    """Make a fresh environment; return its folder of commands."""
    venv.create(folder, with_pip=True)
    return folder / "bin"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the sdist of this checkout."""
    folder = tmp_path_factory.mktemp("built")
    python = environment(folder / "venv") / "python"
    run(python, *PIP, "hatchling", cwd=folder)
    run(python, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    (sdist,) = folder.glob("*.tar.gz")
    (source,) = unpack(sdist, folder / "source").iterdir()
    run(python, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=source)
    (found,) = folder.glob("*.whl")
    assert zipfile.ZipFile(found).testzip() is None
    return found


@pytest.mark.long
def test_the_wheel_of_the_sdist_works_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "venv"
    bin_ = environment(fresh)
    # Its dependencies are those of here, found by path: the checkout itself is not.
    (packages,) = fresh.glob("lib/python*/site-packages")
    run(bin_ / "python", *PIP, "--no-deps", wheel, cwd=tmp_path)
    (packages / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")

    where = run(bin_ / "python", "-c", "import leaf; print(leaf.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(fresh)
    assert "demo" in run(bin_ / "leaf", "recipes", cwd=tmp_path)
    words = ("--set", "data.world.size=60", "--until", "answers")  # the bundled models answer
    assert "60 training problems" in run(bin_ / "leaf", "run", "demo", *words, cwd=tmp_path)


@pytest.mark.long
def test_the_wheel_brings_all_it_needs_and_no_ray(wheel: Path, tmp_path: Path) -> None:
    bin_ = environment(tmp_path / "venv")
    # From the index that pip has here, torch among them.
    run(bin_ / "python", *PIP, wheel, cwd=tmp_path)

    assert run(bin_ / "leaf", "--version", cwd=tmp_path).strip() == PROJECT["version"]
    assert "demo" in run(bin_ / "leaf", "recipes", cwd=tmp_path)
    program = "import leaf, sys; leaf.Model; print('torch' in sys.modules, 'ray' in sys.modules)"
    assert run(bin_ / "python", "-c", program, cwd=tmp_path) == "True False\n"
    installed = run(bin_ / "python", "-m", "pip", "list", "--format=freeze", cwd=tmp_path)
    assert not re.search("^ray=", installed, re.MULTILINE)
    assert "No broken requirements" in run(bin_ / "python", "-m", "pip", "check", cwd=tmp_path)
