"""Runs examples as people do, and loads them for what they add."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="session")
def run_example() -> Callable[[str, Path], str]:
    """A function from an example's name and a folder to what it prints."""

    def run(name: str, folder: Path) -> str:
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / f"{name}.py"), str(folder)],
            cwd=EXAMPLES.parent,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def example() -> Callable[[str], ModuleType]:
    """A function from an example's name to its module, whose `main` is not run."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        # Where `user_code_digest` looks for the file of a function.
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    return load
