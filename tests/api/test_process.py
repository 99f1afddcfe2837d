"""The process around a call: a script without a guard, standard input, a notebook, what is left."""

import doctest
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM

import leaf
from leaf.cli.main import main
from leaf.store.ledger import write_ledger
from tests.api.conftest import QUESTION, REFERENCE

ROOT = Path(__file__).parents[2]

SCRIPT = f"""
import leaf

student = leaf.Model.load("package:playground/models/student")
look = leaf.explain(
    student, None, {QUESTION!r}, {REFERENCE!r}, answer=r"\\frac{{2}}{{2}}", grader="math",
    max_new_tokens=16,
)
print(look.verify()[0].student.outcome)
results = leaf.run_recipe(
    leaf.load_recipe("demo", ["data.world.size=40", "data.grader=math"]), out="run", until="prune"
)
print(results)
"""


@pytest.mark.parametrize("way", ["script", pytest.param("standard input", marks=pytest.mark.long)])
def test_a_script_needs_no_guard_for_its_main_module(way: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    words = [sys.executable, "script.py" if way == "script" else "-"]
    done = subprocess.run(
        words,
        cwd=tmp_path,
        input=SCRIPT if way != "script" else None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcome, *shown = done.stdout.splitlines()
    assert outcome == "right"
    assert len("".join(shown)) < 500


def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    notebook = json.loads((ROOT / "examples" / "notebook.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    (tmp_path / "cells.json").write_text(json.dumps(cells))
    # As a kernel does it: a module `__main__` without a file, cell by cell, the last value shown.
    runner = """
import ast, json
for cell in json.load(open("cells.json")):
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"))
    value = eval(compile(ast.Expression(last.value), "<cell>", "eval")) if last else None
    shown = getattr(value, "_repr_html_", lambda: repr(value))()
    assert len(shown) < 20_000, (cell, len(shown))
"""
    done = subprocess.run(
        [sys.executable, "-"],
        cwd=tmp_path,
        input=runner,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


DOCUMENTED = ("api.model", "api.stages", "api.look", "api.recipes", "recipe.reading")
STORED = ("store.ledger", "store.results", "store.store", "records")


@pytest.mark.parametrize("name", [*DOCUMENTED, *STORED])
def test_the_examples_of_docstrings_are_true(
    name: str, student: leaf.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    question = "Ada has 3 pens. It is late. How many pens does Ada have?"
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    look = leaf.explain(student, None, question, "3")
    write_ledger(tmp_path / "runs" / "demo" / "ledger.parquet", [look.entry])
    module = import_module(f"leaf.{name}")
    failed, tried = doctest.testmod(module, extraglobs={"leaf": leaf})
    assert tried
    assert not failed


def loads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    own = AutoModelForCausalLM.from_pretrained

    def load(source: Any, **options: Any) -> Any:
        found.append(source)
        return own(source, **options)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", load)
    return found


def test_each_model_is_loaded_once_and_not_at_all_by_a_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = loads(monkeypatch)
    student = leaf.Model.load("package:playground/models/student")
    teacher = leaf.Model.load("package:playground/models/teacher")
    assert len(found) == 2
    leaf.explain(student, teacher, QUESTION, REFERENCE, max_new_tokens=8).verify()
    assert len(found) == 2


def test_the_command_explain_loads_each_model_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = loads(monkeypatch)
    words = ["explain", "--question", QUESTION, "--reference", REFERENCE, "--max-new-tokens", "8"]
    for role in ("student", "teacher"):
        words += [f"--{role}", f"package:playground/models/{role}"]
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 0
    assert len(found) == 2
    assert "Ranked by ablation, sentence by sentence" in capsys.readouterr().out


CALM = """
import random, sys, warnings
import leaf
assert "torch" not in sys.modules, "import leaf is light"
import numpy, torch
from huggingface_hub.utils import are_progress_bars_disabled
from transformers.utils import logging
logging.set_verbosity_info()

def state():
    return [
        logging.get_verbosity(), logging.is_progress_bar_enabled(), are_progress_bars_disabled(),
        list(warnings.filters), torch.get_num_threads(), torch.get_default_dtype(),
        torch.is_grad_enabled(), random.getstate(), str(numpy.random.get_state()),
        torch.get_rng_state().tolist(),
    ]

before = state()
student = leaf.Model.load("package:playground/models/student")
leaf.explain(student, student, QUESTION, REFERENCE, detector="random", max_new_tokens=8).verify()
leaf.run_recipe(leaf.load_recipe("demo", ["data.world.size=40"]), out="run", until="attribute")
changed = [at for at, (old, new) in enumerate(zip(before, state())) if old != new]
assert not changed, changed
"""


def test_a_call_leaves_nothing_in_the_process(tmp_path: Path) -> None:
    words = f"QUESTION, REFERENCE = {QUESTION!r}, {REFERENCE!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", words + CALM],
        cwd=tmp_path,
        env={**os.environ, "LEAF_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_dir_lists_what_there_is_and_all_of_it_is_there() -> None:
    for name in dir(leaf):
        assert getattr(leaf, name) is not None
    assert "sys" not in dir(leaf)
    assert {"Model", "explain", "score", "cut", "verify", "inject", "run_recipe"} <= set(dir(leaf))
    # A package of stages of the same name does not lie over the function.
    import_module("leaf.verify.judge")
    assert callable(leaf.verify)
