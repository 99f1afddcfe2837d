"""Where a text's words, clauses and sentences end, and the pieces that lie between."""

import re

_NO_TITLE = r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)"
"""The point of these ends no sentence."""

_CLOSING = r"[\"'”’)\]」』）]*"
"""What closes after a sign and belongs to its piece."""

BORDERS = {
    "word": re.compile(r"\s+"),
    # Not the point of 3.5, nor the comma of 1,000; `...` and `?!` are one border, not several.
    # The signs of Chinese and Japanese end one whatever follows: no number has them inside.
    "clause": re.compile(rf"(?:{_NO_TITLE}[,;:.!?؟…]++(?![0-9])|[。！？]++){_CLOSING}|\n+"),
    "sentence": re.compile(rf"(?:{_NO_TITLE}[.!?؟…]++(?![0-9])|[。！？]++){_CLOSING}|\n+"),
}
"""What separates words, and what ends clauses and sentences."""

Piece = tuple[int, int]
"""First character and one past the last."""


def pieces(text: str, unit: str) -> list[Piece]:
    """Tile a text with its words, clauses or sentences, a key of `BORDERS`.

    The space before a piece belongs to it, as tokenizers have it; the last piece takes what space
    follows. A text of space alone has no piece.
    """
    ends = [found.end() - _space_at_end(found[0]) for found in BORDERS[unit].finditer(text)]
    found: list[Piece] = []
    start = 0
    for end in (*ends, len(text)):
        if text[start:end].strip():
            found.append((start, end))
            start = end
    if found:
        found[-1] = (found[-1][0], len(text))
    return found


def may_go(piece: str) -> bool:
    """Whether a piece can be taken away: it is more than space, and does not ask."""
    # Without the piece that asks there is no question.
    return bool(piece.strip()) and not any(mark in piece for mark in "?？؟")


def without(text: str, piece: Piece) -> str:
    """Return a text without a piece; the space that then stands first goes too."""
    start, end = piece
    rest = text[:start] + text[end:]
    return rest if text[:start].strip() else rest.lstrip()


def _space_at_end(border: str) -> int:
    return len(border) - len(border.rstrip())
