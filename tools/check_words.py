"""Checks that docs and messages have the glossary's words (CONTRIBUTING.md, "Words").

Run `.venv/bin/python tools/check_words.py`; the pages that tell what was are not looked at.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSTEAD = {
    "number of no concern": "irrelevant number",
    "goes on where it was": "resumes",
    "passes the tests": "runs the tests",
    "left no process behind": "leaked no process",
}
"""What is not said, and what is said instead."""
_TOLD = {"experiments.md", "CHANGELOG.md"}


def odd_words(file: Path) -> Iterator[str]:
    """Yield one line `file:line: ...` for each phrase that has a better word."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        for phrase, better in INSTEAD.items():
            if phrase in line.lower():
                yield f"{file}:{number}: {phrase!r}: say {better!r}"


def files() -> list[Path]:
    """Return the pages and sources whose words people read."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.j2")]
    return [file for file in (*pages, *sources) if file.name not in _TOLD]


if __name__ == "__main__":
    found = [line for file in files() for line in odd_words(file)]
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    sys.exit(1 if found else 0)
