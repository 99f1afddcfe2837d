"""A recipe is checked to the last key before anything starts."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from leaf.recipe.reading import load_recipe, recipe_names

Write = Callable[[str, str], Path]
Refusal = Callable[..., str]

WEIGHTS = (
    "distill.anchor",
    "distill.changed_weight",
    "distill.learning_rate",
    "distill.temperature",
    "verify.temperature",
    "evaluate.benchmarks.test.temperature",
)


def test_a_minimal_recipe_gets_the_papers_settings(minimal: Path) -> None:
    recipe = load_recipe(str(minimal))
    assert recipe.name == "small"
    assert (recipe.prune.rule, recipe.prune.threshold, recipe.prune.strategy) == (
        "value",
        0.10,
        ["span"],
    )
    assert (recipe.distill.learning_rate, recipe.distill.epochs) == (1e-5, 3)
    assert (recipe.distill.warmup_steps, recipe.distill.batch_size) == (5, 64)


def test_every_shipped_recipe_is_sound() -> None:
    assert recipe_names()
    for name in recipe_names():
        assert load_recipe(name).name


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
    minimal: Path, line: str, key: str, nearest: str, write: Write, refusal: Refusal
) -> None:
    values = {**yaml.safe_load(minimal.read_text()), **yaml.safe_load(line)}
    path = write("wrong.yaml", yaml.safe_dump(values))
    assert refusal(path) == f"{path}: unknown key `{key}`; did you mean `{nearest}`?"


def test_an_unknown_key_like_no_other_lists_those_there_are(
    minimal: Path, refusal: Refusal
) -> None:
    message = refusal(minimal, "store.xyzzy=1")
    assert message.endswith("unknown key `store.xyzzy`; known here: shard_size")


def test_a_misspelt_required_key_is_told_before_the_missing_one(
    minimal: Path, write: Write, refusal: Refusal
) -> None:
    path = write("wrong.yaml", minimal.read_text().replace("student:", "studnet:"))
    assert refusal(path).splitlines() == [
        f"{path}: unknown key `studnet`; did you mean `student`?",
        f"{path}: `student` is required",
    ]


def test_a_missing_key_is_required_by_name(minimal: Path, write: Write, refusal: Refusal) -> None:
    path = write("short.yaml", minimal.read_text().replace("{model: org/teacher}", "{}"))
    assert refusal(path) == f"{path}: `teacher.model` is required"


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("prune.threshold=1.5", ["`prune.threshold`", "less than or equal to 1", "1.5"]),
        ("prune.threshold=-0.1", ["`prune.threshold`", "greater than or equal to 0", "-0.1"]),
        ("distill.lambda=2", ["`distill.lambda`", "from 0 to 1, rows or add", "2"]),
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
        *((f"{key}=.inf", [f"`{key}`", "must be a finite number"]) for key in WEIGHTS),
        ("prune.share=.nan", ["`prune.share` must be a finite number, but is nan"]),
        ("student=org/small", ["`student: {model: org/small}`"]),
        ("prune=0.1", ["`prune`", "0.1"]),
        ("evaluate.benchmarks=gsm8k", ["`evaluate.benchmarks`", "dictionary", "'gsm8k'"]),
    ],
)
def test_a_value_out_of_the_rules_is_told_with_what_is_allowed(
    minimal: Path, override: str, told: list[str], refusal: Refusal
) -> None:
    message = refusal(minimal, override)
    assert message.startswith(f"{minimal}: ")
    for part in told:
        assert part in message


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("foo", "'foo'"),
        ("3", "3"),
        ("true", "True"),
        ("[cpu]", "['cpu']"),
        ("{}", "{}"),
        ('{"": null}', "{'': None}"),
    ],
)
def test_places_that_are_none_are_one_sentence(
    minimal: Path, value: str, shown: str, refusal: Refusal
) -> None:
    assert refusal(minimal, f"teacher.device_map={value}") == (
        f"{minimal}: `teacher.device_map` must be auto, balanced, balanced_low_0, sequential, or a "
        f"map of the model's modules to cpu, disk or the number of a GPU, but is {shown}"
    )


def test_tensor_parallel_is_refused_without_vllm(minimal: Path, refusal: Refusal) -> None:
    message = refusal(minimal, "teacher.tensor_parallel=2")
    assert message == (
        f"{minimal}: `teacher.tensor_parallel` has no use with engine hf: set teacher.engine: "
        "vllm, or spread it by teacher.device_map"
    )
    changes = ["teacher.tensor_parallel=2", "generate.engine=vllm"]
    assert load_recipe(str(minimal), changes).teacher.tensor_parallel == 2


def test_clipping_alone_may_have_no_limit(minimal: Path) -> None:
    recipe = load_recipe(str(minimal), ["distill.max_grad_norm=.inf"])
    assert recipe.distill.max_grad_norm == float("inf")


def test_values_that_contradict_each_other_are_told_with_both(
    minimal: Path, refusal: Refusal
) -> None:
    message = refusal(minimal, "generate.token_budget=512", "generate.max_new_tokens=512")
    assert message == (
        f"{minimal}: generate.token_budget (512) must exceed generate.max_new_tokens (512)"
    )


def test_every_fault_has_a_line(minimal: Path, refusal: Refusal) -> None:
    lines = refusal(minimal, "prune.threshold=2", "distill.epochs=0", "distill.lr=1").splitlines()
    assert all(line.startswith(f"{minimal}: ") for line in lines)
    told = ["`distill.lr`; did you mean `learning_rate`?", "`prune.threshold`", "`distill.epochs`"]
    assert [part in line for part, line in zip(told, lines, strict=True)] == [True] * 3


def test_beyond_ten_faults_are_counted(minimal: Path, refusal: Refusal) -> None:
    lines = refusal(minimal, *(f"verify.key{number}=1" for number in range(13))).splitlines()
    assert len(lines) == 10
    assert lines[-1].endswith("(and 3 more)")


def test_an_unknown_recipe_name_gets_the_nearest_shipped_one(refusal: Refusal) -> None:
    shipped = recipe_names()[0]
    message = refusal(shipped + "x")
    assert f"did you mean `{shipped}`?" in message
    assert "no shipped recipe (`leaf recipes`) has this name" in message


def test_a_missing_recipe_file_is_named(tmp_path: Path, refusal: Refusal) -> None:
    path = tmp_path / "none.yaml"
    assert refusal(path) == f"{path}: no such recipe file"


def test_a_file_that_is_not_yaml_is_named_with_its_line(write: Write, refusal: Refusal) -> None:
    path = write("broken.yaml", "name: a\nprune:\n  threshold: [0.1\nstudent: b\n")
    # The list that line 3 opens is found broken where line 4 goes on.
    assert refusal(path).startswith(f"{path}:4: not YAML: ")
    path = write("tab.yaml", "name: a\n\tprune: b\n")
    assert refusal(path).startswith(f"{path}:2: not YAML: ")


def test_a_file_with_bytes_that_are_no_text_is_refused_in_one_line(
    tmp_path: Path, write: Write, refusal: Refusal
) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: caf\u00e9\n".encode("latin-1"))
    assert refusal(path).startswith(f"{path}: not YAML: ")
    path = write("control.yaml", "name: a\x07b\n")
    assert refusal(path).startswith(f"{path}: not YAML: ")


@pytest.mark.parametrize(("text", "shown"), [("- a\n- b\n", "['a', 'b']"), ("gsm8k\n", "'gsm8k'")])
def test_a_file_that_is_no_mapping_is_refused(
    text: str, shown: str, write: Write, refusal: Refusal
) -> None:
    path = write("list.yaml", text)
    assert refusal(path) == f"{path}: a recipe is a mapping of keys, but this is {shown}"
    assert refusal(write("empty.yaml", "")).endswith("but this is None")


def test_yaml_tags_never_make_objects(minimal: Path, write: Write, refusal: Refusal) -> None:
    path = write("evil.yaml", minimal.read_text() + "description: !!python/name:os.system\n")
    assert refusal(path).startswith(f"{path}:8: not YAML: could not determine a constructor")


def test_data_in_place_of_a_recipe_are_named(write: Write, refusal: Refusal) -> None:
    path = write("questions.csv", "id,prompt\n1,2\n")
    assert refusal(path) == f"{path}: is data, not a recipe; `leaf init {path}` writes one"
    assert refusal("absent.xlsx") == "absent.xlsx: no such file; a recipe ends in .yaml"
