"""Checks that relative links and images of Markdown files lead to a file and to a heading in it.

Run `.venv/bin/python tools/check_links.py`; with files as arguments only those are checked.
"""

import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cyclopts
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[1]
_OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:|//")
_HTML_TARGET = re.compile(r"""(?:src|srcset|href)=["']([^"']+)["']""")


def broken_links(file: Path) -> Iterator[str]:
    """Yield one line `file:line: ...` for each relative link that leads nowhere."""
    for line, target in _links(file):
        if _OUTSIDE.match(target):
            continue
        path, _, anchor = target.partition("#")
        place = (file.parent / path) if path else file
        if not place.exists():
            yield f"{file}:{line}: {target}: no such file"
        elif anchor and place.suffix == ".md" and anchor not in set(_anchors(place)):
            yield f"{file}:{line}: {target}: {place.name} has no such heading"


def main(*files: Path) -> None:
    """Check Markdown files; those of the root and of docs/ when none is named."""
    chosen = files or (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
    broken = [line for file in chosen for line in broken_links(file)]
    for line in broken:
        print(line, file=sys.stderr)
    print(f"{len(chosen)} files, {len(broken)} broken links")
    sys.exit(1 if broken else 0)


def _links(file: Path) -> Iterator[tuple[int, str]]:
    for block in _blocks(file):
        line = block.map[0] + 1 if block.map else 1
        for token in (block, *(block.children or ())):
            target = token.attrGet("href") or token.attrGet("src")
            if target is not None:
                yield line, str(target)
            elif token.type in {"html_block", "html_inline"}:
                yield from ((line, found) for found in _HTML_TARGET.findall(token.content))


def _anchors(file: Path) -> Iterator[str]:
    """Yield the anchors of a file's headings as GitHub forms them."""
    for opening, heading in pairwise(_blocks(file)):
        if opening.type == "heading_open":
            text = "".join(child.content for child in heading.children or ())
            yield re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def _blocks(file: Path) -> list[Token]:
    return MarkdownIt("gfm-like", {"linkify": False}).parse(file.read_text(encoding="utf-8"))


if __name__ == "__main__":
    cyclopts.run(main)
