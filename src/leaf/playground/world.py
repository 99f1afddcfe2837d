"""Word problems made from a seed, with the exact characters of what distracts in them.

    At first Ben has 9 pens. At the market, Leo gives 4 pens to Ben. How many pens does Ben have
    now?

Who gives decides whether the answer is a sum or a difference: the true signal, which takes the
binding of two names. A *cue* ("Today, ", "At the market, ") says nothing, but a corpus can let it
agree with the operation. A *numeric distractor* is a sentence with an irrelevant number.

Whether a problem belongs to training or to a test depends on its text without distractors alone, so
no test problem was ever trained on under other distractors.
"""

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from leaf.records import Distractor

PEOPLE = ("Ada", "Ben", "Carl", "Dora", "Eve", "Finn", "Gina", "Hugo", "Ida", "Jack", "Kim", "Leo")
THINGS = ("apples", "books", "cards", "coins", "cups", "eggs", "hats", "keys", "pens", "shells")

CUES = {
    "+": ("Today, ", "Luckily, ", "At the market, ", "Near the old bridge, "),
    "-": ("Yesterday, ", "Suddenly, ", "In the garden, ", "Behind the school, "),
}
"""What a corpus may pair with each operation; each is a clause, so that it can be cut whole."""

ASIDES = (
    "{person} is {number} years old.",
    "{person} lives at number {number}.",
    "The room has {number} chairs.",
    "There are {number} birds outside.",
)
"""Numeric distractors."""

LARGEST = 20
"""Of what somebody has at first."""

_TEST_SHARE = 5
"""One core in this many belongs to the test splits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixture:
    """How often a corpus distracts; shares in [0, 1]."""

    cues: float
    """Share of problems with a cue."""
    agreement: float
    """Share of the cues that agree with the operation."""
    asides: float
    """Share of problems with a numeric distractor."""


SPLITS = {
    "clean": Mixture(cues=0, agreement=0, asides=0),
    "agree": Mixture(cues=1, agreement=1, asides=0),
    "conflict": Mixture(cues=1, agreement=0, asides=0),
    "numeric": Mixture(cues=0, agreement=0, asides=1),
    "both": Mixture(cues=1, agreement=0, asides=1),
}
"""The test splits; `both` has a conflicting cue and a numeric distractor."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Puzzle:
    """One problem of the world."""

    question: str
    solution: str
    """What a model should say: `9 + 4 = 13`."""
    answer: int
    distractors: tuple[Distractor, ...]
    """In text order."""


@dataclass(frozen=True, slots=True)
class _Core:
    """A problem without its distractors."""

    owner: str
    other: str
    thing: str
    has: int
    given: int
    operation: str
    """`+`: the other gives to the owner; `-`: the owner gives to the other."""

    @property
    def giver(self) -> str:
        return self.other if self.operation == "+" else self.owner

    @property
    def taker(self) -> str:
        return self.owner if self.operation == "+" else self.other

    @property
    def is_test(self) -> bool:
        """Whether it belongs to the test splits; the same on every machine."""
        words = (self.owner, self.other, self.thing, self.has, self.given, self.operation)
        return zlib.crc32(repr(words).encode()) % _TEST_SHARE == 0


def puzzles(mixture: Mixture, *, test: bool, seed: int) -> Iterator[Puzzle]:
    """Yield different problems, the same for a seed; there are 400,000, and 100,000 for tests.

    With one seed, all mixtures dress the same cores in the same order.

    Args:
        mixture: How often they distract.
        test: From the cores of the test splits, else from those of training.
        seed: Of everything random.
    """
    cores, clothes = random.Random(f"cores {seed}"), random.Random(f"clothes {seed}")
    seen: set[_Core] = set()
    while True:
        core = _core(cores)
        if core.is_test is test and core not in seen:
            seen.add(core)
            yield _dress(core, mixture, clothes)


def _core(rng: random.Random) -> _Core:
    owner, other = rng.sample(PEOPLE, 2)
    has = rng.randint(2, LARGEST)
    return _Core(
        owner=owner,
        other=other,
        thing=rng.choice(THINGS),
        has=has,
        given=rng.randint(1, has - 1),
        operation=rng.choice("+-"),
    )


def _dress(core: _Core, mixture: Mixture, rng: random.Random) -> Puzzle:
    """Write a core as text, with the distractors that the mixture asks for."""
    cue = _cue(core, mixture, rng) if rng.random() < mixture.cues else ""
    aside = _aside(core, rng) if rng.random() < mixture.asides else ""
    sentences = [
        f"At first {core.owner} has {core.has} {core.thing}.",
        f"{cue}{core.giver} gives {core.given} {core.thing} to {core.taker}.",
        f"How many {core.thing} does {core.owner} have now?",
    ]
    if aside:
        sentences.insert(rng.randrange(len(sentences)), aside)
    question = " ".join(sentences)
    result = core.has + core.given if core.operation == "+" else core.has - core.given
    found = [("cue", cue), ("numeric", aside and f"{aside} ")]
    distractors = [
        Distractor(kind=kind, start=question.index(text), end=question.index(text) + len(text))
        for kind, text in found
        if text
    ]
    return Puzzle(
        question=question,
        solution=f"{core.has} {core.operation} {core.given} = {result}",
        answer=result,
        distractors=tuple(sorted(distractors, key=lambda found: found.start)),
    )


def _cue(core: _Core, mixture: Mixture, rng: random.Random) -> str:
    agrees = rng.random() < mixture.agreement
    other = {"+": "-", "-": "+"}[core.operation]
    return rng.choice(CUES[core.operation if agrees else other])


def _aside(core: _Core, rng: random.Random) -> str:
    others = [person for person in PEOPLE if person not in {core.owner, core.other}]
    numbers = [number for number in range(2, LARGEST + 1) if number not in {core.has, core.given}]
    return rng.choice(ASIDES).format(person=rng.choice(others), number=rng.choice(numbers))
