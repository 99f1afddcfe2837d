"""Verified by effect: a cut stays when it frees the student more than its placebos do."""

import dataclasses
from collections.abc import Sequence
from statistics import fmean

from leaf.recipe import VerifySection
from leaf.records import Verdict
from leaf.store.ledger import Control

_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """What was asked about one cut besides the cut itself."""

    placebos: Sequence[float]
    """Of each placebo the share of the student's answers that are right, in [0, 1]."""
    why_few: str
    """Why there are fewer placebos than asked for, else ""."""
    rate: float | None = None
    """Share of sampled answers without A that are right; None where none were sampled."""
    before: float | None = None
    """The same with A."""


def controlled(verdict: Verdict, tried: Tried, section: VerifySection) -> tuple[Verdict, Control]:
    """Hold a cut's verdict against its placebos, and against sampled answers.

    A cut that both models answered right is let go where more than `verify.chance` of its placebos
    free the student as well; with samples where its success is not at least `verify.gain` above
    that of the whole question and, where there are placebos, above the mean of theirs. Without a
    placebo it stays, and its `Control` says why.
    """
    reason = ""
    freed = fmean(tried.placebos) if tried.placebos else None
    if tried.rate is not None and tried.before is not None:
        least = section.gain - _ROUNDING
        if tried.rate - tried.before < least:
            reason = f"sampled success without it rises by less than {section.gain:.0%}"
        elif freed is not None and tried.rate - freed < least:
            reason = f"sampled success is less than {section.gain:.0%} above that of its placebos"
    elif freed is not None and freed > section.chance + _ROUNDING:
        reason = "its placebos free the student as well"
    control = Control(
        greedy=verdict.kept,
        placebos=len(tried.placebos),
        freed=freed,
        rate=tried.rate,
        before=tried.before,
        why_few=tried.why_few,
    )
    if verdict.kept and reason:
        verdict = dataclasses.replace(verdict, kept=False, reason=reason)
    return verdict, control
