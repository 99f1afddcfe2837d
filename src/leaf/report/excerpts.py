"""A changed question in short: what went, what came, and a few words around it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leaf.records import BETWEEN, Span
from leaf.report.plain import TEXT_LIMIT
from leaf.store.ledger import Variant

CONTEXT = 70
"""Characters shown on each side of a change."""


_LEAST = 40
"""Characters that leaving out must save."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A stretch of a changed question: as it was, removed from it, or inserted."""

    text: str | None
    """None stands for text that is left out here."""
    removed: bool = False
    inserted: bool = False


def excerpt(question: str, cut: Variant) -> list[Piece]:
    """Return each change of `question` and `CONTEXT` characters around it."""
    return list(_pieces(question, cut.spans, _inserted(question, cut)))


def _inserted(question: str, cut: Variant) -> list[str]:
    """Return what came in after each span, read off the question: with the spaces that came along.

    Of texts put in together, each is as long as it says: it has its spaces.
    """
    if not cut.inserted:
        return [""] * len(cut.spans)
    if len(cut.spans) > 1:
        return cut.inserted.split(BETWEEN)
    (span,) = cut.spans
    return [cut.question[span.start : len(cut.question) - (len(question) - span.end)]]


def _pieces(question: str, spans: Sequence[Span], inserted: Sequence[str]) -> Iterator[Piece]:
    """Yield the pieces in order; what came in follows its span."""
    place = 0
    for span, text in zip(spans, inserted, strict=True):
        yield from _context(question[place : span.start], first=place == 0)
        if span.start < span.end:
            yield Piece(text=question[span.start : span.end][:TEXT_LIMIT], removed=True)
        if text:
            yield Piece(text=text[:TEXT_LIMIT], inserted=True)
        place = span.end
    rest = question[place:]
    yield Piece(text=_head(rest))
    if len(rest) >= CONTEXT + _LEAST:
        yield Piece(text=None)


def _context(text: str, *, first: bool) -> Iterator[Piece]:
    if len(text) < (CONTEXT if first else 2 * CONTEXT) + _LEAST:
        yield Piece(text=text)
        return
    if not first:
        yield Piece(text=_head(text))
    yield Piece(text=None)
    yield Piece(text=_head(text[::-1])[::-1])


def _head(text: str) -> str:
    """Return `CONTEXT` characters where that saves some, to the end of a word if one is near."""
    if len(text) < CONTEXT + _LEAST:
        return text
    words = text[:CONTEXT].rpartition(" ")[0]
    return words if len(words) > CONTEXT // 2 else text[:CONTEXT]
