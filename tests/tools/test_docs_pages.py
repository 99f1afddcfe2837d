"""The parts of the docs site that are made from the code."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from leaf.recipe.reading import describe, load_recipe
from leaf.study.studies import STUDIES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def pages(tool: Callable[[str], ModuleType]) -> Any:
    tool("docs_keys")  # MkDocs puts its folder on the path; here it is loaded first
    return tool("docs_pages")


def page(name: str) -> Any:
    return SimpleNamespace(file=SimpleNamespace(src_uri=name))


def test_every_key_of_a_recipe_has_its_row(pages: Any) -> None:
    text = pages.recipe_keys()
    written = set(re.findall(r"^(?:\| `|#+ )([a-zA-Z_.]+)", text, re.MULTILINE))

    # What the teacher and a benchmark share with others is written once.
    shown = {key for key, _, _ in describe(load_recipe("demo"))}
    shown = {re.sub(r"^teacher\.", "student.", key) for key in shown}
    shown = {re.sub(r"^evaluate\.benchmarks\.\w+\.", "data.", key) for key in shown}
    own = {"samples", "pass_at", "temperature", "max_new_tokens", "against", "majority"}
    shown -= {f"data.{name}" for name in own}
    shown |= {f"evaluate.benchmarks.NAME.{name}" for name in own}

    assert shown - written == set()


def test_a_key_has_its_limits_default_and_meaning(pages: Any) -> None:
    assert (
        "| `distill.lambda` | number, at least 0, at most 1 or `rows`, `add` | `0.5` | "
        "weight of the originals, the rest is the changed questions'; rows:"
    ) in pages.recipe_keys()
    assert (
        "| `distill.top_k` | whole number, at least 1 | `64` | "
        "topk, served: tokens kept a position |"
    ) in pages.recipe_keys()


def test_names_and_empty_values_of_a_key_are_listed(pages: Any) -> None:
    row = next(
        line for line in pages.recipe_keys().splitlines() if line.startswith("| `student.engine`")
    )

    assert row.split(" | ")[1:3] == ["`hf`, `vllm`, `llamacpp`, `openai` or `null`", "`null`"]


def test_every_option_of_a_detector_has_its_row(pages: Any) -> None:
    assert (
        "| `attribute.ablation.unit` | `token`, `word`, `phrase`, `clause`, `sentence`, "
        "`paragraph` or `null` | `null` | what is taken away at a time; null: each of prune.units "
        "that is a phrase, clause, sentence or paragraph (none is: sentences) |"
    ) in pages.recipe_keys()
    assert "| `gradient` | Teacher minus student sensitivity" in pages.detectors()


def test_every_command_and_study_is_there(pages: Any) -> None:
    from leaf.cli.main import app

    headings = set(re.findall(r"^#+ (leaf .+)$", pages.commands(), re.MULTILINE))
    commands = {f"leaf {name}" for name in app if not name.startswith("-")}

    assert commands <= headings
    assert {f"leaf study {name}" for name in STUDIES} <= headings
    assert all(f"`leaf study {name}`" in pages.studies() for name in STUDIES)


def test_every_name_on_the_page_of_the_method_has_its_source(pages: Any) -> None:
    text = pages.functions()
    name = "leaf.attribute.ranking.sensitivity_gap"

    assert f"## `{name}` {{#{name.replace('.', '-')}}}" in text
    assert "\ndef sensitivity_gap(" in text
    for name in set(re.findall(r"`(leaf(?:\.\w+)+)`", (ROOT / "docs/method.md").read_text())):
        assert pages.resolve(name) is not None, name


def test_a_name_that_is_gone_is_told(pages: Any, caplog: pytest.LogCaptureFixture) -> None:
    pages.on_page_markdown("see `leaf.prune.gone` and `leaf.prune.remove`", page=page("x.md"))

    assert [record.getMessage() for record in caplog.records] == [
        "x.md: `leaf.prune.gone` is not in the code"
    ]


def test_a_bar_in_a_meaning_ends_no_cell(pages: Any) -> None:
    assert pages._table(("a",), [("x|y",)]).splitlines()[-1] == "| x\\|y |"


def test_a_page_names_only_parts_that_there_are(pages: Any) -> None:
    marks = {
        mark
        for path in (ROOT / "docs").glob("*.md")
        for mark in re.findall(r"^<!-- leaf: ([a-z-]+) -->$", path.read_text(), re.MULTILINE)
    }

    assert marks == set(pages.PARTS)
