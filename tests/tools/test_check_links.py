from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def checker(tool: Callable[[str], ModuleType]) -> Any:
    return tool("check_links")


def test_links_to_files_headings_and_the_web_pass(checker: Any, tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# One & `two`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Top\n[a](other.md) [b](other.md#one--two) [c](#top) [d](https://example.org/x)\n"
        "```\n[not a link](nowhere.md)\n```\n"
    )

    assert list(checker.broken_links(page)) == []


def test_a_missing_file_is_named_with_its_line(checker: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Top\n\ntext\n\nsee [a](gone.md)\n")

    assert list(checker.broken_links(page)) == [f"{page}:5: gone.md: no such file"]


def test_missing_images_and_headings_are_found(checker: Any, tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# Here\n")
    page = tmp_path / "page.md"
    page.write_text('![p](a.png)\n\n<img src="b.png">\n\n[x](other.md#there)\n')

    assert list(checker.broken_links(page)) == [
        f"{page}:1: a.png: no such file",
        f"{page}:3: b.png: no such file",
        f"{page}:5: other.md#there: other.md has no such heading",
    ]
