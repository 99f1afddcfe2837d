"""What variants cost, from answers that are written down here."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from leaf.errors import StudyError
from leaf.evaluate import Robustness, robustness
from leaf.recipe import EvaluateSection
from leaf.recipe.reading import load_recipe
from leaf.records import Outcome, Score
from leaf.statistics import Interval
from leaf.store.store import Store
from leaf.study.arms import Trained
from leaf.study.finding import Cell, Table
from leaf.study.lab import Lab
from leaf.study.robustness import paired_table, unpaired_table
from leaf.study.robustness import robustness as study

GSM8K = "gsm8k: {task: gsm8k, split: test}"
SAID = "said: {task: gsm8k, split: test, paraphrase: spa, against: gsm8k}"
PAIRED = f"evaluate.benchmarks={{{GSM8K}, {SAID}}}"


def lab(folder: Path, name: str, *overrides: str) -> Lab:
    return Lab(load_recipe(name, ["evaluate.resamples=300", *overrides]), Store(folder))


def scores(right: Sequence[int], name: str) -> list[Score]:
    return [
        Score(
            problem_id=f"{name}{number}",
            outcome=Outcome.RIGHT if one else Outcome.WRONG,
            extracted=None,
            reason=None,
        )
        for number, one in enumerate(right)
    ]


def cost(bases: Sequence[int], variants: Sequence[int]) -> Robustness:
    """Return what the n-th variant costs against the n-th base problem."""
    base_of = {f"v{number}": f"b{number}" for number in range(len(variants))}
    found = scores(variants, "v"), scores(bases, "b")
    return robustness(*found, base_of, resamples=300, seed=0)


def trained(
    values: Mapping[str, Mapping[str, Sequence[float]]],
    costs: Mapping[str, Mapping[str, Robustness]],
) -> Trained:
    """Return one seed of students; `values` are by arm, then by benchmark."""
    students = {
        arm: ({name: {f"{name}{n}": one for n, one in enumerate(row)} for name, row in of.items()},)
        for arm, of in values.items()
    }
    made = {"kd": ("k",), "leaf": ("l",)}
    section = EvaluateSection(benchmarks={}, resamples=300)
    return Trained(
        name="LeaF",
        section=section,
        students=students,
        changed=(1,),
        made=made,
        robustness=(costs,),
    )


def cell(table: Table, student: str, column: str) -> Cell:
    (row,) = [row for row in table.rows if row.labels["student"] == student]
    return row.cells[column]


def value(table: Table, student: str, column: str) -> float:
    found = cell(table, student, column)
    assert isinstance(found, Interval)
    return found.value


def test_a_drop_is_paired_with_the_question_that_was_varied(tmp_path: Path) -> None:
    # KD: two of four bases right, one of their variants lost, one variant of a wrong base gained.
    kd = cost([1, 1, 0, 0], [1, 0, 1, 0])
    leaf = cost([1, 1, 1, 0], [1, 1, 1, 1])
    values = {
        "kd": {"said": [1.0, 0.0, 1.0, 0.0]},
        "leaf": {"said": [1.0, 1.0, 1.0, 1.0]},
    }
    found = trained(values, {"said": {"kd": kd, "leaf": leaf}})
    table = paired_table(lab(tmp_path, "gsm8k", PAIRED), found, ["said"])
    assert [row.labels["student"] for row in table.rows] == ["KD", "LeaF"]
    assert [value(table, "KD", name) for name in ("unchanged", "variants", "drop")] == [0.5, 0.5, 0]
    assert (cell(table, "KD", "lost"), cell(table, "KD", "gained")) == (1, 1)
    assert value(table, "LeaF", "drop") == -0.25
    assert value(table, "LeaF", "variants minus KD") == 0.5
    assert all(row.paper == {} for row in table.rows)


@pytest.mark.parametrize(
    ("levels", "leaf"), [("[instruction]", 0.5110), ("[instruction, response]", 0.5171)]
)
def test_the_papers_values_stand_beside_its_student_on_paraphrases(
    levels: str, leaf: float, tmp_path: Path
) -> None:
    same = cost([1, 0], [1, 0])
    values = {arm: {"said": [1.0, 0.0]} for arm in ("before", "kd", "leaf")}
    found = trained(values, {"said": dict.fromkeys(values, same)})
    paper = lab(tmp_path, "paper/llama-1b-math", PAIRED, f"prune.levels={levels}")
    rows = paired_table(paper, found, ["said"]).rows
    assert [row.paper for row in rows] == [
        {"variants": 0.3965},
        {"variants": 0.5042},
        {"variants": leaf},
    ]


def test_shifted_splits_are_not_paired(tmp_path: Path) -> None:
    values = {
        "kd": {"clean": [1.0, 1.0, 1.0, 0.0], "conflict": [0.0, 1.0]},
        "leaf": {"clean": [1.0, 1.0, 0.0, 0.0], "conflict": [1.0, 1.0]},
    }
    table = unpaired_table(lab(tmp_path, "demo"), trained(values, {}), "clean", ["conflict"])
    # 3/4 against 1/2, and 1/2 against 1.
    assert value(table, "KD", "drop") == 0.25
    assert value(table, "LeaF", "drop") == -0.5
    assert value(table, "LeaF", "variants minus KD") == 0.5
    assert "lost" not in table.columns


def test_several_benchmarks_have_an_average_in_which_each_counts_alike(tmp_path: Path) -> None:
    values = {
        "kd": {"clean": [1.0], "conflict": [0.0, 1.0], "both": [0.0]},
        "leaf": {"clean": [1.0], "conflict": [1.0, 1.0], "both": [0.0]},
    }
    found = trained(values, {})
    table = unpaired_table(lab(tmp_path, "demo"), found, "clean", ["conflict", "both"])
    kd, leaf = (row.cells for row in table.rows if row.labels["variants"] == "average")
    # (1/2 + 0) / 2 against (1 + 0) / 2, on three questions.
    assert isinstance(kd["variants"], Interval)
    assert (kd["variants"].value, kd["n"]) == (0.25, 3)
    assert isinstance(leaf["variants minus KD"], Interval)
    assert leaf["variants minus KD"].value == 0.25


def test_a_recipe_without_variants_is_told_which_lines_add_them(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="has no benchmark of variants; add one") as refused:
        study(lab(tmp_path, "gsm8k"))
    # The lines that it names are a recipe's.
    named = str(refused.value).partition("evaluate: {benchmarks: ")[2].removesuffix("}")
    section = load_recipe("gsm8k", [f"evaluate.benchmarks={named}"]).evaluate
    assert section.benchmarks["gsm8k_para"].against == "gsm8k"
    assert not any(tmp_path.iterdir())
