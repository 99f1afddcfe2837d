"""What ablation tries: a conversation, and the same without, or blind to, each piece."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leaf.attribute.batched import too_long
from leaf.records import Problem
from leaf.text.units import Piece, may_go, pieces, without

if TYPE_CHECKING:  # they import torch, and a recipe is checked without
    from leaf.attribute.tail_losses import Hidden
    from leaf.models.load import Loaded
    from leaf.models.prompt_format import EncodedExample, PromptFormat
    from leaf.models.token_units import Unit


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One problem: its conversation, and the same without one piece each."""

    whole: "EncodedExample"
    """Its response begins with the first token that counts, in the prompt or after it."""
    cut: tuple["EncodedExample | Hidden", ...]
    """As `whole`, without the piece of the same number, or with it hidden."""
    places: tuple[Piece, ...]
    counted: tuple[tuple[int, ...], ...]
    """For each piece the tokens that count, as distances from the conversation's end (1: last)."""
    tokens: int
    """How many tokens count for a piece that stands before all of them."""
    reference_length: int
    """Tokens of the reference, end-of-turn token included."""
    kinds: tuple[tuple[str, int], ...] = ()
    """Where there are several kinds: each with the number of a place, kind after kind."""


def plan_trial(
    problem: Problem,
    reference: str,
    chat: "PromptFormat",
    units: Sequence[str],
    places: Sequence[Piece] | None = None,
    *,
    hide: bool = False,
    loaded: "Loaded | None" = None,
) -> Trial | str:
    """Tokenise a problem whole and without each piece, or say why it cannot be scored.

    Pieces are the `places`, or all of the `units`, each once; with `hide` they stay, unseen.
    `loaded` is whose context must hold the whole.
    """
    from leaf.attribute.tail_losses import Hidden

    if not reference.strip():
        return "no reference response"
    of_unit = {unit: _places(problem, chat, unit, places, alone=len(units) == 1) for unit in units}
    chosen = tuple(sorted({place for found in of_unit.values() for place in found}))
    if not chosen:
        return "no piece of the question can be taken away but the one that asks"
    whole = chat.encode(problem.content, reference, problem.response_prefix, problem.turns)
    # Before the pieces, each of which takes another encoding of almost the whole text.
    if loaded is not None and len(whole.ids) > loaded.context:
        return too_long(loaded)
    length = whole.response_length
    tokens = chat.prompt(problem).units
    asked = _asked(problem, tokens, len(whole.ids))
    cut: list[EncodedExample | Hidden] = []
    counted = []
    for place in chosen:
        one = whole if hide else _without(problem, place, reference, chat)
        # A first token has none before it that could predict it.
        after = [back for start, back in asked if start >= place[1] and back < len(one.ids)]
        counted.append((*after, *range(length, 0, -1)))
        one = replace(one, prompt_length=len(one.ids) - counted[-1][0])
        cut.append(Hidden(one, _tokens(tokens, place)) if hide else one)
    return Trial(
        whole=replace(whole, prompt_length=len(whole.ids) - max(each[0] for each in counted)),
        cut=tuple(cut),
        places=chosen,
        counted=tuple(counted),
        tokens=len(asked) + length,
        reference_length=length,
        kinds=()
        if len(units) == 1
        else tuple((unit, chosen.index(place)) for unit in units for place in of_unit[unit]),
    )


def _places(
    problem: Problem,
    chat: "PromptFormat",
    unit: str,
    places: Sequence[Piece] | None,
    *,
    alone: bool,
) -> list[Piece]:
    """Return the pieces of one kind that may go, those of `places` where these are given.

    A kind `alone` takes `places` as they are.
    """
    if places is not None and alone:
        every = list(places)
    elif unit == "token":
        every = [(token.start, token.end) for token in chat.prompt(problem).units]
    else:
        every = pieces(problem.question, unit)
    chosen = every if places is None or alone else [one for one in every if one in places]
    return [place for place in chosen if may_go(problem.question[slice(*place)])]


def _tokens(tokens: Sequence["Unit"], place: Piece) -> tuple[int, int]:
    """Return the first token of a piece and the first behind it; (0, 0) where it has none."""
    found = [at for unit in tokens if place[0] <= unit.start < place[1] for at in unit.tokens]
    return (min(found), max(found) + 1) if found else (0, 0)


def _without(
    problem: Problem, place: Piece, reference: str, chat: "PromptFormat"
) -> "EncodedExample":
    """Return a problem's conversation without a piece of its question.

    A segment of a response keeps the space that is first: it stands between the segment and what
    the response said before.
    """
    earlier = problem.before if problem.prompt else ""
    start, end = place
    shifted = (len(earlier) + start, len(earlier) + end)
    question = without(earlier + problem.question, shifted)[len(earlier) :]
    left = replace(problem, question=question)
    return chat.encode(left.content, reference, left.response_prefix, left.turns)


def _asked(problem: Problem, tokens: Sequence["Unit"], length: int) -> list[tuple[int, int]]:
    """Return the tokens of sentences that ask: first character, distance from the end; in order."""
    asking = [
        place
        for place in pieces(problem.question, "sentence")
        if not may_go(problem.question[slice(*place)])
    ]
    return [
        (unit.start, length - token)
        for unit in tokens
        for token in unit.tokens
        if any(start <= unit.start < end for start, end in asking)
    ]
