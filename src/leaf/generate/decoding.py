"""Many answers side by side: rows come and go, and nothing is computed for padding.

Requests wait in a queue. As long as there is room, the next ones are admitted: their prompts are
fed, and they join the answers that are being written; an answer that has ended frees its row. Each
pass gives every open answer its next token, or several where a draft was right
(`leaf.generate.drafted`).

Axes: B rows, D width of a hidden state, V vocabulary, K its most likely tokens, N positions.
"""

import itertools
from collections import abc
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from leaf.generate.drafted import Draft, draft_length
from leaf.generate.engine import Effort
from leaf.models.kv_cache import RaggedCache
from leaf.models.output_head import Head
from leaf.models.shared_prefix import feed_shared

_CHUNK = 256
"""Positions whose logits exist at the same time."""

_PROMPT_TOKENS = {"cpu": 2048}
"""Most prompt tokens fed before the others go on; a CPU gains nothing from more."""

_ACCELERATOR_PROMPT_TOKENS = 16384

_LIKELY = 256
"""Most likely tokens among which a drawn one is looked for first."""

_FEW = 8
"""Rows up to which an answer without a draft is guessed from its own text so far: beyond, a wrong
guess costs a CPU more than a right one saves (SmolLM2 135M, 64 rows: 63% right, 14% slower)."""

_EMPTY = 0.25
"""Share of the rows that may be empty, once the queue is, before the table is made smaller."""


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

    prompt: abc.Sequence[int]
    """Token ids, not empty."""
    limit: int
    """Most tokens of the answer, >= 1."""
    draft: abc.Sequence[int] = ()
    """A likely answer, end of turn included; may be empty. Not looked at when sampling."""
    seed: int = 0
    """Of its own random numbers, when sampling."""
    is_over: abc.Callable[[abc.Sequence[int]], bool] | None = None
    """Whether an answer ends with its tokens so far, by its text; None: only by a stop token."""

    @property
    def room(self) -> int:
        """Most tokens of prompt and answer."""
        return len(self.prompt) + self.limit


def decode(
    model: Any,
    head: Head,
    requests: abc.Iterable[tuple[int, Request]],
    *,
    stops: set[int],
    token_budget: int,
    max_rows: int,
    sampling: Sampling | None = None,
    drafting: bool = True,
) -> abc.Generator[tuple[int, list[int]], None, Effort]:
    """Yield each request's number and the tokens of its answer, as it ends; return the effort.

    Args:
        model: One whose paths say that it `shares` (`leaf.models.paths`).
        head: Its output head.
        requests: Number and what is asked, `max_rows` of them taken whenever the queue is empty;
            prompts with a common beginning that are fed together share its computation.
        stops: Tokens that end an answer; they are part of it.
        token_budget: Most tokens of all open rows, each counted as long as the longest may become;
            a request that is longer is answered alone.
        max_rows: Most open rows.
        sampling: How tokens are drawn; None: greedily.
        drafting: Whether tokens are proposed, from drafts and from the answer's own text.
    """
    queue = _Queue(requests, max_rows)
    prompt_tokens = _PROMPT_TOKENS.get(model.device.type, _ACCELERATOR_PROMPT_TOKENS)
    limits = _Limits(token_budget, max_rows, prompt_tokens)
    table = _SlotTable(model)
    effort = Effort()
    while queue.waiting or table.open:
        while group := queue.next_group(table.open, limits):
            sequences = [
                _Sequence(number, request, stops, drafting and sampling is None)
                for number, request in group
            ]
            cache, last_BD = feed_shared(model, [request.prompt for _, request in group])
            first_tokens = _next_tokens(last_BD, head, sequences, sampling)
            for sequence, token in zip(sequences, first_tokens, strict=True):
                sequence.extend([token])
            effort += Effort(answers=len(group), passes=1, row_passes=len(group), tokens=len(group))
            table.admit(cache, sequences)
            yield from ((each.number, each.tokens) for each in sequences if each.finished)
        if not table.open:
            continue
        if not queue.waiting:
            table.compact()
        effort += _step(table, head, sampling)
        yield from table.release()
    return effort


def _step(table: "_SlotTable", head: Head, sampling: Sampling | None) -> Effort:
    """Give every open row its next tokens: propose, check in one pass, keep what agrees."""
    open_ = table.open
    device = table.cache.model.device
    proposals = [
        sequence.propose(len(open_), device) if sequence.drafted or len(open_) <= _FEW else []
        for sequence in open_
    ]
    hidden = table.feed(
        [[sequence.tokens[-1], *tokens] for sequence, tokens in zip(open_, proposals, strict=True)]
    )
    # Without a proposal, a row has one position: that of its last token.
    choices = iter(_next_tokens(torch.cat(hidden), head, open_, sampling))
    added = 0
    for sequence, proposed in zip(open_, proposals, strict=True):
        chosen = [next(choices) for _ in range(len(proposed) + 1)]
        agreed = _agreed(proposed, chosen)
        table.take_back(sequence, len(proposed) - agreed)
        added += sequence.extend(chosen[: agreed + 1])
    proposed_tokens = sum(len(tokens) for tokens in proposals)
    return Effort(passes=1, row_passes=len(open_), tokens=added, proposed=proposed_tokens)


@dataclass(frozen=True, slots=True)
class _Limits:
    token_budget: int
    max_rows: int
    prompt_tokens: int
    """Most prompt tokens that are fed in one pass."""


class _Queue:
    """Requests that wait: of the next `take`, those with most room first."""

    def __init__(self, requests: abc.Iterable[tuple[int, Request]], take: int) -> None:
        self.waiting: list[tuple[int, Request]] = []
        self._coming = iter(requests)
        self._take = take
        self._refill()

    def next_group(
        self, open_: abc.Sequence["_Sequence"], limits: _Limits
    ) -> list[tuple[int, Request]]:
        """Take out the first of those waiting for whom there is room now."""
        longest = max((sequence.room for sequence in open_), default=0)
        count = tokens = 0
        for _, request in self.waiting:
            longest = max(longest, request.room)
            rows = len(open_) + count + 1
            tokens += len(request.prompt)
            alone = rows == 1
            fits = rows <= limits.max_rows and rows * longest <= limits.token_budget
            if not (alone or (fits and (not count or tokens <= limits.prompt_tokens))):
                break
            count += 1
        group, self.waiting = self.waiting[:count], self.waiting[count:]
        self._refill()
        return group

    def _refill(self) -> None:
        if not self.waiting:
            coming = itertools.islice(self._coming, self._take)
            self.waiting = sorted(coming, key=lambda item: (-item[1].room, item[0]))


class _Sequence:
    """One answer while it is being written."""

    def __init__(self, number: int, request: Request, stops: set[int], drafting: bool) -> None:
        self.number = number
        self.room = request.room
        self.tokens: list[int] = []
        """Of the answer so far."""
        self.finished = False
        self.row = -1
        """Its row in the table."""
        self.generator = torch.Generator().manual_seed(request.seed)
        self.drafted = drafting and len(request.draft) > 0
        self._draft = Draft(request.draft) if drafting else None
        self._limit = request.limit
        self._is_over = request.is_over
        self._stops = stops

    def propose(self, rows: int, device: torch.device) -> list[int]:
        """Return draft tokens for which there is room before the last token of the answer."""
        if self._draft is None:
            return []
        length = draft_length(self._draft.agreements, rows, device)
        return self._draft.propose(length)[: self._limit - len(self.tokens) - 1]

    def extend(self, tokens: abc.Sequence[int]) -> int:
        """Add what the model chose, up to its first end of turn; return how many that were."""
        for count, token in enumerate(tokens, start=1):
            self.tokens.append(token)
            self.finished = token in self._stops or len(self.tokens) == self._limit
            if self.finished or (self._is_over is not None and self._is_over(self.tokens)):
                self.finished = True
                return count
        if self._draft is not None:
            self._draft.follow(tokens)
        return len(tokens)


class _SlotTable:
    """The open answers, and which row of the cache each of them has."""

    def __init__(self, model: Any) -> None:
        self.cache = RaggedCache(model, 0)
        self.open: list[_Sequence] = []
        """In the order of their rows."""

    def admit(self, cache: RaggedCache, sequences: abc.Sequence[_Sequence]) -> None:
        """Give each newcomer that has not finished a row: a free one, or a new one at the end.

        Row i of `cache` holds the prompt of `sequences[i]`.
        """
        unfinished = [at for at, sequence in enumerate(sequences) if not sequence.finished]
        taken = {sequence.row for sequence in self.open}
        free = (row for row in itertools.count() if row not in taken)
        rows = list(itertools.islice(free, len(unfinished)))
        for at, row in zip(unfinished, rows, strict=True):
            sequences[at].row = row
        self.cache.place(cache, unfinished, rows)
        newcomers = [sequences[at] for at in unfinished]
        self.open = sorted([*self.open, *newcomers], key=lambda sequence: sequence.row)

    def feed(self, tokens: abc.Sequence[abc.Sequence[int]]) -> list[Tensor]:
        """Append tokens to the open rows; return the hidden states of each."""
        by_row: list[abc.Sequence[int]] = [()] * len(self.cache.lengths)
        for sequence, own in zip(self.open, tokens, strict=True):
            by_row[sequence.row] = own
        hidden = self.cache.feed(by_row)
        return [hidden[sequence.row] for sequence in self.open]

    def take_back(self, sequence: _Sequence, count: int) -> None:
        """Forget the last tokens of a row."""
        self.cache.lengths[sequence.row] -= count

    def release(self) -> list[tuple[int, list[int]]]:
        """Return the finished answers and empty their rows, which stay for others."""
        finished = [sequence for sequence in self.open if sequence.finished]
        for sequence in finished:
            self.cache.lengths[sequence.row] = 0
        self.open = [sequence for sequence in self.open if not sequence.finished]
        return [(sequence.number, sequence.tokens) for sequence in finished]

    def compact(self) -> None:
        """Drop empty rows where they are many."""
        rows = len(self.cache.lengths)
        if rows - len(self.open) > _EMPTY * rows:
            self.cache.keep([sequence.row for sequence in self.open])
            for row, sequence in enumerate(self.open):
                sequence.row = row


def _agreed(proposed: abc.Sequence[int], chosen: abc.Sequence[int]) -> int:
    """Return how many proposed tokens the model would have chosen itself."""
    for at, token in enumerate(proposed):
        if token != chosen[at]:
            return at
    return len(proposed)


def _next_tokens(
    hidden_ND: Tensor, head: Head, sequences: abc.Sequence[_Sequence], sampling: Sampling | None
) -> list[int]:
    """Return the next token at each position: the most likely, or one drawn for each sequence."""
    with torch.no_grad():
        if sampling:
            draws_N = torch.stack([torch.rand((), generator=each.generator) for each in sequences])
        tokens: list[int] = []
        for at in range(0, len(hidden_ND), _CHUNK):
            part_ND = hidden_ND[at : at + _CHUNK]
            if sampling:
                logits_NV = head.logits(part_ND)
                tokens += draw(logits_NV, draws_N[at : at + _CHUNK], sampling).tolist()
            else:
                tokens += head.likeliest(part_ND).tolist()
        return tokens


def draw(logits_BV: Tensor, draws_B: Tensor, sampling: Sampling) -> Tensor:
    """Return the tokens [B] at which the cumulative probability, most likely first, passes a draw.

    Args:
        logits_BV: Float32 or wider.
        draws_B: Uniform in [0, 1).
        sampling: Temperature and nucleus (Holtzman et al. 2020): the fewest most likely tokens that
            hold `top_p` of the probability.
    """
    p_BV = (logits_BV / sampling.temperature).softmax(dim=-1)
    draws_B = draws_B.to(p_BV)
    # Sorting a whole vocabulary takes a CPU longer than the model does: the likely tokens first.
    likely_BK, tokens_BK = p_BV.topk(min(_LIKELY, p_BV.shape[-1]), dim=-1)
    held_B = likely_BK.cumsum(dim=-1)[:, -1]
    nucleus = sampling.top_p < 1
    rest_B = held_B < (sampling.top_p if nucleus else draws_B * p_BV.sum(dim=-1))
    found_B = _drawn(likely_BK, tokens_BK, p_BV, draws_B, sampling.top_p)
    if bool(rest_B.any()):
        rest_BV = p_BV[rest_B]
        ordered = rest_BV.sort(dim=-1, descending=True)
        found_B[rest_B] = _drawn(*ordered, rest_BV, draws_B[rest_B], sampling.top_p)
    return found_B


def _drawn(
    likely_BK: Tensor, tokens_BK: Tensor, p_BV: Tensor, draws_B: Tensor, top_p: float
) -> Tensor:
    """Return the tokens drawn [B] from the K most likely, which hold the nucleus or the draw."""
    reached_BK = likely_BK.cumsum(dim=-1)
    # A token is out when those before it hold enough already; the first is always in.
    likely_BK = likely_BK.masked_fill(reached_BK - likely_BK >= top_p, 0.0)
    reached_BK = likely_BK.cumsum(dim=-1)
    total_B = reached_BK[:, -1] if top_p < 1 else p_BV.sum(dim=-1)
    place_B1 = (reached_BK <= (draws_B * total_B)[:, None]).sum(dim=-1, keepdim=True)
    # Rounding may carry a draw past the end: the last token with any probability is meant.
    place_B1 = place_B1.minimum((likely_BK > 0).sum(dim=-1, keepdim=True) - 1)
    return tokens_BK.gather(-1, place_B1)[:, 0]
