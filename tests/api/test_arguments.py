"""Wrong kinds of things in the API: one line each, with the way out."""

from types import MappingProxyType
from typing import Any

import pytest

import leaf
from leaf.errors import LeafError, UsageError
from tests.api.conftest import QUESTION, REFERENCE

ROWS = [{"question": "a", "response": "b"}]


def refused(call: Any) -> str:
    with pytest.raises(LeafError) as raised:
        call()
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 250
    return str(raised.value)


@pytest.mark.parametrize("place", ["student", "teacher"])
@pytest.mark.parametrize(
    "call",
    [
        lambda student, teacher: leaf.explain(student, teacher, QUESTION, REFERENCE),
        lambda student, teacher: leaf.score(student, teacher, [QUESTION], [REFERENCE]),
        lambda student, teacher: leaf.verify(student, teacher, []),
        lambda student, teacher: leaf.distill(student, teacher, ROWS),
        lambda student, teacher: leaf.distillation_loss(student, teacher, ROWS),
    ],
    ids=["explain", "score", "verify", "distill", "distillation_loss"],
)
def test_what_is_no_model_of_ours_is_told_how_to_become_one(
    call: Any, place: str, student: leaf.Model
) -> None:
    ways = {
        "wrap it: leaf.Model(model, tokenizer)": student.model,
        "load it: leaf.Model.load('org/small')": "org/small",
    }
    for way_out, given in ways.items():
        models = {"student": student, "teacher": None, place: given}
        message = refused(lambda models=models: call(models["student"], models["teacher"]))
        assert message.startswith(f"{place}: must be a leaf.Model, but is ")
        assert message.endswith(way_out)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"student": None}, "student: must be a leaf.Model, but is None; load one: "),
        ({"question": None}, "question: must be a text, but is None"),
        ({"reference": 3}, 'reference: must be a text, but is 3; write "3"'),
        ({"answer": 3}, 'answer: must be a text, but is 3; write "3"'),
        ({"detector": 3}, "detector: must be a name, but is 3; known: ablation, "),
        (
            {"unit": 3},
            "unit: must be a name, but is 3; known: token, word, phrase, clause, sentence",
        ),
        ({"grader": 3}, "`data.grader` must be "),
        ({"recipe": "demo"}, "recipe: must be a Recipe, but is 'demo'; read one: leaf.load_recipe"),
        ({"max_new_tokens": "all"}, "max_new_tokens: must be a number of tokens, but is 'all'"),
    ],
)
def test_explain_refuses(changes: dict[str, Any], message: str, student: leaf.Model) -> None:
    values: Any = {"student": student, "teacher": None, "question": QUESTION, "reference": "3"}
    assert message in refused(lambda: leaf.explain(**(values | changes)))


def test_a_text_in_place_of_a_list_is_refused_and_so_is_one_record(student: Any) -> None:
    calls: dict[str, Any] = {
        "questions: must be a list of texts, but is one; write [questions]": (
            lambda: leaf.score(student, None, QUESTION, "3")
        ),
        "questions: must be a list of texts, but is None": (
            lambda: leaf.score(student, None, None, ["3"])  # type: ignore[arg-type]
        ),
        "references[0]: must be a text, but is 3": (
            lambda: leaf.score(student, None, [QUESTION], [3])  # type: ignore[list-item]
        ),
        "scores: must be a list of what leaf.score returned, but is one; write [scores]": (
            lambda: leaf.cut(leaf.score(student, None, [QUESTION], ["3"])[0])  # type: ignore[arg-type]
        ),
        "cuts: must be a list of what leaf.cut returned, but is 'all'": (
            lambda: leaf.verify(student, None, "all")  # type: ignore[arg-type]
        ),
        "cuts[0]: must be one that leaf.cut returned, but is a Scores": (
            lambda: leaf.verify(student, None, leaf.score(student, None, [QUESTION], ["3"]))  # type: ignore[arg-type]
        ),
        "answers: must be a dict of question to final answer, but is a list": (
            lambda: leaf.verify(student, None, [], answers=["3"])  # type: ignore[arg-type]
        ),
        "rows: must be a list of rows, but is a dict; each has `question` and `response`": (
            lambda: leaf.distill(student, None, ROWS[0])
        ),
    }
    for message, call in calls.items():
        assert refused(call) == message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: leaf.run_recipe(3), "must be a name, a file, a dict or a `Recipe`, but is 3"),  # type: ignore[arg-type]
        (lambda: leaf.run_recipe("demo", until="verfy"), "did you mean `verify`?"),
        (lambda: leaf.run_recipe("demo", out=3), "out: must be a folder's path, but is 3"),  # type: ignore[arg-type]
        (lambda: leaf.load_recipe({}), "is a dict; leaf.check_recipe takes a dict"),  # type: ignore[arg-type]
        (lambda: leaf.load_recipe("demo", "a=1"), "write ['a=1']"),
        (lambda: leaf.check_recipe("demo", source="x"), "leaf.load_recipe reads a name"),  # type: ignore[arg-type]
        (lambda: leaf.dump_recipe("demo"), "must be a Recipe, but is 'demo'"),  # type: ignore[arg-type]
        (lambda: leaf.read_ledger(None), "path: must be that of a ledger.parquet, but is None"),  # type: ignore[arg-type]
        (lambda: leaf.Store(None), "store: must be a folder's path, but is None"),  # type: ignore[arg-type]
        (lambda: leaf.Model("org/small", None), "load it: leaf.Model.load('org/small')"),
        (lambda: leaf.Model.load(None), "must be a hub id, folder or GGUF file, but is None"),  # type: ignore[arg-type]
        (
            lambda: leaf.Model.load("package:playground/models/student", template=5),  # type: ignore[arg-type]
            "`template` must be a dictionary, but is 5",
        ),
    ],
)
def test_runs_and_files_refuse(call: Any, message: str) -> None:
    assert message in refused(call)


def test_a_template_may_be_any_mapping() -> None:
    leaf.Model.load("package:playground/models/student", template=MappingProxyType({}))


def test_a_template_s_arguments_are_a_dict(student: leaf.Model) -> None:
    with pytest.raises(UsageError, match=r"template: must be a dict of arguments"):
        leaf.Model(student.model, student.tokenizer, template=5)  # type: ignore[arg-type]


def test_a_loaded_model_is_not_loaded_again(student: leaf.Model) -> None:
    with pytest.raises(UsageError, match=r"wrap it: leaf.Model\(model, tokenizer\)"):
        leaf.Model.load(student.model)
