"""What graders say: a judgement, or the symbolic comparison or program that will give one."""

from dataclasses import dataclass
from typing import Any

from leaf.records import Measure, Outcome, Tests


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """The outcome for one answer, before it carries a problem's id (see `leaf.records.Score`)."""

    outcome: Outcome
    extracted: str | None
    reason: str | None = None
    """Why the answer could not be graded, what made it wrong, or what a judge said, else None."""
    measures: tuple[Measure, ...] = ()
    """What else is measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unjudged(Judgement):
    """Stands for a judgement whose request failed: it is never kept, and asked for again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two texts that only symbolic mathematics can compare; done in another process."""

    gold: str
    """The gold answer, LaTeX without delimiters."""
    answer: str
    """The final answer of the model, or a text that holds it somewhere."""
    whole: bool
    """Whether all of `answer` is the final answer; else it is searched for."""
    golds: tuple[str, ...] = ()
    """Where there are several, all that must be given, each once and in any order, not `gold`."""
    tolerance: float | None = None
    """Largest absolute error of a number; None: it must be exact."""
    relative: float = 0.0
    """Largest error of a number as a share of the gold one, where there is a `tolerance`."""
    stated: bool = False
    """Whether `answer` is a sentence that says the final answer, where it is not the `whole`."""

    @property
    def final(self) -> bool:
        """Whether `answer` is marked as final; else it is the end of a text."""
        return self.whole or self.stated


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """A model's program, which only running it can judge; done in a sandbox."""

    source: str
    """Python as the model wrote it, without what stands before it (`Tests.preamble`)."""
    tests: Tests


LONGEST = 10_000
"""Characters of the longest final answer that is compared: no gold answer has 500."""

NOT_FINISHED = "cut at the token limit before a final answer"

REASONING_CUT = "cut at the token limit before its reasoning ended"

GOLD_UNREADABLE = "gold answer is not readable"
NO_TESTS = "the problem has no tests"
NOT_COMPARED = "symbolic comparison"
"""How reasons begin for which no model is to blame."""

NO_VERDICT = "the judge gave no verdict"
JUDGE_CUT = "the judge was cut at its token limit before a verdict"
"""How reasons begin for which the judge is to blame; its words follow."""


def decided(right: bool, extracted: str, reason: str | None = None) -> Judgement:
    """Return the judgement of an answer that could be compared."""
    outcome = Outcome.RIGHT if right else Outcome.WRONG
    return Judgement(outcome=outcome, extracted=extracted, reason=reason)


def compared(gold: str, said: str, **how: Any) -> Judgement | Comparison:
    """Compare a text that is the final answer and nothing else, if it is not over `LONGEST`.

    `how` may be `golds`, `tolerance` and `relative` of `Comparison`.
    """
    if len(said) > LONGEST:
        return ungradable(f"final answer of {len(said):,} characters", said[:LONGEST])
    return Comparison(gold=gold, answer=said, whole=True, **how)


def ungradable(reason: str, extracted: str | None = None) -> Judgement:
    """Return the third outcome, which is never counted as wrong."""
    return Judgement(outcome=Outcome.UNGRADABLE, extracted=extracted, reason=reason)
