"""Where words, phrases, clauses, sentences and paragraphs end, and the pieces that lie between.

docs/clauses.md shows each kind by examples, and what they catch.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

from leaf.records import Span

UnitName = Literal["token", "word", "phrase", "clause", "sentence", "paragraph"]

UNITS: tuple[UnitName, ...] = get_args(UnitName)
"""What may be ranked and cut whole, from narrow to wide; a token is the tokenizer's."""

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
    "paragraph": re.compile(r"\n[^\S\n]*\n\s*"),
}
"""What separates words, and what ends clauses, sentences and paragraphs."""

_LINES = re.compile(r"\n+")
"""What ends a paragraph in a text without blank lines."""

_OPENERS = (
    r"(?:(?:in|on|at|of|for|from|by|with|during|after) )?(?:which|whom)|who|whose|where",
    r"that (?:is|are|was|were|has|have|had|can|could|will|would)",
    r"when|while|whilst|after|before|once|until|unless|if|because|since|although|though|during",
    r"as(?! (?:much|many|few|little|well|long|far|soon|often)\b)|so that",
    r"and|but|with|without",
    r"(?<!ing\s)(?:in|at|on|under) an?",
    r"(?:(?:each|now|initially|originally|currently) )?(?!during|\w*thing)[a-z]{2,}ing(?= \w)",
)
"""What opens a phrase in English: relative words, conjunctions, a few prepositions, participles."""

_LEANS = re.findall(
    r"\w+",
    """am is are was were be been being a an the this these that those his her its their my our your
    and but or nor not no by of for to from in on at with without into about like than as so each
    now initially originally currently just only even when while after before if until during
    because since though go goes went going keep keeps kept start starts started stop stops stopped
    begin begins began""",
)
"""Words that what follows belongs to, so that no phrase begins after one."""

_OPENS = re.compile(
    # Of `as many pens as Ben` no part is a phrase.
    r"(?P<whole>\bas (?:many|much|few|little|well|long|far|soon|often)\b(?: \w+){0,4}? as\b)"
    + rf"|(?=\s(?:{'|'.join(_OPENERS)})\b)(?<!'s)(?<![-–—])"
    + "".join(rf"(?<!\b{word})" for word in _LEANS)
    # A parenthesis of several words is one phrase.
    + r"|(?=\s\(\w[^()\s]*\s[^()]*\))|\s\(\w[^()\s]*\s[^()]*\)"
    # A dash, but not the minus of 5 - 3.
    + r"|(?=\s(?:--?|[–—])\s(?![0-9$]))|(?<=\w)(?=—)"
)
"""What a phrase ends at besides a clause's end."""

Piece = tuple[int, int]
"""First character and one past the last."""


def ends(text: str, unit: str) -> list[int]:
    """Return where pieces of a text end, in order; the space that parts them may come before.

    Args:
        text: Any.
        unit: `word`, `phrase`, `clause`, `sentence` or `paragraph`.
    """
    return [found.end() for found in _borders(text, unit)]


def pieces(text: str, unit: str) -> list[Piece]:
    """Tile a text with its words, phrases, clauses, sentences or paragraphs.

    The space before a piece belongs to it, as tokenizers have it; the last piece takes what space
    follows. A text of space alone has no piece.
    """
    places = [found.end() - _space_at_end(found[0]) for found in _borders(text, unit)]
    found: list[Piece] = []
    start = 0
    for end in (*places, len(text)):
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


def remove(question: str, spans: Sequence[Span]) -> str:
    """Return a question without the characters of the spans, which must not overlap."""
    # Right to left, so that earlier offsets stay valid.
    for span in sorted(spans, key=lambda span: span.start, reverse=True):
        question = question[: span.start] + question[span.end :]
    return question


def _borders(text: str, unit: str) -> list[re.Match[str]]:
    """Return what ends pieces, in order."""
    if unit == "phrase":
        found = [*_phrase_borders(text), *_borders(text, "clause")]
        return sorted(found, key=re.Match.end)
    found = list(BORDERS[unit].finditer(text))
    return found or list(_LINES.finditer(text)) if unit == "paragraph" else found


def _phrase_borders(text: str) -> Iterator[re.Match[str]]:
    """Yield what ends phrases within clauses: each has two words, none is in what asks."""
    for start, end in pieces(text, "clause"):
        if not may_go(text[start:end]):
            continue
        last = start
        for found in _OPENS.finditer(text, start, end):
            at = found.end()
            if not found["whole"] and _is_long(text[last:at]) and _is_long(text[at:end]):
                last = at
                yield found


def _is_long(text: str) -> bool:
    """Whether a text has two words."""
    return len(text.split(maxsplit=2)) > 1


def _space_at_end(border: str) -> int:
    return len(border) - len(border.rstrip())
