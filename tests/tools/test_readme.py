"""The README is short, and each of its figures is what the repository's files say."""

import json
import re
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks._kept import read_students
from benchmarks._real import figures_of
from benchmarks.real import grouped
from leaf.recipe.reading import load_recipe, recipe_names
from leaf.statistics import compare_values
from tests.marks import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "results"
NUMBER = re.compile(r"(?<![\w.-])[+-]?\d+(?:\.\d+)?(?![\w.]*\.json)\b")


def test_it_is_read_in_a_minute() -> None:
    assert len(README.split()) <= 700


def of_effect() -> set[str]:
    """The table's figures, and the students without a teacher."""
    figures = json.loads((RESULTS / "effect.json").read_text())["figures"]
    found = {
        f"{100 * figures[f'{split}.{arm}.mean']:.1f}"
        for split in ("conflict", "numeric")
        for arm in ("self_ce", "rft")
    }
    for split in ("conflict", "numeric", "clean"):
        for arm in ("before", "kd", "leaf"):
            ends = ("mean", "mean_low", "mean_high") if arm != "before" else ("mean",)
            shares = [100 * min(figures[f"{split}.{arm}.{end}"], 1) for end in ends]
            # As everywhere else, the one number of three digits needs no decimals.
            found |= {f"{share:.1f}".replace("100.0", "100") for share in shares}
        ends = ("minus_kd", "low", "high")
        found |= {f"{100 * figures[f'{split}.leaf.{end}']:+.1f}" for end in ends}
    return found


def of_gsm8k() -> set[str]:
    """Right answers, and LeaF minus plain distillation, from every question's value."""
    rows = pq.read_table(RESULTS / "gsm8k-shifted-cpu" / "values.parquet").to_pylist()
    before, kd, leaf = (
        {
            row["problem_id"]: row["value"]
            for row in rows
            if (row["benchmark"], row["arm"]) == ("gsm8k", arm)
        }
        for arm in ("before", "kd", "leaf")
    )
    section = load_recipe("gsm8k-shifted-cpu").evaluate
    found = compare_values(leaf, kd, resamples=section.resamples, seed=section.seed)
    assert found.low is not None
    assert found.high is not None
    points = (found.difference, found.low, found.high)
    shares = {f"{100 * sum(one.values()) / len(one):.1f}" for one in (before, kd, leaf)}
    return shares | {f"{100 * one:+.1f}" for one in points} | {str(found.n)}


def of_pair1() -> set[str]:
    """Distracted and clean problems: both students, LeaF minus plain distillation, how many."""
    groups, changed = grouped(read_students(RESULTS))
    assert changed == 0
    figures = figures_of(groups["pair1", "A"])
    shares = {f"{100 * figures[f'pair1.distracted.{arm}']:.1f}" for arm in ("before", "kd", "leaf")}
    differences = {
        f"{100 * figures[f'pair1.{shown}{end}']:+.1f}"
        for shown in (
            "distracted.leaf_minus_kd",
            "clean.leaf_minus_kd",
            "distracted.self_minus_rft",
            "complex.self_minus_rft",
        )
        for end in ("", ".low", ".high")
    }
    recipe = load_recipe(RESULTS / "pair1" / "A" / "seed-1" / "leaf" / "recipe.yaml")
    return shares | differences | {f"{figures['pair1.n']:.0f}", str(recipe.data.limit)}


def of_detection() -> set[str]:
    """How often ablation and the gradient rank the planted sentence first, of how many problems."""
    kept = json.loads((RESULTS / "detection.json").read_text())
    shares = {
        f"{100 * kept['figures'][f'gsm_ic.{detector}.sentence_hit{end}']:.0f}"
        for detector in ("ablation", "gradient")
        for end in ("", ".low", ".high")
    }
    return shares | {str(kept["setting"]["gsm_ic"]["problems_scored"])}


def test_each_figure_is_that_of_a_file() -> None:
    _, _, rest = README.partition("## Does it help?")
    section, _, _ = rest.partition("\n## ")
    assert "python -m benchmarks.effect --seeds 5" in section
    text = re.sub(r"\]\([^)]*\)|`[^`]*`", "", section)  # links and commands
    shown = {one for one in NUMBER.findall(text) if one != "95"}  # the intervals' level

    known = of_effect() | of_gsm8k() | of_detection() | of_pair1()

    assert shown == known


def test_what_it_names_is_there() -> None:
    for path in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"python -m benchmarks\.(\w+)", README):
        assert (ROOT / "benchmarks" / f"{name}.py").is_file(), name
    named = re.search(r"one GPU \(([^)]*)\)", README)
    assert named
    assert set(re.findall(r"`([^`]+)`", named.group(1))) <= set(recipe_names())


def test_the_recipe_of_ones_own_reads(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(.*?)```", README, re.S)
    assert found
    path = tmp_path / "questions.yaml"
    path.write_text(found.group(1), encoding="utf-8")

    recipe = load_recipe(path)

    assert recipe.teacher.model == "self"
    assert recipe.evaluate.benchmarks["own"].path is not None
