"""What `leaf.score`, `leaf.cut` and `leaf.verify` return: frozen records with a short repr.

All places are characters of the question: `question[start:end]`.
"""

from dataclasses import dataclass, field

from leaf.records import Outcome, RankedUnits

_SHOWN = 40
"""Most characters of a text in a repr."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredUnit:
    """A piece of a question that was ranked (`leaf.text.units.UNITS`)."""

    start: int
    """First character."""
    end: int
    """One past the last character."""
    text: str
    score: float
    """In [0, 1] over the question: 1 is what the detector would cut first."""

    def __repr__(self) -> str:
        return f"ScoredUnit({self.start}:{self.end}, {self.score:.2f}, {brief(self.text)})"


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredUnit:
    """What was measured of a piece, before it was scaled and ranked."""

    start: int
    end: int
    student: float
    """In the detector's own unit: of `ablation` nats per token, of any sign."""
    teacher: float | None
    """The same of the teacher, on the student's units; None where it was not measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """One question as `leaf.score` ranked it."""

    id: str
    """`q0`, `q1` and so on, by place in the list."""
    question: str
    reference: str
    detector: str
    unit: str
    """What was ranked: `token`, `word`, `phrase`, `clause`, `sentence` or `paragraph`."""
    units: tuple[ScoredUnit, ...]
    """In text order; empty where the question was skipped."""
    measured: tuple[MeasuredUnit, ...]
    """In text order; empty of a detector that measures nothing."""
    skipped: str | None = None
    """Why there is no ranking, else None."""
    ranking: RankedUnits | None = field(default=None, repr=False)
    """The ranking as the rules of `leaf.cut` read it; None where the question was skipped."""

    def __repr__(self) -> str:
        what = f"skipped: {self.skipped}" if self.skipped else f"{len(self.units)} {self.unit}s"
        return f"Scores({self.id}, {brief(self.question)}, {what})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A question with something taken out, or why nothing may be."""

    id: str
    """Unique in a list: the question's id and a number."""
    question: str
    """The whole question."""
    reference: str
    removed: tuple[ScoredUnit, ...]
    """The spans that were taken out, in text order; each has its best unit's score."""
    changed: str
    """The question without them; as it was where nothing was cut."""
    detector: str
    strategy: str
    """`span`: one span alone; `collective`: all of them; `substitute`: a filler in its place;
    `inject`: a text put in where nothing was."""
    inserted: str = ""
    """What stands in place of the span, or came in where nothing was; else ""."""
    place: int | None = None
    """Of what `leaf.inject` put in, its first character in `changed`; else None."""
    donor: str = ""
    """Where that came from: `q3/s1` (a sentence of the fourth question), or a template's name."""
    skipped: str | None = None
    """Why it is no question to ask: a span that must stay, nothing to cut or to put in; or, of what
    was put in, why it is no use. Else None."""

    def __repr__(self) -> str:
        texts = ", ".join(brief(unit.text) for unit in self.removed)
        if self.place is not None:
            texts = f"with {brief(self.inserted)}"
        why = f", skipped: {self.skipped}" if self.skipped else ""
        return f"Cut({self.id}, {texts or 'nothing'}{why})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a model answered, and what the grader made of it."""

    text: str
    outcome: Outcome
    """`right`, `wrong` or `ungradable`."""
    extracted: str | None
    """The final answer that the grader found, or None."""
    reason: str | None
    """Why it could not be graded, else None."""
    truncated: bool = False
    """Whether the token limit came before its end."""

    def __repr__(self) -> str:
        return f"Said({self.outcome}, {brief(self.text)})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """What came of a cut: both models answered the question without it."""

    cut: Cut
    kept: bool
    """Whether the student (and the teacher, if there is one) is right without it."""
    reason: str
    """`kept`, or why it was not."""
    student: Said | None
    """None where the cut was skipped."""
    teacher: Said | None
    """None without a teacher, or where the cut was skipped."""

    def __repr__(self) -> str:
        return f"Verified({self.cut.id}, {self.reason}, {self.cut!r})"


def brief(text: str) -> str:
    """Return a text quoted, its middle left out where it is long."""
    if len(text) > _SHOWN:
        text = text[: _SHOWN // 2].rstrip() + " ... " + text[-_SHOWN // 2 :].lstrip()
    return repr(text)
