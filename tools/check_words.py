"""Checks that docs and messages have the glossary's words (CONTRIBUTING.md, "Words").

What is not said, and what is said instead, stands in the table `not | say` there. Run
`.venv/bin/python tools/check_words.py`; the pages that tell what was are not looked at.
"""

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_TOLD = {"experiments.md", "CHANGELOG.md"}
_READ = {".py", ".j2", ".js", ".html", ".md", ".yaml"}
_GAP = r"""(?:\s|["'#>*]|\bf(?=["']))+"""
"""Between two words: also a new line, where a comment, a quotation or a text goes on."""

_ROW = re.compile(r"\| (.+?) \| (.+?) \|")


@cache
def instead() -> dict[str, str]:
    """Return what is not said, and what is said instead."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("| not | say |\n|---|---|\n")[2].partition("\n\n")[0]
    return dict(_ROW.findall(table))


def odd_words(file: Path) -> Iterator[str]:
    """Yield one line `file:line: ...` for each phrase that has a better word."""
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = []
    for phrase, better in instead().items():
        for match in re.finditer(_GAP.join(map(re.escape, phrase.split())), text, re.IGNORECASE):
            number = text.count("\n", 0, match.start()) + 1
            # The table itself has to say it.
            if lines[number - 1] != f"| {phrase} | {better} |":
                found.append((number, f"{file}:{number}: {phrase!r}: say {better!r}"))
    yield from (line for _, line in sorted(found))


def files() -> list[Path]:
    """Return the pages and sources whose words people read."""
    pages = [file for part in (".", "docs", "results") for file in (ROOT / part).glob("*.md")]
    parts = ("src", "examples", "tools", "benchmarks")
    sources = [file for part in parts for file in (ROOT / part).rglob("*")]
    read = [*pages, *(file for file in sources if file.suffix in _READ)]
    return [file for file in read if file.name not in _TOLD]


if __name__ == "__main__":
    found = [line for file in files() for line in odd_words(file)]
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    sys.exit(1 if found else 0)
