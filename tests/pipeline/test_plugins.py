"""Detectors of one's own through whole commands: a file that a recipe names, here and on Ray."""

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from leaf.api.recipes import run_recipe
from leaf.pipeline.stages import Pipeline
from leaf.recipe.detectors import DETECTORS, detector_class
from leaf.recipe.reading import load_recipe
from leaf.store.run_folder import recipe_of
from leaf.store.store import Store

OWN = '''
from pydantic import Field
from leaf.attribute import Detector, detector
from leaf.attribute.ranking import by_suspicion
from leaf.recipe import Section
from leaf.records import Sensitivity

@detector
class Cue(Detector):
    """Suspects tokens that begin with a letter."""
    name = "letter"
    needs = "student"

    class Options(Section):
        """What it looks for."""
        letter: str = Field("r", description="the letter")

    def measure(self, model, problems, references):
        found = []
        for problem in problems:
            units = model.chat.prompt(problem).units
            texts = [problem.question[unit.start : unit.end].strip() for unit in units]
            scores = tuple(float(text[:1] == self.options.letter) for text in texts)
            found.append(
                Sensitivity(
                    problem_id=problem.id,
                    starts=tuple(unit.start for unit in units),
                    ends=tuple(unit.end for unit in units),
                    scores=scores,
                    loss=0.0,
                )
            )
        return found

    def rank(self, evidence):
        return by_suspicion(evidence.measured, evidence.measured.scores, "letters")
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "letter.py"
    path.write_text(OWN)
    yield path
    DETECTORS.pop("letter", None)


def run(folder: Path, store: Path, plugin: Path, *settings: str) -> Pipeline:
    own = [f"attribute.plugins=[{plugin}]", "attribute.detector=letter", "prune.units=[word]"]
    recipe = load_recipe(str(folder / "recipe.yaml"), [*own, *settings])
    pipeline = Pipeline(recipe, Store(store))
    pipeline.run(until="verify", after_stage=lambda: None)
    return pipeline


def cut_texts(pipeline: Pipeline) -> set[str]:
    cuts = pipeline.results.cuts["letter"]
    return {span.text for cut in cuts.tried for span in cut.spans}


def test_its_option_decides_what_is_cut_and_its_file_names_what_is_computed(
    cue_pair: Path, tmp_path: Path, plugin: Path
) -> None:
    first = run(cue_pair, tmp_path / "store", plugin)
    assert cut_texts(first) == {" red"}
    assert len({cut.problem_id for cut in first.results.cuts["letter"].kept}) == 4
    assert sum(log.computed for log in run(cue_pair, tmp_path / "store", plugin).logs) == 0
    other = run(cue_pair, tmp_path / "store", plugin, "attribute.letter.letter=s")
    assert cut_texts(other) == {" some"}
    plugin.write_text(OWN.replace("needs = ", "# Changed.\n    needs = "))
    changed = run(cue_pair, tmp_path / "store", plugin)
    again = {log.kind for log in changed.logs if log.computed}
    assert again == {"sensitivities", "counterfactuals"}


def test_what_a_run_wrote_is_read_from_anywhere(
    cue_pair: Path, tmp_path: Path, plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.yaml").write_text(
        f"extends: {cue_pair}/recipe.yaml\n"
        "attribute: {plugins: [letter.py], detector: letter}\nprune: {units: [word]}\n"
    )
    away = tmp_path / "away"
    away.mkdir()
    monkeypatch.chdir(away)
    run_recipe("../own.yaml", out="../run", until="verify")
    words = [sys.executable, "-m", "leaf", "explain", str(tmp_path / "run"), "train-2"]
    done = subprocess.run(words, cwd=cue_pair, capture_output=True, text=True, check=True)
    assert "Ranked by letter" in done.stdout
    assert recipe_of(tmp_path / "run").attribute.plugins == [str(plugin)]


LOAD = """
import pickle, sys
made = pickle.loads(sys.stdin.buffer.read())
print(made.name, made.options.letter, made.goes_by or "own")
"""


def test_a_worker_elsewhere_gets_its_code_and_options_and_needs_no_file(plugin: Path) -> None:
    recipe = load_recipe("demo", [f"attribute.plugins=[{plugin}]", "attribute.letter.letter=s"])
    made = detector_class("letter")(recipe.attribute.options("letter"))
    sent = pickle.dumps(made)
    plugin.unlink()
    done = subprocess.run([sys.executable, "-c", LOAD], input=sent, capture_output=True, check=True)
    assert done.stdout.decode().split() == ["letter", "s", "own"]


@pytest.mark.long
def test_workers_on_ray_do_as_one_process_does(
    cue_pair: Path, tmp_path: Path, plugin: Path
) -> None:
    pytest.importorskip("ray")
    here = run(cue_pair, tmp_path / "here", plugin)
    there = run(cue_pair, tmp_path / "there", plugin, "runner=ray", "ray.workers=1")
    there.session.runner.close()
    assert cut_texts(there) == cut_texts(here) == {" red"}
