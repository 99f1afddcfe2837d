"""Greedy decoding that checks a likely answer, many tokens in one pass, and says the same text.

A draft proposes the next tokens; one pass gives the model's own choice after each of them. What
agrees is said at once, the first difference is replaced by the model's choice, and the draft goes
on where it meets the text again. Nothing is said that the model would not say by itself.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from leaf.heads import Head
from leaf.prefix import Rows, feed_shared
from leaf.protocols import Effort

_CHUNK = 256
"""Positions whose logits exist at the same time."""

_MEETING = (4, 3, 2)
"""How many last tokens must be found in a draft for it to go on behind them; longest first."""

_BEGINNING = 8
"""A draft's first tokens are trusted as if so many had agreed before."""

_WIDEST = 32
"""Most tokens proposed for one row in one pass."""

_PASS_COST = {"cpu": 24.0}
"""What a pass costs beside its tokens, counted in tokens: Qwen2.5 0.5B in bfloat16 on one core."""

_ACCELERATOR_PASS_COST = 512.0
"""The same where a pass waits for memory and launches, and tokens cost next to nothing."""


class Draft:
    """A likely answer, and where in it the answer that is being said has come.

    Where the text has left the draft, and nothing in the draft meets it again, what was said before
    serves as one: answers repeat themselves.
    """

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = list(tokens)
        self._said: list[int] = []
        self._source = self._tokens
        """What is followed: the draft, or what was said."""
        self._next = 0
        """Place of the next token there."""
        self._left = 0
        """Where the draft was left."""
        self._agreed = _BEGINNING

    def propose(self, boldness: float) -> list[int]:
        """Return the tokens that may come next, the more the longer source and text have agreed.

        After m agreements in a row the chance that j more follow is (m + 1) / (m + j + 1), by
        Laplace's rule of succession; j = `boldness` * (m + 1) makes it 1 / (1 + `boldness`).
        """
        count = min(int(boldness * (self._agreed + 1)), _WIDEST)
        return self._source[self._next : self._next + count]

    def hear(self, said: Sequence[int]) -> None:
        """Follow what was really said."""
        for token in said:
            expected = self._source[self._next : self._next + 1] == [token]
            self._said.append(token)
            if expected:
                self._next += 1
                self._agreed += 1
            else:
                self._meet()

    def _meet(self) -> None:
        """Go on behind the last tokens said, where they stand in the draft or stood in the text."""
        if self._source is self._tokens:
            # One token replaced another: what to suppose where nothing is found.
            self._left = min(self._next + 1, len(self._tokens))
        for source in (self._tokens, self._said):
            for size in _MEETING:
                place = self._place_of(size, source)
                if place is not None:
                    self._source, self._next, self._agreed = source, place + size, size
                    return
        self._source, self._next, self._agreed = self._tokens, self._left, 0

    def _place_of(self, size: int, source: list[int]) -> int | None:
        """Find the last tokens said: in the draft nearest to where it was left, else the latest."""
        gram = self._said[-size:]
        if len(gram) < size:
            return None
        last = len(source) - size - (source is self._said)
        places = [at for at in range(last + 1) if source[at : at + size] == gram]
        if source is self._said:
            return places[-1] if places else None
        return min(places, key=lambda at: abs(at + size - self._left), default=None)


def boldness(rows: int, device: torch.device) -> float:
    """Return how many tokens to propose for each agreement (see `Draft.propose`).

    Few rows share the price of a pass, so that a wrong proposal costs them little beside it; many
    rows pay for tokens alone. On 34 recorded answers (Qwen2.5 0.5B, one core) about 2, 0.6, 0.5 and
    0.4 were best for 1, 8, 16 and 34 rows; drafts then saved 59, 40, 34 and 17% of the work.
    """
    pass_cost = _PASS_COST.get(device.type, _ACCELERATOR_PASS_COST)
    return (1 + pass_cost / (3 * rows)) / 3


def decode(
    model: Any,
    head: Head,
    prompts: Sequence[Sequence[int]],
    drafts: Sequence[Sequence[int]],
    *,
    limits: Sequence[int],
    stops: set[int],
) -> tuple[list[list[int]], Effort]:
    """Return the tokens that a model says after each prompt, greedily, and what that took.

    Args:
        model: One that `leaf.prefix.can_share`.
        head: Its output head.
        prompts: Token ids; those with a common beginning share its computation.
        drafts: A likely answer to each prompt, end of turn included; may be empty.
        limits: Most tokens of each answer, >= 1.
        stops: Tokens that end an answer; they are part of what is returned.
    """
    rows, last_BD = feed_shared(model, prompts)
    speakers = [_Speaker(draft, limit, stops) for draft, limit in zip(drafts, limits, strict=True)]
    for speaker, token in zip(speakers, _choices(last_BD, head), strict=True):
        speaker.say([token])
    effort = Effort(answers=len(prompts), passes=1, row_passes=len(prompts))
    open_ = _drop_finished(rows, speakers)
    while open_:
        proposals = [speaker.propose(boldness(len(open_), model.device)) for speaker in open_]
        before = list(rows.lengths)
        hidden = rows.feed(
            [[speaker.said[-1], *tokens] for speaker, tokens in zip(open_, proposals, strict=True)]
        )
        choices = iter(_choices(torch.cat(hidden), head))
        for row, (speaker, tokens) in enumerate(zip(open_, proposals, strict=True)):
            own = [next(choices) for _ in range(len(tokens) + 1)]
            agreed = _agreed(tokens, own)
            speaker.say(own[: agreed + 1])
            rows.lengths[row] = before[row] + 1 + agreed
        effort += Effort(
            passes=1, row_passes=len(open_), proposed=sum(len(tokens) for tokens in proposals)
        )
        open_ = _drop_finished(rows, open_)
    effort += Effort(tokens=sum(len(speaker.said) for speaker in speakers))
    return [speaker.said for speaker in speakers], effort


class _Speaker:
    """One answer on its way."""

    def __init__(self, draft: Sequence[int], limit: int, stops: set[int]) -> None:
        self.said: list[int] = []
        self.finished = False
        self._draft = Draft(draft)
        self._limit = limit
        self._stops = stops

    def propose(self, bold: float) -> list[int]:
        """Return draft tokens for which there is room before the last token of the answer."""
        return self._draft.propose(bold)[: self._limit - len(self.said) - 1]

    def say(self, tokens: Sequence[int]) -> None:
        """Add what the model chose, up to its first end of turn."""
        for token in tokens:
            self.said.append(token)
            if token in self._stops or len(self.said) == self._limit:
                self.finished = True
                return
        self._draft.hear(tokens)


def _drop_finished(rows: Rows, speakers: Sequence[_Speaker]) -> list[_Speaker]:
    keep = [row for row, speaker in enumerate(speakers) if not speaker.finished]
    if keep and len(keep) < len(speakers):
        rows.keep(keep)
    return [speakers[row] for row in keep]


def _agreed(proposed: Sequence[int], own: Sequence[int]) -> int:
    """Return how many proposed tokens the model would have said itself."""
    for at, token in enumerate(proposed):
        if token != own[at]:
            return at
    return len(proposed)


def _logits(hidden_CD: Tensor, head: Head) -> Tensor:
    return head.finish(hidden_CD @ head.weight.T)


def _choices(hidden_ND: Tensor, head: Head) -> list[int]:
    """Return the most likely next token at each position."""
    with torch.no_grad():
        return [
            int(token)
            for at in range(0, len(hidden_ND), _CHUNK)
            for token in _logits(hidden_ND[at : at + _CHUNK], head).argmax(dim=-1).tolist()
        ]
