"""The script of the real-model results says commands that there are, for recipes that there are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from leaf.cli.main import app
from leaf.recipe.reading import load_recipe
from tests.examples.conftest import EXAMPLES

RECORDER = """#!{python}
import json, sys
print(json.dumps(sys.argv[1:]))
"""


@pytest.mark.parametrize("recipe", ["gsm8k-shifted", "gsm8k-shifted-cpu"])
def test_every_command_of_the_script_is_read_by_the_command_line(
    recipe: str, tmp_path: Path
) -> None:
    leaf = tmp_path / "leaf"
    leaf.write_text(RECORDER.format(python=sys.executable))
    leaf.chmod(0o755)
    settings = {"LEAF": str(leaf), "RECIPE": recipe, "GSM_IC": "ic.json", "OUT": str(tmp_path)}
    done = subprocess.run(
        [str(EXAMPLES / "reproduce.sh"), "--set", "student.model=own model.gguf"],
        env=os.environ | settings | {"YIELD": "--rules value --taus 0.1,0.2"},
        capture_output=True,
        text=True,
        check=True,
    )
    commands = [json.loads(line) for line in done.stdout.splitlines()]
    names = [" ".join(words[:2]) if words[0] == "study" else words[0] for words in commands]
    assert names[0] == "doctor"
    assert names.index("study thresholds") < names.index("run") < names.index("study overhead")
    for words in commands:
        app.parse_args(words, exit_on_error=False, print_error=False)
        overrides = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
        found = load_recipe(recipe, overrides)
        assert found.student.model == "own model.gguf"
        assert found.evaluate.benchmarks["gsm_ic_base"].path == "ic.json"


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
