r"""Answers that name no single value: `not 5`, `at least 5`, `\leq 5`, `(A), (B) or (C)`.

Such an answer is wrong where the gold is one value, whatever value it names.
"""

import re

from leaf.text.latex import without_commands
from leaf.text.number import LONGEST, NUMBER, cleaned

HEDGED = "denies the value that it names, or only bounds it"
SEVERAL = "names several options"

_RELATION = r"\\(?:leq?|geq?|neq?|lt|gt|leqslant|geqslant|neg|lnot)(?![A-Za-z])|[<>≤≥≠¬⩽⩾]=?|!="
_BEFORE = re.compile(
    r"(?:\b(?:not|isn['’]t|never|neither|no (?:more|less|fewer) than|at (?:least|most)"
    r"|(?:less|more|fewer|greater|larger|smaller|bigger|lower|higher) than|under|over|below|above"
    r"|up to|beyond|exceeds|anything but|nicht|kein|mindestens|höchstens|weniger als|mehr als"
    r"|pas|au moins|au plus|moins de|plus de|al menos|como máximo|menos de|más de)"
    r"(?:[\s\"'“*]|\\text|[{(}]|\b(?:equal to|a|an|the|option|exactly|is)\b){1,12}"
    r"|(?:不是|不等于|不等於|并非|至少|至多|最多|不到|超过|超過|大于|大於|小于|小於|少于|多于)\s?"
    rf"|(?:{_RELATION})[\s{{(]{{0,9}}"
    r")[-+$]?$",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"[\s}),]{0,9}(?:or (?:more|less|fewer|greater|so more)\b|and (?:above|below|more|less|up)\b"
    r"|以上|以下|以内|oder mehr|ou plus|o más|이상|이하|\+(?![\s0-9A-Za-z\\(]))",
    re.IGNORECASE,
)
_BOUND = re.compile(rf"[\s${{(]{{0,9}}(?:{_RELATION})")
_ONE = re.compile(r"(?<![A-Za-z])[A-H](?![A-Za-z])")
_SPACES = re.compile(r"(?:\\[ ,;:!]|\\q?quad(?![A-Za-z])|~|\s)+")
_LIST = re.compile(
    r"(?:either |both |options? |choices? ){0,3}"
    r"[A-H](?:(?:[\s,;/&]|\b(?:and|or|option)\b){1,9}[A-H])+"
    r"[\s.,;]{0,9}(?:are (?:all )?(?:correct|right))?\.?"
)
_NO_VALUE = re.compile(
    rf"{_RELATION}|[\[\](),;]|\\(?:cup|cap|in|infty|setminus|mathbb|emptyset|pm|begin|\{{)(?![A-Za-z])"
)
_INSTEAD = re.compile(
    r"^.{0,40}?\b(?:not|nicht|pas|no)\b.{1,60}?\b(?:but|rather|sondern|mais|sino)\b\s?"
    r"|^.{0,20}?不是.{1,40}?而是",
    re.IGNORECASE,
)
_REACH = 80
"""Characters beside a value in which a hedge is looked for."""


def hedge(text: str, start: int, end: int) -> bool:
    """Whether what stands beside `text[start:end]` makes a bound or a denial of it."""
    before, after = text[max(start - _REACH, 0) : start], text[end : end + _REACH]
    return _BEFORE.search(before) is not None or _AFTER.match(after) is not None


def is_hedged(said: str) -> bool:
    """Whether a final answer denies its number, or only bounds it."""
    if _BOUND.match(said):
        return True
    plain = cleaned(said[:LONGEST])
    number = NUMBER.search(plain)
    return number is not None and hedge(plain, number.start(), number.end())


def is_one_value(gold: str) -> bool:
    """Whether a gold answer is a value: no bound, interval, set, list or point."""
    return _NO_VALUE.search(gold) is None


def affirmed(said: str) -> str:
    """Return what a sentence says in place of what it denies: `6` of `not 5 but 6`."""
    return _INSTEAD.sub("", said, count=1)


def hedged_options(said: str) -> str | None:
    """Return why a final answer chooses no single option; None where it may."""
    plain = _SPACES.sub(" ", without_commands(said)).strip()
    if _LIST.fullmatch(plain) and len(set(re.findall("[A-H](?![A-Za-z])", plain))) > 1:
        return SEVERAL
    first = _ONE.search(plain)
    return HEDGED if first and hedge(plain, first.start(), first.end()) else None
