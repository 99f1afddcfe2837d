from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.marks import ROOT


def test_docs_and_messages_have_the_glossarys_words(
    tool: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    checker = tool("check_words")
    page = tmp_path / "page.md"
    page.write_text("One.\nKilled work goes on where it was.\n")

    assert list(checker.odd_words(page)) == [f"{page}:2: 'goes on where it was': say 'resumes'"]
    assert [line for file in checker.files() for line in checker.odd_words(file)] == []


def test_pages_templates_scripts_and_recipes_are_read(tool: Callable[[str], ModuleType]) -> None:
    read = {file.relative_to(ROOT).as_posix() for file in tool("check_words").files()}
    assert read >= {
        "CONTRIBUTING.md",
        "docs/index.md",
        "examples/own_data.py",
        "src/leaf/distill/card.md",
        "src/leaf/recipe/shipped/demo.yaml",
        "src/leaf/report/templates/problem.js",
        "src/leaf/report/templates/report.html.j2",
        "src/leaf/report/page.py",
    }
    assert not read & {"CHANGELOG.md", "docs/experiments.md"}


def test_the_words_are_those_of_the_table(
    tool: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checker = tool("check_words")
    monkeypatch.setattr(checker, "ROOT", tmp_path)
    page = tmp_path / "CONTRIBUTING.md"
    row = "| in the end of the day | in the end |"
    page.write_text(f"| not | say |\n|---|---|\n{row}\n\nIn the end of the day, done.\n")

    assert checker.instead() == {"in the end of the day": "in the end"}
    # Line 3 is the table's own.
    assert list(checker.odd_words(page)) == [f"{page}:5: 'in the end of the day': say 'in the end'"]
