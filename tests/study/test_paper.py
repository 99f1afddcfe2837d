"""The paper's values stand beside ours only where student and questions are the paper's."""

from typing import Any

import pytest

from leaf.recipe import Recipe
from leaf.recipe.reading import load_recipe
from leaf.study.paper import (
    AVERAGE,
    beside,
    converted,
    differs,
    nearest_table,
    paper_table,
    printed_table,
    shown,
)

MATH = "paper/llama-1b-math"


def recipe(name: str, *overrides: str) -> Recipe:
    return load_recipe(name, overrides)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [(56.79, "percent", 0.5679), (26.2, "hours", 94320.0), (4576, "count", 4576.0)],
)
def test_printed_values_become_the_units_of_tables(
    value: float, unit: str, expected: float
) -> None:
    assert converted(value, unit) == expected


# The paper prints 9.94 for LeetCode, but averages of 9.44 in both rows.
MISPRINTED = {("Qwen2.5-Math-1.5B", "instruction"), ("Qwen2.5-Math-1.5B", "both")}


@pytest.mark.parametrize("name", ["1 math", "1 code", "2", "5", "6"])
def test_averages_of_what_we_copied_are_the_printed_averages(name: str) -> None:
    checked = 0
    for student, rows in paper_table(name).students.items():
        for row, values in rows.items():
            if name == "1 code" and (student, row) in MISPRINTED:
                continue
            one_by_one = [value for column, value in values.items() if column != AVERAGE]
            # The paper rounds some averages down: 51.887 is printed as 51.88.
            mean = sum(one_by_one) / len(one_by_one)
            assert values[AVERAGE] == pytest.approx(mean, abs=1.0e-4), (student, row)
            checked += 1
    assert checked >= 3


@pytest.mark.parametrize("name", ["8", "9"])
def test_parts_of_the_data_add_up_to_the_printed_total(name: str) -> None:
    for rows in paper_table(name).students.values():
        for values in rows.values():
            parts = [v for k, v in values.items() if k not in {"min", "max", "mean", "total"}]
            assert not parts or sum(parts) == values["total"]
            assert values["min"] < values["mean"] < values["max"]


def test_overheads_follow_from_the_printed_hours() -> None:
    for rows in paper_table("4").students.values():
        values = rows["training"]
        ratio = values["leaf"] / values["kd"] - 1
        assert values["overhead"] == pytest.approx(ratio, abs=1.5e-3)


@pytest.mark.parametrize(
    ("label", "row", "expected"),
    [
        ("gsm8k", "before", 0.4488),
        ("gsm8k", "both", 0.5898),
        ("olympiadbench", "kd", 0.0890),
        (AVERAGE, "instruction", 0.3440),
        ("svamp", "kd", None),
    ],
)
def test_the_papers_own_recipe_has_the_papers_values(
    label: str, row: str, expected: float | None
) -> None:
    assert beside(recipe(MATH), "1 math", row, label) == expected


def test_a_student_is_known_by_the_last_part_of_its_name() -> None:
    local = recipe(MATH, "student.model=/models/llama-3.2-1b-INSTRUCT/")
    assert beside(local, "1 math", "kd", "gsm8k") == 0.5679
    other = recipe(MATH, "student.model=meta-llama/Llama-3.2-1B")
    assert beside(other, "1 math", "kd", "gsm8k") is None


def test_a_benchmark_is_known_by_its_task_whatever_its_name() -> None:
    named = recipe(MATH, "evaluate.benchmarks={mine: {task: gsm8k, split: test}}")
    assert beside(named, "1 math", "kd", "mine") == 0.5679
    # One of three: the paper's average is of all.
    assert beside(named, "1 math", "kd", AVERAGE) is None


def test_a_training_part_is_not_the_papers_benchmark() -> None:
    trained_on = recipe(MATH, "evaluate.benchmarks.gsm8k.split=train")
    assert beside(trained_on, "1 math", "kd", "gsm8k") is None
    assert beside(trained_on, "1 math", "kd", "math500") == 0.3340


def test_an_average_with_one_benchmark_more_is_another_average() -> None:
    more = recipe(MATH, "evaluate.benchmarks.svamp.task=svamp")
    assert beside(more, "1 math", "kd", AVERAGE) is None


def test_only_table_5_has_questions_in_other_words() -> None:
    said = {"task": "gsm8k", "split": "test", "paraphrase": "spa", "against": "gsm8k"}
    words = ", ".join(f"{key}: {value}" for key, value in said.items())
    both = recipe(MATH, f"evaluate.benchmarks.again={{{words}}}")
    assert beside(both, "5", "kd", "again") == 0.5042
    assert beside(both, "5", "kd", "gsm8k") is None
    assert beside(both, "1 math", "kd", "again") is None
    assert beside(both, "1 math", "kd", "gsm8k") == 0.5679


def test_measures_and_samples_have_columns_of_their_own() -> None:
    questions = recipe("paper/llama-1b-qa", "student.model=Llama-3.2-3B-Instruct")
    assert beside(questions, "2", "kd", "musique F1") == 0.2856
    assert beside(questions, "2", "instruction", AVERAGE) == 0.4227
    code = recipe("paper/llama-1b-code")
    assert beside(code, "1 code", "both", "livecodebench pass@10") == 0.1248


def test_the_teacher_is_looked_up_as_itself() -> None:
    assert beside(recipe(MATH), "1 math", "teacher", "math500") == 0.7040


@pytest.mark.parametrize(
    ("name", "nearest"), [(MATH, "1 math"), ("paper/llama-1b-code", "1 code"),
                          ("paper/llama-1b-qa", "2"), ("gsm8k", "1 math"), ("demo", "1 math")],
)  # fmt: skip
def test_the_nearest_table_is_that_of_the_same_benchmarks(name: str, nearest: str) -> None:
    assert nearest_table(recipe(name), "1 math", "1 code", "2") == nearest


def test_the_papers_own_setting_differs_in_nothing() -> None:
    assert differs(recipe(MATH), "1 math") == ()
    assert differs(recipe("paper/qwen-math"), "1 math") == ()
    assert differs(recipe("paper/llama-1b-code"), "1 code") == ()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("student.model=my/student", "The student is my/student; the paper's: Llama-3.2-1B"),
        ("teacher.model=my/teacher", "The teacher is my/teacher; the paper's: Llama-3.3-70B"),
        ("data.limit=60", "Training is on at most 60 problems of numina_math; the paper's"),
        ("evaluate.benchmarks.svamp.task=svamp", "this table of the paper lacks: svamp."),
        ("evaluate.benchmarks.gsm8k.limit=24", "Not all questions of a benchmark: gsm8k (24)."),
        ("evaluate.benchmarks={gsm8k: {task: gsm8k, split: test}}", "lacks: MATH-500, Olympiad"),
        ("prune.rule=quantile", "Settings: prune.rule is quantile (paper: value)."),
        ("distill.max_steps=9", "Settings: distill.max_steps is 9 (paper: by epochs)."),
        ("distill.learning_rate=2e-5", "distill.learning_rate is 2e-05 (paper: 1e-05)"),
    ],
)  # fmt: skip
def test_each_difference_is_a_sentence(override: str, said: str) -> None:
    (line,) = differs(recipe(MATH, override), "1 math")
    assert said in line


def test_what_a_study_sweeps_is_no_difference() -> None:
    collective = recipe(MATH, "prune.strategy=collective")
    assert len(differs(collective, "1 math")) == 1
    assert differs(collective, "1 math", swept=["prune.strategy"]) == ()


def test_the_papers_table_is_shown_beside_its_own_benchmarks_alone() -> None:
    assert shown(recipe("demo"), "1 math") == ()
    (table,) = shown(recipe("gsm8k"), "1 math")
    assert table == printed_table("1 math")
    rows: dict[Any, Any] = {tuple(row.labels.values()): row.cells for row in table.rows}
    assert rows["Llama-3.2-3B-Instruct", "both"]["OlympiadBench"] == 0.2255
