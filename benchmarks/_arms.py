"""The detectors that are measured, how each agrees with what is planted, and what each costs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks._ranking import Agreement, agreement
from benchmarks.common import ROOT
from leaf.attribute import Detector, normalise_scores
from leaf.attribute.batched import Item
from leaf.attribute.detectors.ablation import Ablation
from leaf.attribute.embedding_gradient import unscored
from leaf.attribute.tail_losses import fed
from leaf.attribute.trials import plan_trial
from leaf.errors import LeafError
from leaf.models.load import load_tokenizer
from leaf.models.prompt_format import PromptFormat
from leaf.pipeline.detectors import evidence_of, measure, proposed, rank
from leaf.pipeline.session import Session
from leaf.progress import say
from leaf.prune import candidates
from leaf.recipe import PruneSection
from leaf.recipe.detectors import load_plugin
from leaf.records import Attribution, Problem, RankedUnits

UNIT = "token"
"""What is ranked and marked, whatever units recipes cut by."""

Pair = tuple[Problem, str]
"""A problem and its reference response."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """A detector with its settings."""

    detector: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """The detector's own."""
    slow: bool = False
    """Left out on real models unless asked for: hours on a CPU, or known to be no better."""
    alone: bool = False
    """The student alone is measured, though there is a teacher."""


for _file in ("gradient_norms.py", "integrated_gradients.py"):
    load_plugin(str(ROOT / "examples" / _file))

ARMS = {
    "gradient": Arm(detector="gradient"),
    "gradient_l1": Arm(detector="gradient_l1", slow=True),
    "input_x_gradient": Arm(detector="input_x_gradient", slow=True),
    "teacher": Arm(detector="teacher"),
    "attention": Arm(detector="attention"),
    "integrated_gradients": Arm(detector="integrated_gradients", slow=True),
    "ablation": Arm(detector="ablation"),
    "ablation_of_proposals": Arm(detector="ablation", options={"proposals": 2}, slow=True),
    "lens": Arm(detector="lens"),
    "random": Arm(detector="random"),
    "perplexity": Arm(detector="perplexity"),
    "oracle": Arm(detector="oracle"),
}
"""What can be measured. To add a detector: its line here."""

PIECES = {
    f"ablation_{unit}": Arm(detector="ablation", options={"unit": unit})
    for unit in ("sentence", "clause", "phrase")
}
for _unit in ("sentence", "phrase"):
    for _name, _hide in (("alone", False), ("hidden", True)):
        _options = {"unit": _unit, "hide": _hide}
        PIECES[f"ablation_{_unit}_{_name}"] = Arm(detector="ablation", options=_options, alone=True)
"""Ablation by what it takes away at a time; by the student alone; and there hiding the pieces."""

_EVERY = {**ARMS, **PIECES}


def agree(
    session: Session, pairs: Sequence[Pair], arms: Iterable[str]
) -> tuple[dict[str, list[Agreement]], int]:
    """Rank each problem's tokens by each arm and compare with what is planted.

    Returns:
        Agreements by arm, and how many problems have no ranking by Eq. 4 (equal scores everywhere).
    """
    if not pairs:
        raise LeafError("no problem entered detection: take more problems, or another seed")
    found: dict[str, list[Agreement]] = {}
    for name in arms:
        found[name] = _agreements(varied(session, _EVERY[name]), _EVERY[name], pairs)
    scores = [normalise_scores(item) for item in session.attributions("gradient", pairs)]
    without_ranking = [item for item in scores if isinstance(item, str)]
    if without_ranking:
        say(f"{len(without_ranking)} of {len(pairs)} problems have no ranking")
    if len(without_ranking) == len(pairs):
        raise LeafError(f"no problem can be ranked; the first one: {without_ranking[0]}")
    return found, len(without_ranking)


def varied(session: Session, arm: Arm) -> Session:
    """Return the session with an arm's settings, over the same store and models."""
    attribute = session.recipe.attribute.with_options(**{arm.detector: arm.options})
    recipe = session.recipe.model_copy(update={"attribute": attribute})
    other = Session(recipe, session.store)
    other.sources = session.sources
    return other


def _agreements(session: Session, arm: Arm, pairs: Sequence[Pair]) -> list[Agreement]:
    detector = session.detector(arm.detector)
    gradient = session.attributions("gradient", pairs)
    found = measure(session, detector, pairs, gradient, teacher=not arm.alone)
    measured = {item.problem_id: item for item in found}
    section = PruneSection()
    agreements = []
    for (problem, _), attribution in zip(pairs, gradient, strict=True):
        evidence = evidence_of(problem, attribution, measured.get(problem.id))
        if isinstance(evidence, str):
            continue
        ranked = rank(detector, evidence, section, UNIT)
        if isinstance(ranked, RankedUnits):
            marked_U = candidates(ranked, problem.question, section)
            agreements.append(agreement(ranked, marked_U, problem))
    return agreements


# Cost.


def costs(session: Session, pairs: Sequence[Pair], arms: Iterable[str]) -> dict[str, float]:
    """Return what each arm's scores cost, in forward passes over prompt and reference.

    The mean over problems of the sum over both models; a forward counts 1 a token, a backward 2.
    What shares a prefix is counted once, and what all problems begin with not at all; nor is
    padding. `random` and `perplexity` need the gradient for their count alone, which is not
    counted either.
    """
    sections = {"student": session.recipe.student, "teacher": session.recipe.teacher}
    chats = {
        role: PromptFormat(
            load_tokenizer(session.sources[role]), name=section.model, system=section.system
        )
        for role, section in sections.items()
    }
    found = {}
    for name in arms:
        shop = varied(session, _EVERY[name])
        gradient: Sequence[Attribution | None] = [None] * len(pairs)
        detector = shop.detector(_EVERY[name].detector)
        if detector.chooses_places:
            gradient = shop.attributions("gradient", pairs)
        total = sum(
            _cost(detector, role, chats[role], pair, attribution)
            for pair, attribution in zip(pairs, gradient, strict=True)
            for role in (("student",) if _EVERY[name].alone else chats)
        )
        found[name] = total / len(pairs)
    return found


def _cost(
    detector: Detector,
    role: str,
    chat: PromptFormat,
    pair: Pair,
    gradient: Attribution | None,
) -> float:
    """Return one model's forward-equivalents on one problem."""
    problem, reference = pair
    if role in _PASSES.get(detector.name, {}):
        return _PASSES[detector.name][role]
    whole = chat.encode(problem.content, reference)
    # What stands before the question is computed once for all problems.
    free = unscored([Item(prompt=chat.prompt(problem), conversation=whole)])
    backed = 3 * (1 - free / len(whole.ids))
    if detector.name in _BACKWARD or (detector.name == "teacher" and role == "teacher"):
        return backed
    if detector.name == "integrated_gradients":
        return backed * int(detector.options.steps) + 1
    if detector.name in ("perplexity", "lens"):
        asked = role == "student" or detector.name == "lens"
        return whole.prompt_length / len(whole.ids) if asked else 0.0
    places = None if gradient is None else proposed(detector, problem, gradient)
    assert isinstance(detector, Ablation)
    hide: bool = detector.options.hide
    trial = plan_trial(problem, reference, chat, detector.kinds, places, hide=hide)
    cut = () if isinstance(trial, str) else trial.cut
    return fed((whole, *cut), share=True) / len(whole.ids) + (backed if gradient is not None else 0)


_BACKWARD = ("gradient", "gradient_l1", "input_x_gradient")
"""Detectors that take one backward pass of each model."""

_PASSES: dict[str, dict[str, float]] = {
    "teacher": {"student": 0},
    "attention": {"student": 1, "teacher": 1},
    "random": {"student": 0, "teacher": 0},
    "oracle": {"student": 0, "teacher": 0},
}
"""Forward-equivalents of what costs the same for every problem."""
