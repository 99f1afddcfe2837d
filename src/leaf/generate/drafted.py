"""What an answer may go on with: guesses that one pass checks, many tokens at a time.

A draft proposes the next tokens; one pass gives the model's own choice after each of them. What
agrees is kept at once, the first difference is replaced by the model's choice, and the draft goes
on where it meets the text again. No token is kept that the model would not choose by itself.
"""

from bisect import bisect_left
from collections.abc import Sequence

import torch

_RUNS = (4, 3, 2)
"""How many last tokens must be found in a draft for it to go on behind them; longest first."""

_TRUST = 8
"""A draft's first tokens are trusted as if so many had agreed before."""

_WIDEST = 32
"""Most tokens proposed for one row in one pass."""

_PASS_COST = {"cpu": 24.0}
"""What a pass costs beside its tokens, counted in tokens: Qwen2.5 0.5B in bfloat16 on one core."""

_ACCELERATOR_PASS_COST = 512.0
"""The same where a pass waits for memory and launches, and tokens cost next to nothing."""


class Draft:
    """A likely answer, and where in it the answer that is being written has come.

    Where the text has left the draft, and nothing in the draft meets it again, the text itself
    serves as one: answers repeat themselves.
    """

    def __init__(self, tokens: Sequence[int]) -> None:
        self.agreements = _TRUST
        """Tokens in a row that the source foretold."""
        self._draft = _Index(tokens)
        self._text = _Index(())
        """The answer so far."""
        self._source = self._draft
        """What is followed: the draft, or the text."""
        self._next = 0
        """Place of the next token there."""
        self._left = 0
        """Where the draft was left."""

    def propose(self, count: int) -> list[int]:
        """Return up to `count` tokens that may come next."""
        return self._source.tokens[self._next : self._next + count]

    def follow(self, tokens: Sequence[int]) -> None:
        """Take in what the answer really went on with."""
        for token in tokens:
            expected = self.propose(1) == [token]
            self._text.append(token)
            if expected:
                self._next += 1
                self.agreements += 1
            else:
                self._meet()

    def _meet(self) -> None:
        """Go on where the draft, else the text itself, has the last tokens of the text."""
        if self._source is self._draft:
            # One token replaced another: what to suppose where nothing is found.
            self._left = min(self._next + 1, len(self._draft.tokens))
        places = (
            (source, place + size, size)
            for source in (self._draft, self._text)
            for size in _RUNS
            if (place := self._place(source, size)) is not None
        )
        beside = (self._draft, self._left, 0)
        self._source, self._next, self.agreements = next(places, beside)

    def _place(self, source: "_Index", size: int) -> int | None:
        """Return where a source has the text's last `size` tokens; None: nowhere."""
        if source is self._text:
            return source.before_last(size)
        return source.nearest(self._text.last(size), self._left - size)


class _Index:
    """Tokens, and where each run of a few of them stands."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self.tokens: list[int] = []
        self._places: dict[tuple[int, ...], list[int]] = {}
        for token in tokens:
            self.append(token)

    def append(self, token: int) -> None:
        """Add a token at the end."""
        self.tokens.append(token)
        for size in _RUNS:
            if len(self.tokens) >= size:
                self._places.setdefault(self.last(size), []).append(len(self.tokens) - size)

    def last(self, size: int) -> tuple[int, ...]:
        """Return the last tokens, fewer where there are not so many."""
        return tuple(self.tokens[-size:])

    def nearest(self, run: tuple[int, ...], to: int) -> int | None:
        """Return where a run stands nearest to a place, of two the earlier; None: nowhere."""
        places = self._places.get(run, [])
        at = bisect_left(places, to)
        return min(places[max(at - 1, 0) : at + 1], key=lambda place: abs(place - to), default=None)

    def before_last(self, size: int) -> int | None:
        """Return where the last tokens stood before, the latest place; None: nowhere."""
        places = self._places.get(self.last(size), [])
        return places[-2] if len(places) > 1 else None


def draft_length(agreements: int, rows: int, device: torch.device) -> int:
    """Return how many tokens to propose: the more the longer draft and text have agreed.

    After m agreements in a row the chance that j more follow is (m + 1) / (m + j + 1), by Laplace's
    rule of succession; j = c (m + 1) makes it 1 / (1 + c). Few rows share the price of a pass, so
    that a wrong proposal costs them little beside it; many rows pay for tokens alone. On 34
    recorded answers (Qwen2.5 0.5B, one core) about c = 2, 0.6, 0.5 and 0.4 were best for 1, 8, 16
    and 34 rows; drafts then saved 59, 40, 34 and 17% of the work.
    """
    pass_cost = _PASS_COST.get(device.type, _ACCELERATOR_PASS_COST)
    return min(int((1 + pass_cost / (3 * rows)) / 3 * (agreements + 1)), _WIDEST)
