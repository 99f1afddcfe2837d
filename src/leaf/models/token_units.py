"""Units of a text that is tokenised: tokens, and several where they share a character."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """A token of the question, or several that share a character."""

    start: int
    """First character in the question."""
    end: int
    """One past its last character in the question."""
    tokens: tuple[int, ...]
    """Positions in the prompt's token ids."""


def units_between(offsets: Sequence[tuple[int, int]], text: str, low: int, high: int) -> list[Unit]:
    """Tile the characters `low:high` of a text with units of tokens.

    A token that reaches over a border belongs to the template and takes its characters with it.
    Spaces that no token reports (some tokenizers trim) go to the unit after them; other such
    characters were composed with the one before them (an accent with its letter) and stay there.

        text      > T o m _ _ h a s _ 3 <       low = 1, high = 11
        tokens    0 1 1 1     2 2 2 3 4 5       token 2 was trimmed
        units       1 1 1 2 2 2 2 2 3 4
    """
    groups = _sharing(offsets)
    borders = [*(start for start, _, _ in groups), len(text)][1:]
    spans = [
        (start, _end_of_word(text, end, border), tokens)
        for (start, end, tokens), border in zip(groups, borders, strict=True)
    ]
    for start, end, _ in spans:
        if start < low < end:
            low = min(end, high)
        if start < high < end:
            high = max(start, low)
    inside = [span for span in spans if low <= span[0] and span[1] <= high]
    if not inside:
        return []
    # Each begins where the one before it ends, so that nothing is between them.
    places = itertools.pairwise([low, *(end for _, end, _ in inside[:-1]), high])
    return [
        Unit(start=start, end=end, tokens=tokens)
        for (start, end), (_, _, tokens) in zip(places, inside, strict=True)
    ]


def _sharing(offsets: Sequence[tuple[int, int]]) -> list[tuple[int, int, tuple[int, ...]]]:
    """Join tokens that share a character: first character, one past the last, tokens."""
    groups: list[tuple[int, int, tuple[int, ...]]] = []
    for token, (start, end) in enumerate(offsets):
        if end <= start:
            continue
        if groups and start < groups[-1][1]:
            first, last, tokens = groups.pop()
            groups.append((min(first, start), max(last, end), (*tokens, token)))
        else:
            groups.append((start, end, (token,)))
    return groups


def _end_of_word(text: str, start: int, border: int) -> int:
    """Return where the characters before the next space, or the border, end."""
    while start < border and not text[start].isspace():
        start += 1
    return start
