from collections.abc import Callable
from pathlib import Path
from types import ModuleType


def test_docs_and_messages_have_the_glossarys_words(
    tool: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    checker = tool("check_words")
    page = tmp_path / "page.md"
    page.write_text("One.\nKilled work goes on where it was.\n")

    assert list(checker.odd_words(page)) == [f"{page}:2: 'goes on where it was': say 'resumes'"]
    assert [line for file in checker.files() for line in checker.odd_words(file)] == []
