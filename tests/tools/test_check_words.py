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


@pytest.mark.parametrize(
    "text",
    [
        "It goes on\nwhere it was.",
        "    # It goes on where\n    # it was.",
        'say("it goes on "\n    f"where it was")',
        "> it Goes on where it\n> was",
    ],
)
def test_a_phrase_over_two_lines_is_found(
    tool: Callable[[str], ModuleType], tmp_path: Path, text: str
) -> None:
    page = tmp_path / "page.py"
    page.write_text(f"One.\n{text}\n")
    (line,) = tool("check_words").odd_words(page)
    assert line == f"{page}:2: 'goes on where it was': say 'resumes'"


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
        "results/README.md",
        "tools/check_words.py",
        "benchmarks/effect.py",
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
