"""Ablation: how much less question and reference fit when a piece of the question is taken away.

Axes: R predicted tokens of several conversations, D width.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from leaf.attribute.batched import check_finite, score_in_batches, too_long
from leaf.attribute.surprise import response_losses, token_losses
from leaf.models.batching import plan_batches
from leaf.models.kv_cache import RaggedCache, can_share
from leaf.models.load import Loaded
from leaf.models.output_head import Head, output_head
from leaf.models.padding import pad
from leaf.models.prompt_format import EncodedExample, PromptFormat
from leaf.models.shared_prefix import common_prefix
from leaf.progress import Ticker
from leaf.recipe import AttributeSection
from leaf.records import Problem, Sensitivity
from leaf.text.units import Piece, may_go, pieces, without

Places = Mapping[str, Sequence[Piece]]
"""Problem id to the pieces of its question that are taken away."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One problem: its conversation, and the same without one piece each."""

    whole: EncodedExample
    """Its response begins with the first token that counts, in the prompt or after it."""
    cut: tuple[EncodedExample, ...]
    """As `whole`, without the piece of the same number."""
    places: tuple[Piece, ...]
    counted: tuple[tuple[int, ...], ...]
    """For each piece the tokens that count, as distances from the conversation's end (1: last)."""
    tokens: int
    """How many tokens count for a piece that stands before all of them."""
    reference_length: int
    """Tokens of the reference, end-of-turn token included."""


class AblationAttributor:
    """Scores pieces of a question by an intervention: taking each away, one at a time.

    The score of a piece u is its pointwise mutual information, given the rest of the question, with
    what is asked and what is answered, in nats per token (of any sign):

        (log p(asked, y | X) - log p(asked, y | X without u)) / (tokens of asked and y)

    y is the reference with its end of turn; `asked` are those tokens after u that belong to
    sentences with a question mark. They count because a piece that sets the scene does little for
    the answer, yet the question leans on it; on what distracts neither leans. Pieces are those of
    `attribute.ablation_unit`; one with a question mark is never taken away. Forward passes only:
    one of the whole conversation, and for each piece one of what follows it.
    """

    def __init__(
        self,
        loaded: Loaded,
        chat: PromptFormat,
        section: AttributeSection,
        tick: Ticker | None = None,
        places: Places | None = None,
    ) -> None:
        """Open the detector; `places` are taken away instead of every piece of a question."""
        self._loaded = loaded
        self._chat = chat
        self._section = section
        self._tick = tick
        self._places = places
        self._head = output_head(loaded.model)
        self._share = can_share(loaded.model)

    def attribute(
        self, problems: Sequence[Problem], references: Sequence[str]
    ) -> list[Sensitivity]:
        """Score `problems[i]` with `references[i]` as the response y; units are pieces.

        Raises:
            NonFiniteError: a value is NaN or infinite; names the model, problem and dtype.
        """
        pairs = zip(problems, references, strict=True)
        return score_in_batches(
            problems,
            [self._prepare(problem, reference) for problem, reference in pairs],
            self._score_batch,
            length=lambda trial: len(trial.whole.ids),
            token_budget=self._section.token_budget,
            what=f"ablation with {self._loaded.source.name}",
            tick=self._tick,
        )

    def _prepare(self, problem: Problem, reference: str) -> Trial | str:
        trial = plan_trial(problem, reference, self._chat, self._section, self._places)
        if not isinstance(trial, str) and len(trial.whole.ids) > self._loaded.context:
            return too_long(self._loaded)
        return trial

    def _score_batch(
        self, problems: Sequence[Problem], trials: Sequence[Trial]
    ) -> Iterator[Sensitivity]:
        found = tail_losses(
            self._loaded.model,
            self._head,
            [(trial.whole, *trial.cut) for trial in trials],
            token_budget=self._section.token_budget,
            share=self._share,
        )
        for problem, trial, (whole_R, *cut) in zip(problems, trials, found, strict=True):
            scores = tuple(
                sum(float(cut_R[-back] - whole_R[-back]) for back in counted) / trial.tokens
                for cut_R, counted in zip(cut, trial.counted, strict=True)
            )
            loss = float(whole_R[-trial.reference_length :].mean())
            check_finite((*scores, loss), problem, self._loaded)
            yield Sensitivity(
                problem_id=problem.id,
                starts=tuple(start for start, _ in trial.places),
                ends=tuple(end for _, end in trial.places),
                scores=scores,
                loss=loss,
            )


def plan_trial(
    problem: Problem,
    reference: str,
    chat: PromptFormat,
    section: AttributeSection,
    places: Places | None,
) -> Trial | str:
    """Tokenise a problem whole and without each piece, or say why it cannot be scored."""
    if not reference.strip():
        return "no reference response"
    if places is not None:
        chosen = tuple(places[problem.id])
    elif section.ablation_unit == "token":
        chosen = tuple((unit.start, unit.end) for unit in chat.prompt(problem).units)
    else:
        chosen = tuple(pieces(problem.question, section.ablation_unit))
    chosen = tuple(place for place in chosen if may_go(problem.question[slice(*place)]))
    if not chosen:
        return "no piece of the question can be taken away but the one that asks"
    whole = chat.encode(problem.content, reference, problem.response_prefix)
    length = whole.response_length
    asked = _asked(problem, chat, len(whole.ids))
    cut, counted = [], []
    for place in chosen:
        left = replace(problem, question=_without(problem, place))
        one = chat.encode(left.content, reference, left.response_prefix)
        # A first token has none before it that could predict it.
        after = [back for start, back in asked if start >= place[1] and back < len(one.ids)]
        counted.append((*after, *range(length, 0, -1)))
        cut.append(replace(one, prompt_length=len(one.ids) - counted[-1][0]))
    return Trial(
        whole=replace(whole, prompt_length=len(whole.ids) - max(each[0] for each in counted)),
        cut=tuple(cut),
        places=chosen,
        counted=tuple(counted),
        tokens=len(asked) + length,
        reference_length=length,
    )


def _without(problem: Problem, place: Piece) -> str:
    """Return the question without a piece; a segment of a response keeps the space that is first.

    There it stands between the segment and what the response said before.
    """
    earlier = problem.before if problem.prompt else ""
    start, end = place
    shifted = (len(earlier) + start, len(earlier) + end)
    return without(earlier + problem.question, shifted)[len(earlier) :]


def _asked(problem: Problem, chat: PromptFormat, length: int) -> list[tuple[int, int]]:
    """Return the tokens of sentences that ask: first character, distance from the end; in order."""
    asking = [
        place
        for place in pieces(problem.question, "sentence")
        if not may_go(problem.question[slice(*place)])
    ]
    return [
        (unit.start, length - token)
        for unit in chat.prompt(problem).units
        for token in unit.tokens
        if any(start <= unit.start < end for start, end in asking)
    ]


def tail_losses(
    model: Any,
    head: Head,
    groups: Sequence[Sequence[EncodedExample]],
    *,
    token_budget: int,
    share: bool,
) -> list[list[Tensor]]:
    """Return -log p of each conversation's response tokens, group by group, in nats.

    Args:
        model: A frozen causal language model.
        head: Its output head.
        groups: Conversations that begin alike; the first of each group leads.
        token_budget: Most tokens, padding included, in one pass beyond the leaders'.
        share: Compute once what a group shares with its first one; the model's cache must allow
            that (`leaf.models.kv_cache.can_share`).
    """
    every = [item for group in groups for item in group]
    losses: list[Tensor] = [torch.empty(0)] * len(every)
    if share:
        _lead_and_follow(model, head, groups, losses, token_budget)
    else:
        for part in _batches(every, range(len(every)), token_budget):
            batch = pad([every[at] for at in part])
            found = torch.split(response_losses(model, head, batch), batch.lengths)
            for at, losses_R in zip(part, found, strict=True):
                losses[at] = losses_R
    left = iter(losses)
    return [[next(left) for _ in group] for group in groups]


def _lead_and_follow(
    model: Any,
    head: Head,
    groups: Sequence[Sequence[EncodedExample]],
    losses: list[Tensor],
    token_budget: int,
) -> None:
    """Fill in the losses of all conversations: leaders in one pass, then what follows each cut."""
    leaders = [group[0] for group in groups]
    every = [item for group in groups for item in group]
    row_of = [row for row, group in enumerate(groups) for _ in group]
    firsts = [0, *accumulate(len(group) for group in groups)][:-1]
    rows = RaggedCache(model, len(leaders))
    hidden_BKD = rows.feed([item.ids for item in leaders])
    for first, hidden_KD in zip(firsts, hidden_BKD, strict=True):
        losses[first] = _losses_after(head, every[first], 0, hidden_KD)
    followers = sorted(set(range(len(every))) - set(firsts))
    for part in _batches(every, followers, token_budget):
        cuts = [shared(leaders[row_of[at]], every[at]) for at in part]
        forked = rows.fork([row_of[at] for at in part], cuts)
        hidden_BKD = forked.feed([every[at].ids[cut:] for at, cut in zip(part, cuts, strict=True)])
        for at, cut, hidden_KD in zip(part, cuts, hidden_BKD, strict=True):
            losses[at] = _losses_after(head, every[at], cut, hidden_KD)


def shared(leader: EncodedExample, item: EncodedExample) -> int:
    """Return how many tokens of a conversation need not be computed again after its leader."""
    # The token before the response predicts its first, so that it is always computed.
    return min(common_prefix(leader.ids, item.ids), item.prompt_length - 1)


def _losses_after(head: Head, item: EncodedExample, cut: int, hidden_KD: Tensor) -> Tensor:
    """Return the response's losses [R] from the hidden states of the tokens from `cut` on."""
    hidden_RD = hidden_KD[item.prompt_length - 1 - cut : len(item.ids) - 1 - cut]
    return token_losses(head, hidden_RD, torch.tensor(item.ids[item.prompt_length :]))


def _batches(
    items: Sequence[EncodedExample], chosen: Sequence[int], token_budget: int
) -> list[list[int]]:
    lengths = [len(items[at].ids) for at in chosen]
    batches = plan_batches(lengths, token_budget=token_budget, max_items=len(chosen) or 1)
    return [[chosen[number] for number in batch] for batch in batches]
