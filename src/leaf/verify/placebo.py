"""Placebos: pieces as large as a cut, elsewhere in its question, that nobody suspects."""

import random
from collections.abc import Callable, Iterator, Sequence

from leaf.records import Counterfactual, Problem, Span
from leaf.text.units import Piece, may_go, pieces

SIZES = (0.5, 2.0)
"""How long a placebo may be, as a share of its cut's characters."""

_ALIKE = 0.8
"""Share of characters in common from which a cut is a piece of a unit: tokens may reach over."""

ONE_SPAN = "placebos are drawn for cuts of one span alone"
TOO_SHORT = "the question is too short: nothing as large as the cut is left"
FEWER = "fewer placebos than asked for: no more pieces as large as the cut are left"


def placebos(
    problem: Problem,
    cut: Counterfactual,
    count: int,
    *,
    units: Sequence[str],
    tokens: Sequence[Piece],
    refused: Callable[[Span], object],
    seed: int,
) -> tuple[list[Counterfactual], str]:
    """Return at most `count` placebos of a cut, and why there are fewer ("" where there are not).

    Each is a piece of the cut's unit with half to twice its characters; where there are not enough,
    a run of words of about its length. None overlaps the cut, another placebo, what asks, or what
    must never be cut.

    Args:
        problem: Whose question was cut.
        cut: What was cut: one span, and nothing in its place.
        count: How many placebos.
        units: What was ranked, `prune.units`.
        tokens: The question's tokens, where `token` is among these.
        refused: Whether a guard refuses a span, as it would a cut.
        seed: Of the draw, which depends on the problem and the cut's place besides.
    """
    if cut.strategy != "span" or len(cut.spans) != 1:
        return [], ONE_SPAN
    span = cut.spans[0]
    unit = unit_of(problem.question, span, units)
    rng = random.Random(f"{seed}/{problem.id}/{span.start}:{span.end}")
    taken = [(span.start, span.end), *asking(problem)]
    drawn: list[Span] = []
    for tiles, one in _pools(problem.question, unit, tokens):
        pool = list(_alike(problem.question, tiles, span, one=one))
        rng.shuffle(pool)
        for piece in pool:
            if len(drawn) < count and not refused(piece) and not _overlaps(piece, taken):
                drawn.append(piece)
                taken.append((piece.start, piece.end))
    made = [_placebo(problem, cut, number, piece) for number, piece in enumerate(drawn)]
    return made, "" if len(made) == count else FEWER if made else TOO_SHORT


def unit_of(question: str, span: Span, units: Sequence[str]) -> str:
    """Return the widest of `units` of which a span is one piece, else `token` or `word`."""
    for unit in ("paragraph", "sentence", "clause", "phrase"):
        if unit in units and any(_is_piece(span, one) for one in pieces(question, unit)):
            return unit
    return "token" if "token" in units else "word"


def asking(problem: Problem) -> list[Piece]:
    """Return the clauses that ask: with a question mark, else the last sentence.

    A response asks nothing.
    """
    if problem.prompt:
        return []
    clauses = pieces(problem.question, "clause")
    asks = [one for one in clauses if not may_go(problem.question[slice(*one)])]
    return asks or pieces(problem.question, "sentence")[-1:]


def _pools(
    question: str, unit: str, tokens: Sequence[Piece]
) -> Iterator[tuple[Sequence[Piece], bool]]:
    """Yield what placebos are made of, and whether each tile is one by itself."""
    if unit == "token":
        yield tokens, False
    elif unit != "word":
        yield pieces(question, unit), True
    yield pieces(question, "word"), False


def _alike(question: str, tiles: Sequence[Piece], span: Span, *, one: bool) -> Iterator[Span]:
    """Yield tiles, or runs of neighbouring ones, of about a span's length."""
    size = len(span.text.strip())
    for first in range(len(tiles)):
        runs = [
            Span(
                start=tiles[first][0],
                end=tiles[last][1],
                text=question[tiles[first][0] : tiles[last][1]],
                gap=1.0,
                units=last + 1 - first,
            )
            for last in range(first, first + 1 if one else _last(tiles, first, 2 * size))
        ]
        nearest = min(runs, key=lambda run: abs(len(run.text.strip()) - size))
        if SIZES[0] * size <= len(nearest.text.strip()) <= SIZES[1] * size:
            yield nearest


def _last(tiles: Sequence[Piece], first: int, most: int) -> int:
    """Return one past the last tile of the longest run that is worth a look."""
    last = first + 1
    while last < len(tiles) and tiles[last][1] - tiles[first][0] <= most + 1:
        last += 1
    return last


def _is_piece(span: Span, piece: Piece) -> bool:
    both = min(span.end, piece[1]) - max(span.start, piece[0])
    return both >= _ALIKE * (max(span.end, piece[1]) - min(span.start, piece[0]))


def _overlaps(span: Span, taken: Sequence[Piece]) -> bool:
    return any(max(span.start, start) < min(span.end, end) for start, end in taken)


def _placebo(problem: Problem, cut: Counterfactual, number: int, span: Span) -> Counterfactual:
    return Counterfactual(
        id=f"{cut.id}/pl{number}",
        problem_id=problem.id,
        strategy="placebo",
        spans=(span,),
        question=problem.question[: span.start] + problem.question[span.end :],
        donor=cut.id,
    )
