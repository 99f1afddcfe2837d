"""`leaf explain` of a prompt of one's own works as a run of the same recipe would."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from leaf.api import look as api_look
from tests.command_line import leaf

MODELS = "package:playground/models/"

QUESTION = "At first Gina has 2 shells. The room has 3 chairs. How many shells does Gina have now?"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command hands to `leaf.explain`; nothing is computed."""
    found: dict[str, Any] = {}

    class Shown:
        to_html = None

        def verify(self) -> None:
            pass

        def as_json(self) -> dict[str, Any]:
            return {}

    def explain(student: Any, teacher: Any, question: str, reference: str, **how: Any) -> Shown:
        recipe = how["recipe"]
        found.update(how, student=student, teacher=teacher)
        if recipe is not None:
            settings = api_look._settings(
                student, teacher, how["detector"], how["unit"], how["max_new_tokens"], {}, recipe
            )
            found.update(settings=settings)
        return Shown()

    monkeypatch.setattr(api_look, "explain", explain)
    return found


def written(folder: Path, **sections: Any) -> Path:
    values = {
        "name": "own",
        "student": {"model": f"{MODELS}student", "system": "Be brief."},
        "teacher": {"model": f"{MODELS}teacher", "system": "Think."},
        "data": {"task": "table", "grader": {"close": {"relative": 0.25}}, "before": "See: "},
        "attribute": {"detector": "perplexity", "controls": []},
        "prune": {"units": ["clause"], "strategy": ["span"], "threshold": 0.07},
        "generate": {"max_new_tokens": 17},
        "evaluate": {"benchmarks": {}},
        **sections,
    }
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def explained(recipe: Path, *words: str) -> None:
    more = ("--question", QUESTION, "--reference", "2 + 0 = 2", "--json")
    done = leaf("explain", "--recipe", recipe, *more, *words)
    assert done.code == 0, done.err


def test_a_recipe_decides_what_is_not_said(tmp_path: Path, seen: dict[str, Any]) -> None:
    explained(written(tmp_path))
    assert (seen["student"].system, seen["teacher"].system) == ("Be brief.", "Think.")
    assert seen["grader"] is None  # then `leaf.explain` takes the recipe's
    assert seen["recipe"].data.before == "See: "
    settings = seen["settings"]
    assert settings.attribute.detector == "perplexity"
    assert settings.prune.units == ["clause"]
    assert settings.prune.threshold == 0.07
    assert settings.generate.max_new_tokens == 17


def test_what_is_said_goes_before_the_recipe(tmp_path: Path, seen: dict[str, Any]) -> None:
    said = ("--detector", "ablation", "--unit", "sentence", "--grader", "math", "--system", "Hm.")
    explained(written(tmp_path), *said)
    assert (seen["student"].system, seen["teacher"].system) == ("Hm.", "Hm.")
    assert seen["grader"] == "math"
    assert seen["settings"].attribute.detector == "ablation"
    assert seen["settings"].prune.units == ["sentence"]


def test_a_recipe_without_a_teacher_asks_none(tmp_path: Path, seen: dict[str, Any]) -> None:
    explained(written(tmp_path, teacher="self"))
    assert seen["teacher"] is None
    explained(written(tmp_path, teacher="self"), "--teacher", f"{MODELS}teacher")
    assert seen["teacher"].name == f"{MODELS}teacher"


def test_a_model_s_adapter_is_put_on_as_in_a_run(tmp_path: Path, seen: dict[str, Any]) -> None:
    adapter = tmp_path / "no-adapter"
    student = {"model": f"{MODELS}student", "adapter": str(adapter)}
    recipe = written(tmp_path, student=student)
    words = ("--question", QUESTION, "--reference", "2", "--json")
    done = leaf("explain", "--recipe", recipe, *words)
    assert done.code == 2
    assert str(adapter) in done.err
    # Another model is another one, without it.
    explained(recipe, "--student", f"{MODELS}teacher")


def test_a_model_is_spread_as_in_a_run(tmp_path: Path, seen: dict[str, Any]) -> None:
    student = {"model": f"{MODELS}student", "device_map": {"model": "cpu"}}
    recipe = written(tmp_path, student=student)
    words = ("--question", QUESTION, "--reference", "2", "--json")
    done = leaf("explain", "--recipe", recipe, *words)
    assert done.code == 2
    assert "device_map leaves out lm_head.weight" in done.err
    # Another model is another one, with other modules.
    explained(recipe, "--student", f"{MODELS}teacher")


def test_what_would_count_for_nothing_is_refused() -> None:
    words = ("--student", f"{MODELS}student", "--question", QUESTION, "--reference", "2")
    done = leaf("explain", *words, "--set", "student.system=Be brief.")
    assert done.code != 0
    assert "--set student.system=Be brief.: counts for nothing without --recipe" in done.err
