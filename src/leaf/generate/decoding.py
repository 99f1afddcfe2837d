"""Many answers side by side: rows come and go, and nothing is computed for padding.

Prompts wait in line. As long as there is room, the next ones are fed and join those that are being
answered; who has finished makes room. Each pass gives every open answer its next token, or several
where a draft was right (`leaf.generate.drafted`).

Axes: B rows, D width of a hidden state, V vocabulary, N positions.
"""

import itertools
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from leaf.generate.drafted import Draft, boldness
from leaf.generate.engine import Effort
from leaf.models.kv_cache import RaggedCache
from leaf.models.output_head import Head
from leaf.models.shared_prefix import feed_shared

_CHUNK = 256
"""Positions whose logits exist at the same time."""

_PROMPTS = {"cpu": 2048}
"""Most prompt tokens fed before the others go on; a CPU gains nothing from more."""

_ACCELERATOR_PROMPTS = 16384

_FEW = 8
"""Rows up to which an answer without a draft is guessed from what was said before: beyond, a wrong
guess costs a CPU more than a right one saves (SmolLM2 135M, 64 rows: 63% right, 14% slower)."""

_EMPTY = 0.25
"""Share of the rows that may be empty, once nobody waits, before the others close ranks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How tokens are drawn; without one, each is the most likely."""

    temperature: float
    """Divides the logits; > 0."""
    top_p: float = 1.0
    """Only the most likely tokens that hold this share of probability are drawn; in (0, 1]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A prompt to be answered."""

    prompt: Sequence[int]
    """Token ids, not empty."""
    limit: int
    """Most tokens of the answer, >= 1."""
    draft: Sequence[int] = ()
    """A likely answer, end of turn included; may be empty. Not looked at when sampling."""
    seed: int = 0
    """Of its own random numbers, when sampling."""

    @property
    def room(self) -> int:
        """Most tokens of prompt and answer."""
        return len(self.prompt) + self.limit


def decode(
    model: Any,
    head: Head,
    requests: Iterable[tuple[int, Request]],
    *,
    stops: set[int],
    token_budget: int,
    max_rows: int,
    sampling: Sampling | None = None,
    drafting: bool = True,
) -> Generator[tuple[int, list[int]], None, Effort]:
    """Yield each request's number and the tokens said, as it ends; return what all that took.

    Args:
        model: One that `leaf.models.kv_cache.can_share`.
        head: Its output head.
        requests: Number and what is asked, `max_rows` of them taken whenever nobody waits; prompts
            with a common beginning that are fed together share its computation.
        stops: Tokens that end an answer; they are part of what is said.
        token_budget: Most tokens of all open rows, each counted as long as the longest may become;
            a request that is longer is answered alone.
        max_rows: Most open rows.
        sampling: How tokens are drawn; None: greedily.
        drafting: Whether tokens are proposed, from drafts and from what was said before.
    """
    limits = _Limits(token_budget, max_rows, _most_prompts(model))
    line = _Line(requests, max_rows)
    table = _Table(model)
    effort = Effort()
    while line.waiting or table.open:
        while group := line.next_group(table.open, limits):
            speakers = [
                _Speaker(number, request, stops, drafting and sampling is None)
                for number, request in group
            ]
            rows, last_BD = feed_shared(model, [request.prompt for _, request in group])
            for speaker, token in zip(
                speakers, _tokens(last_BD, head, speakers, sampling), strict=True
            ):
                speaker.say([token])
            effort += Effort(answers=len(group), passes=1, row_passes=len(group), tokens=len(group))
            table.seat(rows, speakers)
            yield from ((one.number, one.said) for one in speakers if one.finished)
        if not table.open:
            continue
        if not line.waiting:
            table.close_ranks()
        effort += _step(table, head, sampling)
        yield from table.free()
    return effort


def _step(table: "_Table", head: Head, sampling: Sampling | None) -> Effort:
    """Let every open row say its next tokens."""
    open_ = table.open
    bold = boldness(len(open_), table.rows.model.device)
    few = len(open_) <= _FEW
    proposals = [speaker.propose(bold) if few or speaker.drafted else [] for speaker in open_]
    hidden = table.feed(
        [[speaker.said[-1], *tokens] for speaker, tokens in zip(open_, proposals, strict=True)]
    )
    said = 0
    if sampling is None:
        choices = iter(_choices(torch.cat(hidden), head))
        for speaker, tokens in zip(open_, proposals, strict=True):
            own = [next(choices) for _ in range(len(tokens) + 1)]
            agreed = _agreed(tokens, own)
            table.take_back(speaker, len(tokens) - agreed)
            said += speaker.say(own[: agreed + 1])
    else:
        for speaker, token in zip(
            open_, _drawn(torch.cat(hidden), head, open_, sampling), strict=True
        ):
            said += speaker.say([token])
    proposed = sum(len(tokens) for tokens in proposals)
    return Effort(passes=1, row_passes=len(open_), tokens=said, proposed=proposed)


@dataclass(frozen=True, slots=True)
class _Limits:
    token_budget: int
    max_rows: int
    prompts: int


class _Line:
    """Who waits: of the next `take`, those with most room first."""

    def __init__(self, requests: Iterable[tuple[int, Request]], take: int) -> None:
        self.waiting: list[tuple[int, Request]] = []
        self._coming = iter(requests)
        self._take = take
        self._refill()

    def next_group(self, open_: Sequence["_Speaker"], limits: _Limits) -> list[tuple[int, Request]]:
        """Take out the first of those waiting for whom there is room now."""
        longest = max((speaker.room for speaker in open_), default=0)
        count = tokens = 0
        for _, request in self.waiting:
            longest = max(longest, request.room)
            rows = len(open_) + count + 1
            tokens += len(request.prompt)
            alone = rows == 1
            fits = rows <= limits.max_rows and rows * longest <= limits.token_budget
            if not (alone or (fits and (not count or tokens <= limits.prompts))):
                break
            count += 1
        group, self.waiting = self.waiting[:count], self.waiting[count:]
        self._refill()
        return group

    def _refill(self) -> None:
        if not self.waiting:
            coming = itertools.islice(self._coming, self._take)
            self.waiting = sorted(coming, key=lambda one: (-one[1].room, one[0]))


def _most_prompts(model: Any) -> int:
    return _PROMPTS.get(model.device.type, _ACCELERATOR_PROMPTS)


class _Speaker:
    """One answer on its way."""

    def __init__(self, number: int, request: Request, stops: set[int], drafting: bool) -> None:
        self.number = number
        self.room = request.room
        self.said: list[int] = []
        self.finished = False
        self.row = -1
        """Its row in the table."""
        self.generator = torch.Generator().manual_seed(request.seed)
        self.drafted = drafting and len(request.draft) > 0
        self._draft = Draft(request.draft) if drafting else None
        self._limit = request.limit
        self._stops = stops

    def propose(self, bold: float) -> list[int]:
        """Return draft tokens for which there is room before the last token of the answer."""
        if self._draft is None:
            return []
        return self._draft.propose(bold)[: self._limit - len(self.said) - 1]

    def say(self, tokens: Sequence[int]) -> int:
        """Add what the model chose, up to its first end of turn; return how many that were."""
        for count, token in enumerate(tokens, start=1):
            self.said.append(token)
            if token in self._stops or len(self.said) == self._limit:
                self.finished = True
                return count
        if self._draft is not None:
            self._draft.hear(tokens)
        return len(tokens)


class _Table:
    """Who is being answered, and in which row of the cache."""

    def __init__(self, model: Any) -> None:
        self.rows = RaggedCache(model, 0)
        self.open: list[_Speaker] = []
        """In the order of their rows."""

    def seat(self, rows: RaggedCache, speakers: Sequence[_Speaker]) -> None:
        """Give each newcomer that has not finished a row of its own."""
        left = [at for at, speaker in enumerate(speakers) if not speaker.finished]
        taken = {speaker.row for speaker in self.open}
        free = [row for row in range(len(self.rows.lengths)) if row not in taken]
        more = range(len(self.rows.lengths), len(self.rows.lengths) + len(left))
        seats = [*free, *more][: len(left)]
        for at, row in zip(left, seats, strict=True):
            speakers[at].row = row
        self.rows.place(rows, left, seats)
        self.open = sorted([*self.open, *(speakers[at] for at in left)], key=lambda one: one.row)

    def feed(self, tokens: Sequence[Sequence[int]]) -> list[Tensor]:
        """Append tokens to the open rows; return the hidden states of each."""
        asked: list[Sequence[int]] = [()] * len(self.rows.lengths)
        for speaker, own in zip(self.open, tokens, strict=True):
            asked[speaker.row] = own
        found = self.rows.feed(asked)
        return [found[speaker.row] for speaker in self.open]

    def take_back(self, speaker: _Speaker, count: int) -> None:
        """Forget the last tokens of a row."""
        self.rows.lengths[speaker.row] -= count

    def free(self) -> list[tuple[int, list[int]]]:
        """Let go of who has finished, and return what they said; the row stays for another one."""
        gone = [speaker for speaker in self.open if speaker.finished]
        for speaker in gone:
            self.rows.lengths[speaker.row] = 0
        self.open = [speaker for speaker in self.open if not speaker.finished]
        return [(speaker.number, speaker.said) for speaker in gone]

    def close_ranks(self) -> None:
        """Let go of empty rows where they are many."""
        there = len(self.rows.lengths)
        if there - len(self.open) > _EMPTY * there:
            self.rows.keep([speaker.row for speaker in self.open])
            for row, speaker in enumerate(self.open):
                speaker.row = row


def _agreed(proposed: Sequence[int], own: Sequence[int]) -> int:
    """Return how many proposed tokens the model would have said itself."""
    for at, token in enumerate(proposed):
        if token != own[at]:
            return at
    return len(proposed)


def _tokens(
    hidden_BD: Tensor, head: Head, speakers: Sequence[_Speaker], sampling: Sampling | None
) -> list[int]:
    """Return the next token of each row."""
    if sampling is None:
        return _choices(hidden_BD, head)
    return _drawn(hidden_BD, head, speakers, sampling)


def _logits(hidden_ND: Tensor, head: Head) -> Tensor:
    return head.finish(hidden_ND @ head.weight.T)


def _choices(hidden_ND: Tensor, head: Head) -> list[int]:
    """Return the most likely next token at each position."""
    with torch.no_grad():
        return [
            int(token)
            for at in range(0, len(hidden_ND), _CHUNK)
            for token in _logits(hidden_ND[at : at + _CHUNK], head).argmax(dim=-1).tolist()
        ]


def _drawn(
    hidden_BD: Tensor, head: Head, speakers: Sequence[_Speaker], sampling: Sampling
) -> list[int]:
    """Draw the next token of each row with its own random numbers."""
    with torch.no_grad():
        draws_B = torch.stack([torch.rand((), generator=one.generator) for one in speakers])
        parts = [
            draw(_logits(hidden_BD[at : at + _CHUNK], head), draws_B[at : at + _CHUNK], sampling)
            for at in range(0, len(hidden_BD), _CHUNK)
        ]
        return [int(token) for part in parts for token in part.tolist()]


def draw(logits_BV: Tensor, draws_B: Tensor, sampling: Sampling) -> Tensor:
    """Return the tokens [B] at which the cumulative probability, most likely first, passes a draw.

    Args:
        logits_BV: Float32 or wider.
        draws_B: Uniform in [0, 1).
        sampling: Temperature and nucleus (Holtzman et al. 2020): the fewest most likely tokens that
            hold `top_p` of the probability.
    """
    p_BV, tokens_BV = (logits_BV / sampling.temperature).softmax(dim=-1).sort(-1, descending=True)
    reached_BV = p_BV.cumsum(dim=-1)
    # A token is out when those before it hold enough already; the first is always in.
    p_BV = p_BV.masked_fill(reached_BV - p_BV >= sampling.top_p, 0.0)
    reached_BV = p_BV.cumsum(dim=-1)
    wanted_B1 = draws_B.to(reached_BV)[:, None] * reached_BV[:, -1:]
    place_B1 = (reached_BV <= wanted_B1).sum(dim=-1, keepdim=True)
    # Rounding may carry a draw past the end: the last token with any probability is meant.
    place_B1 = place_B1.minimum((p_BV > 0).sum(dim=-1, keepdim=True) - 1)
    return tokens_BV.gather(-1, place_B1)[:, 0]
