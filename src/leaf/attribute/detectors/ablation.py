"""Ablation: how much less question and reference fit when a piece of the question is taken away."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from leaf.attribute.batched import check_finite, score_in_batches, too_long
from leaf.attribute.detector import Detector, Evidence, MeasuredModel
from leaf.attribute.ranking import min_max, of_kind, text_start
from leaf.errors import ModelError
from leaf.recipe.base import Count, Section
from leaf.recipe.detectors import detector
from leaf.records import Attribution, NormalisedScores, Problem, RankedUnits, Sensitivity
from leaf.text.units import Piece, UnitName, may_go, pieces, without

if TYPE_CHECKING:
    from leaf.attribute.tail_losses import Hidden
    from leaf.models.load import Loaded
    from leaf.models.paths import Paths
    from leaf.models.prompt_format import EncodedExample, PromptFormat

_WIDE = ("phrase", "clause", "sentence", "paragraph")
"""What is measured by itself where it will be cut; tokens and words would take too many passes."""


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


@detector
class Ablation(Detector):
    """What the reference can do without: takes pieces of the question away, one at a time.

    The score of a piece u is its pointwise mutual information, given the rest of the question, with
    what is asked and what is answered, in nats per token (of any sign):

        (log p(asked, y | X) - log p(asked, y | X without u)) / (tokens of asked and y)

    y is the reference with its end of turn; `asked` are those tokens after u that belong to
    sentences with a question mark. They count because a piece that sets the scene does little for
    the answer, yet the question leans on it; on what distracts neither leans. A piece with a
    question mark is never taken away. Forward passes only: one of the whole conversation, and for
    each piece one of what follows it, be it of one kind or of several. With a teacher the scores of
    both models are added up, unless `student_alone`.

    With `hide` a piece is not taken away: from the first token that counts on nothing attends to it
    (attention knockout, Geva et al., 2023); what stands between has read it. That is one pass of
    the conversation, and for each piece one of its end.
    """

    name = "ablation"
    needs = "student"
    asks_teacher = True
    formerly: ClassVar[Mapping[str, str]] = {"ablation_unit": "unit", "proposals": "proposals"}

    class Options(Section):
        """What `ablation` takes away."""

        unit: UnitName | None = Field(
            None,
            description="what is taken away at a time; null: each of prune.units that is a phrase,"
            " clause, sentence or paragraph (none is: sentences)",
        )
        proposals: Count | None = Field(
            None,
            description="take away only so many pieces, those of the lowest gradient gap; null:"
            " every piece",
        )
        hide: bool = Field(
            False,
            description="leave the piece where it is and hide it from what asks and answers: nearly"
            " the same ranking, in an eighth of the time where pieces are many",
        )
        student_alone: bool = Field(
            False,
            description="leave out the scores of the teacher, where there is one: most of the time,"
            " and on real distractions nothing more was found with them",
        )

        @model_validator(mode="after")
        def _check(self) -> "Ablation.Options":
            if self.proposals is not None and self.student_alone:
                raise ValueError(
                    "`proposals` are chosen by the gradient of both models, so `student_alone` "
                    "cannot be had with them"
                )
            return self

    def roles(self, *, teacher: bool = True) -> tuple[str, ...]:
        """Return `student`, and `teacher` where there is one and its scores are added."""
        return super().roles(teacher=teacher and not self.options.student_alone)

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is taken away at a time: the option `unit`, else what will be cut."""
        if self.options.unit:
            return (self.options.unit,)
        wide = tuple(dict.fromkeys(unit for unit in self.units if unit in _WIDE))
        return wide or ("sentence",)

    def check_paths(self, paths: "Paths", name: str) -> None:
        """Refuse to hide pieces from a model whose attention we cannot mask."""
        if self.options.hide and not paths.shares:
            raise ModelError(
                f"{name}: pieces cannot be hidden from it ({paths.slower('ablation')}); leave out "
                "attribute.ablation.hide"
            )

    def measure(
        self, model: MeasuredModel, problems: Sequence[Problem], references: Sequence[str]
    ) -> list[Sensitivity]:
        """Score the pieces of `problems[i]` with `references[i]` as the response y.

        Raises:
            NonFiniteError: a value is NaN or infinite; names the model, problem and dtype.
        """
        self.check_paths(model.paths, model.loaded.source.name)
        pairs = zip(problems, references, strict=True)
        return score_in_batches(
            problems,
            [self._prepare(model, problem, reference) for problem, reference in pairs],
            lambda part, trials: _score_batch(model, part, trials),
            length=lambda trial: len(trial.whole.ids),
            token_budget=model.token_budget,
            what=f"ablation with {model.loaded.source.name}",
            tick=model.tick,
        )

    def _prepare(self, model: MeasuredModel, problem: Problem, reference: str) -> Trial | str:
        places = model.places[problem.id] if model.places is not None else None
        hide: bool = self.options.hide
        return plan_trial(
            problem, reference, model.chat, self.kinds, places, hide=hide, loaded=model.loaded
        )

    def rank_units(self, evidence: Evidence, unit: str = "token") -> RankedUnits | str:
        """Rank by what was measured of that unit, else of the first that was measured."""
        measured = evidence.measured
        if measured is not None and measured.kinds:
            evidence = replace(evidence, measured=of_kind(measured, unit))
        return super().rank_units(evidence, unit)

    def rank(self, evidence: Evidence) -> RankedUnits | str:
        """Rank tokens by what their pieces do for the reference, least first.

        A token in no measured piece ranks last: it asks, or was not proposed.
        """
        measured = evidence.measured
        assert measured is not None  # noqa: S101 - it needs the student
        if measured.skipped:
            return measured.skipped
        if isinstance(measured, Attribution):
            effect_P = min_max(np.add(measured.teacher, measured.student))
        else:
            effect_P = min_max(measured.scores)
        if effect_P is None and len(measured.starts) == 1:
            return "only one piece of the question can be taken away, and pieces are compared"
        if effect_P is None:
            return "taking away any piece has the same effect"
        question = evidence.problem.question
        scores = []
        for token in evidence.tokens:
            place = text_start(question, token)
            piece = int(np.searchsorted(measured.starts, place, side="right")) - 1
            inside = piece >= 0 and place < measured.ends[piece]
            scores.append(float(effect_P[piece]) if inside else 1.0)
        return RankedUnits(
            problem_id=evidence.problem.id,
            starts=tuple(start for start, _ in evidence.tokens),
            ends=tuple(end for _, end in evidence.tokens),
            rank_score=tuple(scores),
        )

    @property
    def chooses_places(self) -> bool:
        """Whether the gradient proposes what is taken away."""
        return self.options.proposals is not None

    def places(self, evidence: Evidence, gradient: NormalisedScores) -> tuple[Piece, ...]:
        """Propose the pieces of each kind with the lowest mean gradient gap, in text order."""
        question, gap_U = evidence.problem.question, np.asarray(gradient.gap)
        text_U = np.asarray([bool(question[slice(*token)].strip()) for token in evidence.tokens])
        place_U = np.asarray([text_start(question, token) for token in evidence.tokens])

        def mean_gap(piece: Piece) -> float:
            inside_U = (piece[0] <= place_U) & (place_U < piece[1]) & text_U
            return float(gap_U[inside_U].mean()) if inside_U.any() else 1.0

        chosen: set[Piece] = set()
        for unit in self.kinds:
            every = evidence.tokens if unit == "token" else pieces(question, unit)
            free = [piece for piece in every if may_go(question[slice(*piece)])]
            chosen.update(sorted(free, key=mean_gap)[: self.options.proposals])
        return tuple(sorted(chosen))

    def measure_key(self) -> dict[str, Any]:
        """Name the unit, or the units; which pieces were proposed is named by themselves."""
        kinds = self.kinds
        hide = {"hide": True} if self.options.hide else {}
        return {"ablation_unit": kinds[0] if len(kinds) == 1 else kinds, **hide}

    def rank_key(self) -> dict[str, Any]:
        """Name nothing: what was measured decides the ranking."""
        return {}


def _score_batch(
    model: MeasuredModel, problems: Sequence[Problem], trials: Sequence[Trial]
) -> Iterator[Sensitivity]:
    from leaf.attribute.tail_losses import fed, tail_losses

    losses = tail_losses(
        model.loaded.model,
        model.head,
        [(trial.whole, *trial.cut) for trial in trials],
        token_budget=model.token_budget,
        share=model.paths.shares,
    )
    for problem, trial, (whole_R, *cut) in zip(problems, trials, losses, strict=True):
        scores = tuple(
            sum(float(cut_R[-back] - whole_R[-back]) for back in counted) / trial.tokens
            for cut_R, counted in zip(cut, trial.counted, strict=True)
        )
        loss = float(whole_R[-trial.reference_length :].mean())
        check_finite((*scores, loss), problem, model.loaded)
        shown = [at for _, at in trial.kinds] or range(len(trial.places))
        yield Sensitivity(
            problem_id=problem.id,
            starts=tuple(trial.places[at][0] for at in shown),
            ends=tuple(trial.places[at][1] for at in shown),
            scores=tuple(scores[at] for at in shown),
            loss=loss,
            kinds=tuple(kind for kind, _ in trial.kinds),
            fed=fed((trial.whole, *trial.cut), share=model.paths.shares),
        )


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
    asked = _asked(problem, chat, len(whole.ids))
    cut: list[EncodedExample | Hidden] = []
    counted = []
    for place in chosen:
        left = problem if hide else replace(problem, question=_without(problem, place))
        one = (
            whole
            if hide
            else chat.encode(left.content, reference, left.response_prefix, left.turns)
        )
        # A first token has none before it that could predict it.
        after = [back for start, back in asked if start >= place[1] and back < len(one.ids)]
        counted.append((*after, *range(length, 0, -1)))
        one = replace(one, prompt_length=len(one.ids) - counted[-1][0])
        cut.append(Hidden(one, _tokens(problem, chat, place)) if hide else one)
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


def _tokens(problem: Problem, chat: "PromptFormat", place: Piece) -> tuple[int, int]:
    """Return the first token of a piece and the first behind it; (0, 0) where it has none."""
    found = [
        token
        for unit in chat.prompt(problem).units
        if place[0] <= unit.start < place[1]
        for token in unit.tokens
    ]
    return (min(found), max(found) + 1) if found else (0, 0)


def _without(problem: Problem, place: Piece) -> str:
    """Return the question without a piece; a segment of a response keeps the space that is first.

    There it stands between the segment and what the response said before.
    """
    earlier = problem.before if problem.prompt else ""
    start, end = place
    shifted = (len(earlier) + start, len(earlier) + end)
    return without(earlier + problem.question, shifted)[len(earlier) :]


def _asked(problem: Problem, chat: "PromptFormat", length: int) -> list[tuple[int, int]]:
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
