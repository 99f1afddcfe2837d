"""A run with a template that changes a text, and with one that takes arguments."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from leaf.doctor import examine
from leaf.pipeline.run import run_recipe
from leaf.pipeline.workers import AnswerWorker
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe
from leaf.store.work import About
from tests.conftest import CHATML

DROPS = CHATML.replace("m['content']", "m['content'].replace('/think', '')")
"""Takes a switch out of the text, as templates of models that think do."""

THINKS = CHATML.replace(
    "assistant\n{% endif %}",
    "assistant\n{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n"
    "{% endif %}{% endif %}",
).replace(
    "{{ m['content'] }}",
    "{% if m['role'] == 'assistant' %}<think>\n\n</think>\n\n{% endif %}{{ m['content'] }}",
)


@pytest.fixture
def pair(cue_pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(cue_pair, tmp_path / "pair"))


def recipe_of(pair: Path, cue_pair: Path, template: str, **changes: Any) -> Recipe:
    for role in ("student", "teacher"):
        (pair / role / "chat_template.jinja").write_text(template)
    values = yaml.safe_load((pair / "recipe.yaml").read_text().replace(str(cue_pair), str(pair)))
    for name, section in changes.items():
        values[name] = {**values.get(name, {}), **section}
    return check_recipe(values, source="test")


def test_a_record_that_a_template_rewrites_is_left_out_counted_and_named(
    pair: Path, cue_pair: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It once stopped the whole run, for the sake of one text in thousands."""
    text = "Ada of the /think-tank has some red pens. How many pens are there?"
    odd = json.dumps({"question": text, "answer": "4", "solution": "4"}) + "\n"
    for name in ("train", "test"):
        with (pair / f"{name}.jsonl").open("a") as file:
            file.write(odd)
    tests = {"task": "table", "path": str(pair / "test.jsonl")}
    recipe = recipe_of(
        pair, cue_pair, DROPS, evaluate={"benchmarks": {"cue": tests}}, distill={"epochs": 1}
    )
    says = f"{pair / 'student'}: its chat template changes the message 'Ada of the /think-tank"
    found = [(finding.level, finding.text) for finding in examine(recipe)]
    warnings = [line for level, line in found if level == "warn" and "cannot be asked" in line]
    assert len(warnings) == 2
    assert warnings[0].startswith("training data: 1 of 9 problems cannot be asked, the first: ")
    assert says in warnings[0]
    assert not [line for level, line in found if level == "bad"]

    results = run_recipe(recipe, out=pair / "run")
    assert len(results.problems or ()) == 8
    (drop,) = [drop for drop in results.drops if drop.stage == "problems"]
    assert drop.problem_id == "train-9"
    assert drop.reason.startswith(says)
    assert "1 records of the training data are left out, the first: " in capsys.readouterr().err
    # A benchmark keeps the question: no arm can answer it, and that is counted.
    assert results.estimates
    for arm in results.estimates["cue"].values():
        assert (arm.n, arm.ungradable) == (5, 1)


def test_only_texts_that_cannot_be_shown_are_an_error(pair: Path, cue_pair: Path) -> None:
    odd = json.dumps({"question": "A /think-tank?", "answer": "4", "solution": "4"}) + "\n"
    (pair / "train.jsonl").write_text(odd)
    recipe = recipe_of(pair, cue_pair, DROPS)
    with pytest.raises(Exception, match=r"train-1: .*its chat template changes the message"):
        run_recipe(recipe, out=pair / "run", until="problems")
    assert [finding for finding in examine(recipe) if finding.level == "bad"]


def test_template_arguments_reach_answers_scores_and_rows(pair: Path, cue_pair: Path) -> None:
    argument = {"template": {"enable_thinking": False}}
    models = {
        role: {"model": str(pair / role), "dtype": "float32", **argument}
        for role in ("student", "teacher")
    }
    recipe = recipe_of(pair, cue_pair, THINKS, **models)
    assert not [found.text for found in examine(recipe) if "asks with" in found.text]
    results = run_recipe(recipe, out=pair / "run", until="attribute")
    answers, _ = results.student or ((), ())
    empty = "<think>\n\n</think>\n\n"
    plain = recipe_of(pair, cue_pair, THINKS)
    shown = {
        "student": [found.text for found in examine(plain) if "asks with" in found.text],
    }
    (line, other) = shown["student"]
    assert line.startswith("student: its chat template asks with '<|im_end|>\\n<|im_start|>assist")
    assert line.endswith("; with student.template: {enable_thinking: false} they are alike")
    assert other.startswith("teacher: ")
    without = run_recipe(plain, out=pair / "plain", until="answers")
    longer = answers[0].prompt_tokens - (without.student or ((), ()))[0][0].prompt_tokens
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(pair / "student")
    assert longer == len(tokenizer(empty)["input_ids"])


def test_one_model_that_thinks_beside_one_that_does_not_is_a_warning(
    pair: Path, cue_pair: Path
) -> None:
    own = {"template": {"enable_thinking": False}, "model": str(pair / "student")}
    recipe = recipe_of(pair, cue_pair, THINKS, student=own)
    (line,) = [found.text for found in examine(recipe) if "thinks before" in found.text]
    assert line.startswith("templates: the teacher thinks before it answers, and the student does")
    assert line.endswith("; with teacher.template: {enable_thinking: false} they are alike")


def test_an_argument_that_no_template_takes_stops_before_any_work(
    pair: Path, cue_pair: Path
) -> None:
    own = {"template": {"enable_thinkin": False}, "model": str(pair / "student")}
    recipe = recipe_of(pair, cue_pair, THINKS, student=own)
    bad = [found.text for found in examine(recipe) if found.level == "bad"]
    assert bad == [
        f"{pair / 'student'}: its chat template has no argument `enable_thinkin`; did you mean "
        "`enable_thinking`? it has: enable_thinking"
    ]
    with pytest.raises(Exception, match="enable_thinkin`; did you mean"):
        run_recipe(recipe, out=pair / "run", until="answers")


def test_arguments_name_answers_and_nothing_else_does(pair: Path, cue_pair: Path) -> None:
    """A store of before finds its answers: what has no arguments has the key that it had."""

    def settings(**template: Any) -> dict[str, Any]:
        own = {"template": template, "model": str(pair / "student")}
        recipe = recipe_of(pair, cue_pair, THINKS, student=own)
        source: Any = None
        worker = AnswerWorker(
            about=About(), section=recipe.student, source=source, generate=recipe.generate
        )
        return worker.settings([])

    assert "template" not in settings()
    assert settings(enable_thinking=True)["template"] == {"enable_thinking": True}
