"""Where a text may stand in a question so that it stays one question with one answer.

A sentence stands at the border of two sentences, a half sentence within one where English has such
clauses. Nothing comes before the first sentence, into or after the one that asks, into what the
grader needs (`Problem.protected`), or into quotations, brackets, formulas and programs.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from leaf.prune.inject.words import MEN, WOMEN, names_in, numbers
from leaf.records import Problem
from leaf.text.units import Piece, may_go, pieces

_ORDERS = (
    "Find|Compute|Calculate|Determine|Evaluate|Solve|Prove|Show|Simplify|Write|Return|Express|State"
    "|Implement|Complete|Estimate|Print|Output|Explain"
)
_ASKS = re.compile(rf"\s*(?:{_ORDERS})\b")

_ENDS = re.compile(r"[.!?…。！？][\"'”’)\]」』）]*\s*$")
_BEGINS = re.compile(r"\s*[\"“‘「『]?(?:[A-Z0-9À-ÖØ-Þ]|\$[0-9]|[^\W\d_a-zß-öø-ÿ])")
_SHORT = re.compile(
    r"(?:\b[A-Za-z]|\b(?:St|No|vs|etc|Prof|Sr|Jr|Inc|Co|Ltd|Mt|Ft|approx|Rev|Gen|Col|Lt|Sgt|Capt"
    r"|Fig|Eq|oz|lbs?|ft|hrs?|min|sec|mi))\.\s*$"
)
"""A point that ends a short form more often than a sentence."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_AUXILIARY = "is|are|was|were|will|would|do|does|did|can|could|has|have|had|should|must|left|remain"
_BACK = re.compile(
    r"\s*(?:(?:and|then|of)\W+)*(?:(?:but|so|also|however|still|instead|otherwise|therefore|thus|hence"
    r"|similarly|likewise|each|both|all|some|half|another|others?|these|those|this|that|it|its|they"
    r"|them|their|one|two|three|such|the\s+(?:rest|others?|remaining|remainder|first|second|third"
    r"|latter|former|same|next|last))\b"
    # Who or what is meant stands before; and of what there are `how many`.
    r"|(?:\w+\s+){0,3}(?:it|its|they|them|their|these|those|theirs)\b"
    r"|.*\bof\s+(?:them|these|those|which)\b"
    rf"|how\s+many\s+(?:more\s+)?(?:{_AUXILIARY})\b)",
    re.IGNORECASE | re.DOTALL,
)
"""A sentence that takes up what the one before it named."""

_PART = re.compile(
    r"%|\bpercent|\b(?:half|third|quarter|fourth|fifth|tenth|remaining|rest|left|[0-9]+/[0-9]+)\b",
    re.IGNORECASE,
)
_HE = re.compile(r"\b(?:he|him|his|himself)\b", re.IGNORECASE)
_SHE = re.compile(r"\b(?:she|her|hers|herself)\b", re.IGNORECASE)
_THEY = re.compile(
    r"\b(?:they|them|their|theirs|themselves|everyone|everybody|both)\b", re.IGNORECASE
)

_OPAQUE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$.*?\$\$|\\\[.*?\\\]|\\\(.*?\\\)|\\begin\{.*?\\end\{[^}]*\}"
    r"|\$[^$\n]*[\\^_{}=][^$\n]*\$|\$[A-Za-z]{1,3}\$|\"[^\"\n]*\"|“[^”]*”|「[^」]*」|『[^』]*』"
    r"|\([^()]*\)|（[^（）]*）|\[[^\[\]]*\]",
    re.DOTALL,
)
_PROGRAM = re.compile(
    r"^(?: {4}|\t|>>> )|^\s*(?:def |class |import |from \w+ import |return |#include|@\w|for .*:$"
    r"|while .*:$|if .*:$)|[{};]\s*$",
    re.MULTILINE,
)
SUBJECT = (
    r"([A-Z][a-z]+) (?!(?:and|or|with|of|in|at|on|from|to|for|by|but|as|than|who|both)\b)(?=[a-z])"
)
"""A first word and what is no part of it: with a name in its place, the name is what acts."""

_SUBJECT = re.compile(rf"\s*{SUBJECT}")
_ENGLISH = re.compile(
    r"\b(?:the|a|an|of|is|are|was|has|have|had|how|to|and|in|at|for|what)\b", re.I
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Border:
    """A place between two sentences where another one can stand."""

    at: int
    """After the last sign of the sentence before it; the space that follows is the next one's."""
    before: str
    """The sentence before it."""
    after: str
    """The sentence after it."""


class Host:
    """A question that may take a text, and what has to be known of it. Places are characters.

    `is_full` says that something was put in already, so that what pulls in it is meant to.
    """

    def __init__(self, problem: Problem, *, is_full: bool = False) -> None:
        self.problem = problem
        self.is_full = is_full
        self.text = problem.question

    @cached_property
    def sentences(self) -> list[Piece]:
        """What is said before the sentence that asks, and that one, in text order."""
        begin = self.problem.asked.start
        found = [
            (start + begin, end + begin)
            for start, end in pieces(self.text[self.problem.asked], "sentence")
        ]
        for number, (start, end) in enumerate(found):
            sentence = self.text[start:end]
            if not may_go(sentence) or _ASKS.match(sentence):
                return found[: number + 1]
        return found

    @property
    def asking(self) -> str:
        """The sentence that asks: with a question mark or an order, else the last one."""
        return self.text[slice(*self.sentences[-1])] if self.sentences else ""

    @cached_property
    def borders(self) -> list[Border]:
        """Where a whole sentence may stand: after a first one, before the one that asks."""
        return [
            Border(at=end, before=self.text[start:end], after=self.text[slice(*following)])
            for (start, end), following in zip(self.sentences, self.sentences[1:], strict=False)
            if self._is_border(start, end, following) and self.is_free(end)
        ]

    def _is_border(self, start: int, end: int, following: Piece) -> bool:
        sentence = self.text[start:end]
        # A heading, a number of a list and a short form are no sentences.
        long = len(_WORD.findall(sentence)) > 1 or not sentence.isascii()
        ends = _ENDS.search(sentence) and not _SHORT.search(sentence)
        return bool(long and ends and _BEGINS.match(self.text[slice(*following)]))

    def is_free(self, at: int) -> bool:
        """Whether text may stand at a place: nothing is there that must stay in one piece."""
        closed = [(place.start, place.end) for place in self.problem.protected]
        closed += self._opaque
        return at <= self._first_program and not any(start < at < end for start, end in closed)

    @cached_property
    def _opaque(self) -> list[Piece]:
        return [found.span() for found in _OPAQUE.finditer(self.text)]

    @cached_property
    def _first_program(self) -> int:
        """Where a program begins, or the end: what stands behind it is no prose for sure."""
        found = _PROGRAM.search(self.text, self.problem.asked.start)
        return found.start() if found else len(self.text)

    @cached_property
    def numbers(self) -> list[int]:
        """Its whole numbers, ascending."""
        return _whole(self.text)

    @cached_property
    def gold_numbers(self) -> list[int]:
        """The whole numbers of the right answers, ascending."""
        return _whole(" ; ".join((self.problem.answer, *self.problem.golds)))

    def side_of(self, text: str) -> str:
        """Say where a text's numbers lie: one `in` the range of the question's, `out` or `none`."""
        said = numbers(text)
        own = self.numbers
        inside = own and any(own[0] <= number <= own[-1] for number in said)
        return "none" if not said else "in" if inside else "out"

    @cached_property
    def is_english(self) -> bool:
        """Whether it reads as English: the texts of our own bank are."""
        return len({found.group().lower() for found in _ENGLISH.finditer(self.text)}) > 1

    @cached_property
    def has_passages(self) -> bool:
        """Whether passages stand before what is asked."""
        return bool(self.problem.asked.start)

    @cached_property
    def _golds(self) -> tuple[set[Fraction], list[str]]:
        golds = [gold for gold in (self.problem.answer, *self.problem.golds) if gold.strip()]
        return {number for gold in golds for number in numbers(gold)}, [
            gold.strip().lower() for gold in golds if not numbers(gold)
        ]

    def gives_away(self, text: str) -> bool:
        """Whether a text says the right answer, by chance or not."""
        values, words = self._golds
        if not values.isdisjoint(numbers(text)):
            return True
        return any(re.search(rf"(?<!\w){re.escape(gold)}(?!\w)", text.lower()) for gold in words)


def takes_up(sentence: str) -> bool:
    """Whether a sentence begins with what only the one before it explains: `They cost`, `Each`."""
    return bool(_BACK.match(sentence))


def speaks_of(sentence: str, things: str) -> bool:
    """Whether a sentence means some things that were told of: `the pens`, or a part of them."""
    return bool(
        re.search(rf"\bthe\s+(?:\w+\s+)?{re.escape(things.rstrip('s'))}", sentence, re.IGNORECASE)
        or _PART.search(sentence)
    )


def may_meet(rest: str, names: Collection[str]) -> bool:
    """Whether persons of these names may come in before `rest` and nobody takes them for others.

    `he`, `she` and `they` in what follows mean people who were there already.
    """
    if _THEY.search(rest):
        return False
    for name in names:
        if (_HE.search(rest) and name not in WOMEN) or (_SHE.search(rest) and name not in MEN):
            return False
    return True


def subject(sentence: str) -> str:
    """Return the first name that a sentence is about: it begins with it and has no other; or ""."""
    begins = _SUBJECT.match(sentence)
    return begins[1] if begins and names_in(sentence) == {begins[1]} else ""


def _whole(text: str) -> list[int]:
    return sorted(int(number) for number in numbers(text) if number.denominator == 1)
