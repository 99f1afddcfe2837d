"""The script of the real-model results says commands that there are, for recipes that there are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from leaf.cli.main import app
from leaf.recipe import DataSection, Recipe
from leaf.recipe.reading import load_recipe, trained_arms
from leaf.tasks import load_problems
from tests.examples.conftest import EXAMPLES
from tests.marks import DATA, needs_data

RECORDER = """#!{python}
import json, sys
print(json.dumps(sys.argv[1:]))
"""


def commands_of(recipe: str, folder: Path, **settings: str) -> list[list[str]]:
    """Return the words of each command that the script gives to a `leaf` which only says them."""
    leaf = folder / "leaf"
    leaf.write_text(RECORDER.format(python=sys.executable))
    leaf.chmod(0o755)
    own = {"LEAF": str(leaf), "RECIPE": recipe, "GSM_IC": "ic.json", "OUT": str(folder)}
    done = subprocess.run(
        [str(EXAMPLES / "reproduce.sh"), "--set", "student.model=own model.gguf"],
        env=os.environ | own | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def recipe_of(recipe: str, words: list[str]) -> Recipe:
    """Return the recipe of a command, which the command line must read."""
    app.parse_args(words, exit_on_error=False, print_error=False)
    overrides = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
    return load_recipe(recipe, overrides)


@pytest.mark.parametrize("recipe", ["gsm8k-shifted", "gsm8k-shifted-cpu"])
def test_every_command_of_the_script_is_read_by_the_command_line(
    recipe: str, tmp_path: Path
) -> None:
    commands = commands_of(recipe, tmp_path, YIELD="--rules value --taus 0.1,0.2")
    names = [" ".join(words[:2]) if words[0] == "study" else words[0] for words in commands]
    assert names[0] == "doctor"
    assert names.index("study thresholds") < names.index("run") < names.index("study overhead")
    for words in commands:
        found = recipe_of(recipe, words)
        assert found.student.model == "own model.gguf"
        assert found.evaluate.benchmarks["gsm_ic_base"].path == "ic.json"


@pytest.mark.parametrize("recipe", ["distracted", "distracted-cpu"])
def test_every_seed_has_all_arms_on_pairs_and_some_on_other_data(
    recipe: str, tmp_path: Path
) -> None:
    data = {"PROBLEMATHIC": "pairs", "SVAMP": "s.jsonl"}
    commands = commands_of(recipe, tmp_path, **data, SEEDS="3 5")
    assert [words[0] for words in commands] == ["doctor", "run", "run", "run", "run"]
    runs = []
    for words in commands:
        runs.append(recipe_of(recipe, words))
    assert {found.student.model for found in runs} == {"own model.gguf"}
    assert [found.distill.seed for found in runs[1:]] == [3, 3, 5, 5]
    pairs = ["simple", "simple_distracted", "complex", "complex_distracted"]
    for whole, more in ((runs[1], runs[2]), (runs[3], runs[4])):
        assert {part.path for part in whole.evaluate.benchmarks.values()} == {"pairs"}
        assert list(whole.evaluate.benchmarks) == pairs
        assert trained_arms(whole) == ["kd", "leaf", "rft", "self", "augment"]
        assert trained_arms(more) == ["kd", "leaf", "rft", "self"]
        # What they train on and how is the same, so the students are found.
        assert more.model_copy(update={"arms": {}, "evaluate": None}) == whole.model_copy(
            update={"arms": {}, "evaluate": None}
        )
        assert more.arms["self"] == whole.arms["self"]
        tests = more.evaluate.benchmarks
        assert [*tests] == [*pairs, "gsm_ic", "gsm_ic_base", "svamp"]
        assert (tests["gsm_ic"].limit, tests["svamp"].limit) == (400, 300)
        assert (tests["gsm_ic"].path, tests["svamp"].path) == ("ic.json", "s.jsonl")


@needs_data
def test_four_hundred_distracted_problems_come_of_ninety_and_more() -> None:
    place = {"task": "gsm_ic", "path": str(DATA / "gsm_ic" / "gsm_ic_test.json")}
    drawn = load_problems(DataSection(**place, split="test", shuffle=True, limit=400))
    bases = {one.id for one in load_problems(DataSection(**place, split="base"))}
    assert len({one.base for one in drawn}) > 90
    assert {one.base for one in drawn} <= bases


def test_without_gsm_ic_it_says_what_to_name() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GSM_IC"}
    done = subprocess.run(
        [str(EXAMPLES / "reproduce.sh")],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "name a GSM-IC file: GSM_IC=gsm_ic.json" in done.stderr
