"""`leaf explain`, on a run and on a prompt of one's own."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from leaf.cli.main import main
from leaf.pipeline.run import run_recipe
from leaf.recipe.detectors import DETECTORS
from leaf.recipe.reading import check_recipe
from leaf.store.ledger import read_ledger
from leaf.store.store import Store

Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEAF_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def run(cue_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explained")
    recipe = check_recipe(
        {
            **yaml.safe_load((cue_pair / "recipe.yaml").read_text()),
        },
        source="test",
    )
    run_recipe(
        recipe,
        out=folder / "run",
        store=Store(folder / "store"),
        until="verify",
        command="again",
    )
    return folder / "run"


def leaf(*words: str | Path) -> int:
    try:
        main([str(word) for word in words])
    except SystemExit as leaving:
        assert isinstance(leaving.code, int)
        return leaving.code
    return 0


def test_without_a_problem_every_one_is_listed(run: Path, capsys: Output) -> None:
    assert leaf("explain", run) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [f"train-{at}" for at in (2, 4, 6, 8)]
    assert all("1 of 1 kept" in line for line in lines)
    assert last == f"Next: `leaf explain {run} PROBLEM`, with --html FILE for a page."
    assert leaf("explain", run, "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(item["tried"], item["kept"]) for item in listed] == [(1, 1)] * 4


def test_one_problem_is_shown_and_written_as_a_page(
    run: Path, tmp_path: Path, capsys: Output
) -> None:
    assert leaf("explain", run, "train-4", "--html", tmp_path / "p.html") == 0
    shown = capsys.readouterr().out
    assert "[-red-]" in shown
    assert f"page:     {tmp_path / 'p.html'}" in shown.replace("\n", "")
    assert "<h1>train-4</h1>" in (tmp_path / "p.html").read_text()
    assert leaf("explain", run, "train-4", "--json") == 0
    (entry,) = read_ledger(run / "ledger.parquet", "train-4")
    found = json.loads(capsys.readouterr().out)
    assert found["problem"]["before"]["teacher"]["text"] == entry.teacher.text == "4"


def test_a_prompt_of_ones_own_needs_no_run(cue_pair: Path, capsys: Output) -> None:
    own = ["--question", "Cy has some red hats. How many hats are there?", "--reference", "4"]
    models = ["--student", cue_pair / "student", "--teacher", cue_pair / "teacher"]
    models += ["--detector", "gradient", "--unit", "token"]
    options = ["--dtype", "float32", "--answer", "4", "--max-new-tokens", "8", "--json"]
    assert leaf("explain", *models, *own, *options) == 0
    problem = json.loads(capsys.readouterr().out)["problem"]
    assert problem["before"]["student"]["text"] == "7"
    freed = [item for item in problem["removals"] if item["verdict"]["kept"]]
    assert any(piece["text"] == " red" for item in freed for piece in item["pieces"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "nowhere/recipe.yaml: not there; `leaf run RECIPE --out nowhere` writes it"),
        (["RUN", "train-44"], "has no problem train-44; it holds those that entered"),
        (["RUN", "train-44"], "did you mean `train-4`?"),
        ([], "missing RUN"),
        (["--student", "m", "--teacher", "m", "--question", "q"], "missing --reference"),
        (["RUN", "--question", "q"], "--question is for a prompt of your own, without RUN"),
        (
            ["--student", "m", "--question", "q", "--reference", "why not, they said" * 9],
            "reference: marks no final answer",
        ),
        (
            ["--student", "m", "--question", "q", "--reference", "4", "--grader", "nubmers"],
            "grader: unknown `nubmers`; did you mean `numbers`?",
        ),
    ],
)
def test_wrong_words_are_one_line(run: Path, words: list[str], said: str, capsys: Output) -> None:
    assert leaf("explain", *(str(run) if word == "RUN" else word for word in words)) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.count("\n") == 1
    assert said in found.err


def test_a_detector_of_ones_own_and_its_options_are_named_on_the_line(
    tmp_path: Path, capsys: Output
) -> None:
    own = Path(__file__).parents[3] / "examples" / "own_detector.py"
    words = ["explain", "--student", "package:playground/models/student"]
    words += ["--question", "At the market, Leo has 4 pens. How many pens does Leo have?"]
    words += ["--reference", "4", "--max-new-tokens", "8", "--detector", "opening"]
    assert leaf(*words) == 2
    assert "detector: unknown `opening`" in capsys.readouterr().err
    try:
        named = [*words, "--unit", "token", "--plugin", str(own)]
        assert leaf(*named) == 0
        assert "{+" not in (shown := capsys.readouterr().out)
        assert "Ranked by opening" in shown
        assert "0 of 1 verified" in shown or "1 of 1 verified" in shown
        assert leaf(*named, "--set", "attribute.opening.longest=3") == 0
        assert "no sentence opens with a phrase and a comma" in capsys.readouterr().out
        assert leaf(*named, "--set", "attribute.opening.longst=3") == 2
        assert "did you mean `longest`" in capsys.readouterr().err
    finally:
        DETECTORS.pop("opening", None)
    missing = str(tmp_path / "none.py")
    assert leaf(*words, "--plugin", missing) == 2
    assert capsys.readouterr().err == f"leaf: --plugin {missing}: no such file\n"
    assert leaf("explain", tmp_path, "--set", "prune.threshold=0.2") == 2
    assert "--set is for a prompt of your own" in capsys.readouterr().err
