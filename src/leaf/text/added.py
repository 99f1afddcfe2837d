"""What one text says and another does not: the truth of pairs with and without a distraction."""

import difflib
import re

from leaf.text.units import Piece, pieces

WORD = re.compile(r"\w+(?:[.,'’:/]\w+)*")
"""A word, or a number with its point or comma."""

_SHORTEST = 3
"""Words of the shortest piece that counts."""


def added(text: str, plain: str) -> list[Piece]:
    """Return what only `text` says, in text order: of one sentence each, three words or more.

    A piece begins with its first word and ends with its last. Words in the place of others count
    only where at most one was taken for them: what says the same in other words is not added.

    Args:
        text: The longer text.
        plain: The same without what was added, but for case.
    """
    found, kept = ([*WORD.finditer(each)] for each in (text, plain))
    ours, theirs = ([word[0].lower() for word in words] for words in (found, kept))
    matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    runs = [
        (first, last)
        for kind, first, last, came, went in matcher.get_opcodes()
        if kind in ("delete", "replace") and went - came <= 1
    ]
    sentences = pieces(text, "sentence")
    parts = (
        [word for word in found[slice(*run)] if start <= word.start() < end]
        for run in runs
        for start, end in sentences
    )
    return [(part[0].start(), part[-1].end()) for part in parts if len(part) >= _SHORTEST]
