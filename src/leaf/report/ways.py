"""How each trained student came about: who taught it, what its way found, what it trained on."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from leaf.recipe import Recipe
from leaf.recipe.detectors import options_of
from leaf.recipe.reading import arm_recipes, describe
from leaf.recipe.schema import SELF
from leaf.store.arms import in_order
from leaf.store.results import Results


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """How much was lost on an arm's way, and why."""

    stage: str
    reason: str
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """One student and its way."""

    arm: str
    taught_by: str
    """`teacher` or `itself` (as it was), by KL; `responses`, by cross-entropy; or both."""
    teacher_sees: str
    """What the teacher sees in a changed question's row: `same` as the student, or `cut`, where
    the KL on changed questions is between two contexts."""
    differs: dict[str, Any]
    """Keys of the recipe that this arm has otherwise, with their values."""
    detector: str | None
    """Who ranked; None for a baseline, which looks for nothing."""
    entered: int | None
    """Problems that entered detection; None for a baseline."""
    tried: dict[str, int]
    """How questions were changed (`span`, `inject`, ...) to how many of those there are."""
    kept: dict[str, int]
    """The same of those that verification kept."""
    rows: dict[str, int]
    """How rows were made, `original` or as above, to how many were trained on."""
    responses: dict[str, int]
    """Who wrote the responses, `teacher`, `self` or `gold` (the data's solution), to how many of
    the originals that is."""
    left: list[Left]
    """What was lost, the most frequent first; empty of an arm that has a section of its own."""


def ways(recipe: Recipe, results: Results, trained: Collection[str]) -> list[Way] | None:
    """Describe the way of every arm of `trained`, in the order shown; None before training."""
    if not trained:
        return None
    found = dict(_of(recipe, results, trained, {"leaf": "leaf"}))
    for name, own in arm_recipes(recipe).items():
        if beside := results.beside.get(name):
            found = {**dict(_of(own, beside, trained, {"leaf": name}, recipe)), **found}
    return [found[arm] for arm in in_order(found)]


def _of(
    recipe: Recipe,
    results: Results,
    trained: Collection[str],
    called: Mapping[str, str],
    whole: Recipe | None = None,
) -> Iterator[tuple[str, Way]]:
    """Yield what one recipe trained: its baseline and LeaF, which may be called otherwise."""
    own = results.cuts.get(recipe.attribute.detector)
    for arm in (recipe.baseline, "leaf"):
        name = called.get(arm, arm)
        if name not in trained:
            continue
        leaf = arm == "leaf"
        yield (
            name,
            Way(
                arm=name,
                taught_by=_taught_by(recipe, arm),
                teacher_sees=recipe.distill.teacher_sees if leaf else "same",
                differs=_differs(recipe, whole) if leaf and whole else {},
                detector=recipe.attribute.detector if leaf else None,
                entered=len(results.entered or ()) if leaf else None,
                tried=_count(item.strategy for item in own.tried) if leaf and own else {},
                kept=_count(item.strategy for item in own.kept) if leaf and own else {},
                rows=results.rows.get(arm, {}),
                responses=results.responses.get(arm, {}),
                left=_left(results) if leaf and whole else [],
            ),
        )


def _taught_by(recipe: Recipe, arm: str) -> str:
    section = recipe.distill
    if arm == "rft" or not section.needs_teacher:
        return "responses"
    whose = "itself" if recipe.alone else "teacher"
    kinds = (False, True) if arm == "leaf" else (False,)
    shares = [section.cross_entropy_of(changed=changed) for changed in kinds]
    return f"{whose} and responses" if any(shares) else whose


def _differs(recipe: Recipe, whole: Recipe) -> dict[str, Any]:
    """Return the keys that an arm has otherwise; what it does not compare is left out."""
    detector = recipe.attribute.detector
    # Of a detector that the whole recipe has not, the defaults are nothing to tell.
    usual = describe(options_of(detector)(), f"attribute.{detector}.")
    before = {key: value for key, value, _ in (*usual, *describe(whole))}
    same = {"arms", "attribute.controls"}
    teacher: dict[str, Any] = {}
    if recipe.alone and not whole.alone:
        same |= {key for key in before if key.startswith("teacher.")}
        teacher = {"teacher": SELF}
    changed = {key: value for key, value, _ in describe(recipe) if key not in same}
    return teacher | {key: value for key, value in changed.items() if before.get(key) != value}


def _left(results: Results) -> list[Left]:
    counts = Counter((drop.stage, drop.reason) for drop in results.drops)
    return [
        Left(stage=stage, reason=reason, count=count)
        for (stage, reason), count in counts.most_common()
    ]


def _count(strategies: Iterator[str]) -> dict[str, int]:
    return dict(Counter(strategies))
