"""Ablation: how much less question and reference fit when a piece of the question is taken away."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from leaf.attribute.batched import check_finite, score_in_batches
from leaf.attribute.detector import Detector, Evidence, MeasuredModel
from leaf.attribute.ranking import min_max, of_kind, text_start
from leaf.attribute.trials import Trial, plan_trial
from leaf.errors import ModelError
from leaf.recipe.base import Count, Section
from leaf.recipe.detectors import detector
from leaf.records import Attribution, NormalisedScores, Problem, RankedUnits, Sensitivity
from leaf.text.units import Piece, UnitName, may_go, pieces

if TYPE_CHECKING:
    from leaf.models.paths import Paths

_WIDE = ("phrase", "clause", "sentence", "paragraph")
"""What is measured by itself where it will be cut; tokens and words would take too many passes."""


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
            " the same ranking, in an eighth of the passes where pieces are many",
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
