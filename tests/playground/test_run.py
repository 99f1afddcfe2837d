"""A whole run on the bundled models, small: what `leaf run demo` does in minutes."""

import json
from importlib import resources
from pathlib import Path

import pytest

from leaf.models.load import load
from leaf.models.prompt_format import PromptFormat
from leaf.pipeline.run import run_recipe
from leaf.recipe import ModelSection
from leaf.recipe.reading import load_recipe
from leaf.store.store import Store

SPLITS = ("clean", "agree", "conflict", "numeric", "both")


def package_files() -> dict[str, tuple[int, int]]:
    """Size and time of every file of the package but compiled modules."""
    root = Path(str(resources.files("leaf")))
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("playground")
    recipe = load_recipe(
        "demo-0.1",
        [
            "data.world.size=300",
            "prune.strategy=span+transplant",
            "prune.transplants=2",
            "distill.max_steps=4",
            "distill.warmup_steps=1",
            "distill.batch_size=16",
            *(f"evaluate.benchmarks.{split}.world.size=100" for split in SPLITS),
        ],
    )
    before = package_files()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEAF_CACHE", str(folder / "cache"))
        results = run_recipe(
            recipe,
            out=folder / "run",
            store=Store(folder / "store"),
            until="evaluate",
            command="leaf run demo",
        )
    return folder / "run", results, before


def test_the_bundled_student_follows_the_cue_and_the_teacher_does_not(finished):
    _, results, _ = finished
    before = {split: results.estimates[split]["before"].mean for split in SPLITS}
    teacher = {split: results.estimates[split]["teacher"].mean for split in SPLITS}
    assert before["agree"] >= 0.95
    assert before["conflict"] <= 0.1
    assert before["clean"] >= 0.95
    assert min(teacher.values()) >= 0.97


def removals(counterfactuals):
    return sum(item.strategy == "span" for item in counterfactuals)


def test_detection_finds_the_cue_more_often_than_the_controls(finished):
    _, results, _ = finished
    kept = {name: removals(cuts.kept) / removals(cuts.tried) for name, cuts in results.cuts.items()}
    assert list(kept) == ["gradient", "random", "perplexity"]
    assert kept["gradient"] > kept["random"]


def test_transplants_are_kept_where_only_the_teacher_is_right(finished):
    _, results, _ = finished
    cuts = results.cuts["gradient"]
    verdicts = {verdict.counterfactual_id: verdict for verdict in cuts.verdicts}
    kept = [item for item in cuts.kept if item.strategy == "transplant"]
    assert kept
    for item in kept:
        found = verdicts[item.id]
        assert (found.teacher, found.student == "right") == ("right", False)


def test_nothing_is_written_inside_the_package(finished):
    _, _, before = finished
    assert package_files() == before


def test_the_report_has_every_split_and_the_controls(finished):
    folder, _, _ = finished
    report = json.loads((folder / "report.json").read_text())
    assert [result["benchmark"] for result in report["results"]] == list(SPLITS)
    page = (folder / "report.html").read_text()
    for word in (*SPLITS, "perplexity", "transplant"):
        assert word in page


def test_every_word_of_the_world_is_one_token_of_the_bundled_tokenizer():
    loaded = load(ModelSection(model="package:playground/models/student"))
    chat = PromptFormat(loaded.tokenizer, name="student")
    question = "At first Ben has 9 pens. At the market, Leo gives 14 pens to Ben."
    ids = chat.tokenizer(question, add_special_tokens=False)["input_ids"]
    # Each word with its leading space, and each mark by itself.
    expected = ["At", " first", " Ben", " has", " 9", " pens", ".", " At", " the", " market", ","]
    expected += [" Leo", " gives", " 14", " pens", " to", " Ben", "."]
    assert [chat.tokenizer.decode([token]) for token in ids] == expected
