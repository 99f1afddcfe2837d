"""The records that flow from stage to stage: frozen dataclasses, kept by `leaf.store.parquet`."""

import dataclasses
import reprlib
from enum import StrEnum

UNNAMED = {"unnamed": True}
"""Metadata of a field that came later: at its default it is no part of what names a result."""

NEVER_NAMED = {"never_named": True}
"""Metadata of a field that changes no result: it is no part of what names one."""

STORED_AS = "stored_as"
"""Key of a field's metadata: the name that it had before, which files and keys keep."""


class Outcome(StrEnum):
    """The three outcomes of grading; "could not be graded" is never folded into wrong."""

    RIGHT = "right"
    WRONG = "wrong"
    UNGRADABLE = "ungradable"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Distractor:
    """A piece of a question that is known to distract: ground truth that no real data set has."""

    kind: str
    """What it is: in the playground `cue` or `numeric`, in GSM-IC `sentence`."""
    start: int
    """First character in the question."""
    end: int
    """One past its last character in the question."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Protected:
    """A piece of a question that its grader needs, so that it must never be cut."""

    what: str
    """What it is, for people: `entry point`, `test name`, `entity`."""
    start: int
    """First character in the question."""
    end: int
    """One past its last character in the question."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One input of a program and what it must say."""

    given: str
    """What it reads from standard input; for a function, its arguments as JSON, one a line."""
    expected: str
    """What it must print; for a function, what it must return, as JSON."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Tests:
    """How a program is checked: by `program`, or by `cases`. Trusted: it comes with the data.

    Neither enters the sandbox that runs the model's program: it is asked, and what it says is
    judged elsewhere.
    """

    entry_point: str = ""
    """What is called: `add`, `Solution().twoSum`; "" where `cases` are standard input."""
    preamble: str = ""
    """Python put before the model's program: imports, and what the prompt had already defined."""
    program: str = ""
    """Assertions: Python that calls what the model's program defines (the entry point also as
    `candidate`) and raises where that is wrong."""
    helpers: str = ""
    """Python that `program` needs besides: node classes, the functions that a prompt defines."""
    cases: tuple[Case, ...] = ()
    """Inputs and outputs, of a function with an entry point and of a whole program without."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """A message of a conversation that stands before the question."""

    role: str
    """`system` (first alone), `user` or `assistant`."""
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One question with its known answer. The user's message is `before + question + after`.

    At response level (`leaf.prune.segments`) that text begins the response to `prompt` instead.

    >>> leaf.Problem(id="q1", question="How many?", answer="3", solution="#### 3")
    Problem('q1', 'How many?')
    """

    id: str
    """Unique within its data set; stable when the file is read again."""
    question: str
    """The instruction X, or a segment of a response: the only text that is scored and cut."""
    answer: str
    """The gold final answer, as the grader takes it; "" for code, and where there is no answer."""
    solution: str
    """The data set's worked solution, or "" where it has none; the rest of it at response level."""
    before: str = ""
    """Text of the message (or response) before the question; never scored, never cut."""
    after: str = ""
    """Text of the message after the question, such as a request for an answer format."""
    grader: str = "numbers"
    """Which grader judges an answer (a key of `leaf.grade.GRADERS`)."""
    distractors: tuple[Distractor, ...] = ()
    """What is known to distract, in text order; only `oracle` selection and benchmarks look."""
    protected: tuple[Protected, ...] = dataclasses.field(default=(), metadata=UNNAMED)
    """What must never be cut, in any order."""
    prompt: str = dataclasses.field(default="", metadata=UNNAMED)
    """The whole user's message of a response-level problem; "" where the question is part of it."""
    golds: tuple[str, ...] = dataclasses.field(default=(), metadata=UNNAMED)
    """Other answers that are as good (aliases), or, for `olympiad`, all that must be given."""
    tolerance: float | None = dataclasses.field(default=None, metadata=UNNAMED)
    """Largest absolute error of a number that still counts as right; None: it must be exact."""
    tests: Tests | None = dataclasses.field(default=None, metadata=UNNAMED)
    """How a program is checked, where the answer is one."""
    base: str = dataclasses.field(default="", metadata=UNNAMED)
    """The id of the problem that this one is a variant of (distracted, paraphrased), else ""."""
    sample: int = dataclasses.field(default=0, metadata=UNNAMED)
    """Which of several sampled answers this asks for; ids differ too."""
    grader_options: str = dataclasses.field(default="", metadata=NEVER_NAMED)
    """Options of the grader that are not at their default, as JSON, else "": they name its scores
    and never the answers."""
    source: str = dataclasses.field(default="", metadata=NEVER_NAMED)
    """The part of the data set that it comes from, as the data name it, else ""."""
    turns: tuple[Turn, ...] = dataclasses.field(default=(), metadata=UNNAMED)
    """The conversation before the user's message; never scored, never cut."""

    def __repr__(self) -> str:
        return f"Problem({self.id!r}, {reprlib.repr(self.question)})"

    @property
    def content(self) -> str:
        """The whole text of the user's message."""
        return self.prompt or self.before + self.question + self.after

    @property
    def asked(self) -> slice:
        """The characters of `question` that ask: all, less passages before them, options after."""
        places = {place.what: place for place in self.protected}
        if own := places.get("question"):
            return slice(own.start, own.end)
        options = places.get("options")
        return slice(0, options.start if options else len(self.question))

    @property
    def response_prefix(self) -> str:
        """How the response begins that a model is to continue; "" at instruction level."""
        return self.before + self.question + self.after if self.prompt else ""

    @property
    def level(self) -> str:
        """Where the question stands: `instruction` or `response`."""
        return "response" if self.prompt else "instruction"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a model wrote for one problem."""

    problem_id: str
    text: str
    """The response without its end-of-turn token; "" with a `failure`."""
    prompt_tokens: int
    response_tokens: int
    """Tokens generated, the end-of-turn token included."""
    truncated: bool
    """True when the token limit came before the end of the turn."""
    failure: str | None = None
    """Why there is no answer (a prompt longer than the model's context), else None."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """One more number that a grader gives an answer."""

    name: str
    """`EM`, `F1`, `SubEM`."""
    value: float
    """In [0, 1]."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A grader's judgement of one answer."""

    problem_id: str
    outcome: Outcome
    extracted: str | None
    """The final answer that the grader found in the text, or None."""
    reason: str | None
    """Why the answer could not be graded, why a program failed, or what a judge said, else None."""
    measures: tuple[Measure, ...] = ()
    """What else is measured, the same names for every answer of a benchmark."""

    @property
    def right(self) -> bool:
        """Whether the answer was graded right."""
        return self.outcome is Outcome.RIGHT


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sensitivity:
    """One model's raw scores for one problem; with `skipped` all else is empty.

    A unit is a token, or several tokens that share a character. Units are in text order and do not
    overlap (with `kinds`: those of one kind); `starts[i]:ends[i]` are characters of
    `Problem.question`.
    """

    problem_id: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    scores: tuple[float, ...]
    """How strongly each unit moves the loss (Eq. 2), >= 0; of `ablation` any sign."""
    loss: float
    """Mean cross-entropy of the reference, nats per token."""
    skipped: str | None = None
    """Why this problem has no scores, else None."""
    kinds: tuple[str, ...] = dataclasses.field(default=(), metadata=UNNAMED)
    """What each unit is (`phrase`, `sentence`) where several kinds were measured, else empty."""
    fed: int = dataclasses.field(default=0, metadata=UNNAMED)
    """Tokens that the model read for it, padding left out; 0: not counted."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Attribution:
    """Both models' raw scores of one problem side by side; units as in `Sensitivity`."""

    problem_id: str
    reference: str
    """The response y whose loss was differentiated."""
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    teacher: tuple[float, ...]
    """Raw teacher scores, before normalisation; signs as in `Sensitivity`."""
    student: tuple[float, ...]
    """Raw student scores, before normalisation; signs as in `Sensitivity`."""
    teacher_loss: float
    """Mean cross-entropy of the reference under the teacher, nats per token."""
    student_loss: float
    """Mean cross-entropy of the reference under the student, nats per token."""
    skipped: str | None = None
    """Why this problem has no scores, else None."""
    kinds: tuple[str, ...] = dataclasses.field(default=(), metadata=UNNAMED)
    """As of `Sensitivity`."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class NormalisedScores:
    """The normalised scores of one question (Eq. 3 to 5), for selection and for heat maps.

    All values are in [0, 1]; units as in `Attribution`.
    """

    problem_id: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    teacher: tuple[float, ...]
    """Min-maxed teacher sensitivity (Eq. 3)."""
    student: tuple[float, ...]
    """Min-maxed student sensitivity (Eq. 3)."""
    gap: tuple[float, ...]
    """Min-maxed teacher - student (Eq. 4, 5): 0 is what only the student leans on."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RankedUnit:
    """A unit as a detector ranked it: a token, word, phrase, clause, sentence or paragraph."""

    start: int
    """First character in the question."""
    end: int
    """One past its last character in the question."""
    score: float
    """In [0, 1]: 1 is what the detector would cut first."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RankedUnits:
    """The units of one question, from what a detector would cut first to what it would cut last.

    Units are in text order and do not overlap: tokens, words, phrases, clauses or sentences.
    """

    problem_id: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    rank_score: tuple[float, ...]
    """In [0, 1]: 0 is cut first. The min-maxed gap of Eq. 5, or any other order."""
    count: int | None = None
    """How many units are candidates; None leaves that to the rule."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A run of neighbouring candidate units of one question, or several where they were joined."""

    start: int
    """First removed character of the question."""
    end: int
    """One past the last removed character."""
    text: str
    """The removed text, `question[start:end]`."""
    gap: float
    """The lowest `RankedUnits.rank_score` among its units; 0 is the problem's most confounding."""
    units: int
    """How many units it covers."""


BETWEEN = "\n+\n"
"""Stands between texts that were put into one question, and between their donors."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Counterfactual:
    """One changed question: X without A, with other text for A, or with text where nothing was."""

    id: str
    """`<problem id>/cf<number>` (`tp` for a transplant, `in` for an injection, `sb` for a
    substitute, `no` for what was refused); also the id of its answers and scores."""
    problem_id: str
    strategy: str
    """`span`, `collective`, `transplant`, `substitute`, `inject`; `placebo` is only asked."""
    spans: tuple[Span, ...]
    """What was removed, in text order."""
    question: str
    """The question after the change."""
    inserted: str = ""
    """What came in at its only span; an injection is `question[start : start + len(inserted)]`.
    Of several texts put in, one a span, the texts with `BETWEEN` between them."""
    donor: str = ""
    """Whose verified cut it was, the problem that it stood in, the template, the placebo's cut;
    one of each text put in, with `BETWEEN` between them."""
    skipped: str | None = None
    """Why it is no question to ask, else None."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether a changed question passed: condition (ii), or the rules of what is put in."""

    counterfactual_id: str
    problem_id: str
    student: Outcome | None
    """None where the student was not asked."""
    teacher: Outcome | None
    """None where the teacher was not asked."""
    student_text: str
    teacher_text: str | None
    kept: bool
    reason: str
    """"kept", or why it was not."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Drop:
    """Something that left the pipeline, and why. Every drop is counted in the report."""

    stage: str
    problem_id: str
    reason: str
