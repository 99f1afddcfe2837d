"""A recipe is checked to the last key before anything starts."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from leaf.config import (
    Recipe,
    check_recipe,
    describe,
    dump_recipe,
    load_recipe,
    recipe_names,
)
from leaf.errors import RecipeError

MINIMAL = """\
name: small
student: {model: org/student}
teacher: {model: org/teacher}
data: {task: gsm8k}
evaluate:
  benchmarks:
    gsm8k: {task: gsm8k, split: test}
"""


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    return write(tmp_path / "small.yaml", MINIMAL)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def refusal(name_or_path: Path | str, *overrides: str) -> str:
    """The one line that a recipe is refused with."""
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(name_or_path), overrides)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_minimal_recipe_gets_the_papers_settings(minimal: Path) -> None:
    recipe = load_recipe(str(minimal))
    assert recipe.name == "small"
    assert (recipe.prune.rule, recipe.prune.threshold, recipe.prune.strategy) == (
        "value",
        0.10,
        "span",
    )
    assert (recipe.distill.learning_rate, recipe.distill.epochs) == (1e-5, 3)
    assert (recipe.distill.warmup_steps, recipe.distill.batch_size) == (5, 64)


def test_every_shipped_recipe_is_sound() -> None:
    assert recipe_names()
    for name in recipe_names():
        assert load_recipe(name).name


# --- keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "key", "nearest"),
    [
        ("prun: {}", "prun", "prune"),
        ("prune: {treshold: 0.1}", "prune.treshold", "threshold"),
        ("data: {task: table, colums: {}}", "data.colums", "columns"),
        ("data: {task: table, columns: {qestion: q}}", "data.columns.qestion", "question"),
        ("distill: {lamda: 0.5}", "distill.lamda", "lambda"),
        ("distill: {lambda_: 0.5}", "distill.lambda_", "lambda"),
        (
            "evaluate: {benchmarks: {mine: {task: table, limt: 3}}}",
            "evaluate.benchmarks.mine.limt",
            "limit",
        ),
        (
            "evaluate: {benchmarks: {mine: {task: table, columns: {anser: a}}}}",
            "evaluate.benchmarks.mine.columns.anser",
            "answer",
        ),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_right_one(
    tmp_path: Path, line: str, key: str, nearest: str
) -> None:
    values = {**yaml.safe_load(MINIMAL), **yaml.safe_load(line)}
    path = write(tmp_path / "wrong.yaml", yaml.safe_dump(values))
    assert refusal(path) == f"{path}: unknown key `{key}`; did you mean `{nearest}`?"


def test_an_unknown_key_like_no_other_lists_those_there_are(minimal: Path) -> None:
    message = refusal(minimal, "verify.xyzzy=1")
    assert message.endswith("unknown key `verify.xyzzy`; known here: teacher")


def test_a_misspelt_required_key_is_told_before_the_missing_one(tmp_path: Path) -> None:
    path = write(tmp_path / "wrong.yaml", MINIMAL.replace("student:", "studnet:"))
    assert refusal(path) == (f"{path}: unknown key `studnet`; did you mean `student`? (and 1 more)")


def test_a_missing_key_is_required_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "short.yaml", MINIMAL.replace("{model: org/teacher}", "{}"))
    assert refusal(path) == f"{path}: `teacher.model` is required"


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("prune.threshold=1.5", ["`prune.threshold`", "less than or equal to 1", "1.5"]),
        ("prune.threshold=-0.1", ["`prune.threshold`", "greater than or equal to 0", "-0.1"]),
        ("distill.lambda=2", ["`distill.lambda`", "less than or equal to 1", "2"]),
        ("distill.temperature=0", ["`distill.temperature`", "greater than 0", "0"]),
        ("distill.epochs=0", ["`distill.epochs`", "greater than or equal to 1", "0"]),
        ("distill.epochs=2.5", ["`distill.epochs`", "integer", "2.5"]),
        ("distill.epochs=many", ["`distill.epochs`", "integer", "'many'"]),
        ("distill.epochs=true", ["`distill.epochs`", "integer", "True"]),
        ("distill.epochs=null", ["`distill.epochs`", "integer", "None"]),
        ("prune.threshold='0.1'", ["`prune.threshold`", "number", "'0.1'"]),
        ("prune.bridge_whitespace=1", ["`prune.bridge_whitespace`", "boolean", "1"]),
        ("prune.rule=lowest", ["`prune.rule`", "'value' or 'quantile'", "'lowest'"]),
        ("student.model=7", ["`student.model`", "string", "7"]),
        ("prune=0.1", ["`prune`", "0.1"]),
        ("evaluate.benchmarks=gsm8k", ["`evaluate.benchmarks`", "dictionary", "'gsm8k'"]),
    ],
)
def test_a_value_out_of_the_rules_is_told_with_what_is_allowed(
    minimal: Path, override: str, told: list[str]
) -> None:
    message = refusal(minimal, override)
    assert message.startswith(f"{minimal}: ")
    for part in told:
        assert part in message


def test_values_that_contradict_each_other_are_told_with_both(minimal: Path) -> None:
    message = refusal(minimal, "generate.token_budget=512", "generate.max_new_tokens=512")
    assert message == (
        f"{minimal}: generate.token_budget (512) must exceed generate.max_new_tokens (512)"
    )


def test_further_faults_are_counted(minimal: Path) -> None:
    message = refusal(minimal, "prune.threshold=2", "distill.epochs=0", "store.shard_size=0")
    assert message.endswith("(and 2 more)")


# --- --set --------------------------------------------------------------------------------------


def overridden(minimal: Path, *overrides: str) -> Recipe:
    return load_recipe(str(minimal), overrides)


@pytest.mark.parametrize(
    ("text", "number"), [("1e-5", 1e-5), ("2.5E-4", 2.5e-4), (".5e0", 0.5), ("1E+0", 1.0)]
)
def test_set_reads_numbers_with_an_exponent(minimal: Path, text: str, number: float) -> None:
    assert overridden(minimal, f"distill.learning_rate={text}").distill.learning_rate == number


def test_set_reads_null_true_and_text(minimal: Path) -> None:
    recipe = overridden(
        minimal,
        "distill.max_steps=7",
        "distill.max_steps=null",
        "prune.bridge_whitespace=true",
        "data.path=/data/a=b.jsonl",
        "student.system=",
        "data.before='null'",
    )
    assert recipe.distill.max_steps is None
    assert recipe.prune.bridge_whitespace is True
    assert recipe.data.path == "/data/a=b.jsonl"
    assert recipe.student.system is None
    assert recipe.data.before == "null"


def test_set_reaches_into_a_benchmark_and_adds_one(minimal: Path) -> None:
    recipe = overridden(
        minimal,
        "evaluate.benchmarks.gsm8k.limit=16",
        "evaluate.benchmarks.mine.task=table",
        "evaluate.benchmarks.mine.path=mine.jsonl",
    )
    assert recipe.evaluate.benchmarks["gsm8k"].limit == 16
    assert recipe.evaluate.benchmarks["gsm8k"].split == "test"
    assert recipe.evaluate.benchmarks["mine"].path == "mine.jsonl"


def test_set_takes_text_that_is_no_yaml_as_it_is(minimal: Path) -> None:
    assert overridden(minimal, "data.after=[Answer: {").data.after == "[Answer: {"


@pytest.mark.parametrize("override", ["prune.threshold", "=3", ""])
def test_set_without_a_key_or_a_value_shows_how_it_is_written(minimal: Path, override: str) -> None:
    assert "must be key=value, as in --set prune.threshold=0.05" in refusal(minimal, override)


def test_set_below_a_value_says_that_it_is_one(minimal: Path) -> None:
    message = refusal(minimal, "student.model.name=x")
    assert message == "--set student.model.name=x: `model` is a value, it has no `name`"


# --- extends ------------------------------------------------------------------------------------


def test_extends_takes_a_path_relative_to_the_recipe(minimal: Path) -> None:
    path = write(
        minimal.parent / "deep" / "er.yaml",
        "extends: ../small.yaml\nname: deeper\n"
        "prune: {threshold: 0.2}\nstudent: {dtype: float32}\n",
    )
    recipe = load_recipe(str(path))
    assert (recipe.name, recipe.prune.threshold) == ("deeper", 0.2)
    # Sections are laid over each other key by key.
    assert (recipe.student.model, recipe.student.dtype) == ("org/student", "float32")


def test_extends_goes_through_several_recipes_and_the_nearest_wins(minimal: Path) -> None:
    folder = minimal.parent
    write(folder / "b.yaml", "extends: small.yaml\nprune: {threshold: 0.2, rule: quantile}\n")
    path = write(folder / "c.yaml", "extends: b.yaml\nprune: {threshold: 0.3}\n")
    recipe = load_recipe(str(path), ["prune.threshold=0.4"])
    assert (recipe.prune.threshold, recipe.prune.rule) == (0.4, "quantile")
    assert load_recipe(str(path)).prune.threshold == 0.3


def test_extends_takes_a_shipped_recipe_by_name(tmp_path: Path) -> None:
    shipped = recipe_names()[0]
    path = write(tmp_path / "mine.yaml", f"extends: {shipped}\nname: mine\n")
    recipe = load_recipe(str(path))
    assert recipe.name == "mine"
    assert recipe.model_copy(update={"name": load_recipe(shipped).name}) == load_recipe(shipped)


def test_benchmarks_are_replaced_as_a_whole(minimal: Path) -> None:
    path = write(
        minimal.parent / "mine.yaml",
        "extends: small.yaml\nevaluate: {benchmarks: {mine: {task: table, path: a.jsonl}}}\n",
    )
    assert list(load_recipe(str(path)).evaluate.benchmarks) == ["mine"]


def test_extends_in_a_circle_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "extends: b.yaml\n")
    write(tmp_path / "b.yaml", "extends: ./a.yaml\n")
    assert refusal(tmp_path / "a.yaml").endswith("`extends` goes round in a circle")
    itself = write(tmp_path / "self.yaml", "extends: self.yaml\n")
    assert refusal(itself).endswith("`extends` goes round in a circle")


def test_extends_must_name_a_recipe(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", "extends: [b.yaml]\n")
    assert refusal(path) == f"{path}: `extends` must name a recipe, but is ['b.yaml']"
    path = write(tmp_path / "b.yaml", "extends: missing.yaml\n")
    assert refusal(path) == f"{tmp_path / 'missing.yaml'}: no such recipe file"


# --- files --------------------------------------------------------------------------------------


def test_an_unknown_recipe_name_gets_the_nearest_shipped_one() -> None:
    shipped = recipe_names()[0]
    message = refusal(shipped + "x")
    assert f"did you mean `{shipped}`?" in message
    assert "`leaf recipes` lists the shipped ones" in message


def test_a_missing_recipe_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    assert refusal(path) == f"{path}: no such recipe file"


def test_a_file_that_is_not_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "broken.yaml", "name: a\nprune:\n  threshold: [0.1\nstudent: b\n")
    # The list that line 3 opens is found broken where line 4 goes on.
    assert refusal(path).startswith(f"{path}:4: not YAML: ")
    path = write(tmp_path / "tab.yaml", "name: a\n\tprune: b\n")
    assert refusal(path).startswith(f"{path}:2: not YAML: ")


def test_a_file_with_bytes_that_are_no_text_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: caf\u00e9\n".encode("latin-1"))
    assert refusal(path).startswith(f"{path}: not YAML: ")
    path = write(tmp_path / "control.yaml", "name: a\x07b\n")
    assert refusal(path).startswith(f"{path}: not YAML: ")


@pytest.mark.parametrize(("text", "shown"), [("- a\n- b\n", "['a', 'b']"), ("gsm8k\n", "'gsm8k'")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, shown: str) -> None:
    path = write(tmp_path / "list.yaml", text)
    assert refusal(path) == f"{path}: a recipe is a mapping of keys, but this is {shown}"
    assert refusal(write(tmp_path / "empty.yaml", "")).endswith("but this is None")


def test_yaml_tags_never_make_objects(tmp_path: Path) -> None:
    path = write(tmp_path / "evil.yaml", MINIMAL + "description: !!python/name:os.system\n")
    assert refusal(path).startswith(f"{path}:8: not YAML: could not determine a constructor")


# --- writing ------------------------------------------------------------------------------------


def test_a_dumped_recipe_reads_back_the_same(minimal: Path) -> None:
    recipe = overridden(
        minimal,
        "distill.lambda=0.7",
        "distill.learning_rate=3e-6",
        "evaluate.benchmarks.gsm8k.after=\"∠\\n  'x': #\"",
        "data.before='null'",
        "student.revision='12e4'",
    )
    copy = write(minimal.parent / "copy.yaml", dump_recipe(recipe))
    assert load_recipe(str(copy)) == recipe
    assert "lambda: 0.7" in copy.read_text(encoding="utf-8")


@settings(max_examples=40, deadline=None)
@given(
    text=st.text() | st.from_regex(r"[-+]?[0-9.]*[eE]?[-+]?[0-9]+", fullmatch=True),
    number=st.floats(min_value=1e-300, max_value=1e300),
)
def test_any_text_and_number_survive_dumping(
    tmp_path_factory: pytest.TempPathFactory, text: str, number: float
) -> None:
    values = yaml.safe_load(MINIMAL)
    values["description"] = text
    values["distill"] = {"learning_rate": number}
    recipe = check_recipe(values, source="values")
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    assert load_recipe(str(write(path, dump_recipe(recipe)))) == recipe


def leaves(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every dotted key of nested mappings with its value."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {}
        flat |= inner or {f"{prefix}{key}": value}
    return flat


def test_describe_tells_every_key_that_a_dump_has_with_its_value_and_meaning(
    minimal: Path,
) -> None:
    recipe = load_recipe(str(minimal))
    described = list(describe(recipe))
    assert {key: value for key, value, _ in described} == leaves(
        yaml.safe_load(dump_recipe(recipe))
    )
    assert len({key for key, _, _ in described}) == len(described)
    assert all(meaning for _, _, meaning in described)
    assert "evaluate.benchmarks.gsm8k.columns.question" in {key for key, _, _ in described}


def test_a_checked_recipe_cannot_be_changed(minimal: Path) -> None:
    recipe = load_recipe(str(minimal))
    assert isinstance(recipe, BaseModel)
    with pytest.raises(ValueError, match="frozen"):
        recipe.name = "other"  # type: ignore[misc]
