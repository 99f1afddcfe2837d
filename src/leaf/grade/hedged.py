r"""Answers that name no single value: `not 5`, `at least 5`, `\leq 5`, `(A), (B) or (C)`.

Such an answer is wrong where the gold is one value, whatever value it names.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from leaf.text.latex import without_commands
from leaf.text.number import LONGEST, NUMBER, cleaned, read_number

HEDGED = "denies the value that it names, or only bounds it"
SEVERAL = "names several options"

_RELATION = r"\\(?:leq?|geq?|neq?|lt|gt|leqslant|geqslant|neg|lnot)(?![A-Za-z])|[<>≤≥≠¬⩽⩾]=?|!="
_FILLED = (
    r"(?:[\s\"'“*$]|\\text|[{(}]|\b(?:equal to|be|a|an|the|option|exactly|is|only|just)\b){1,12}"
)
_DENIAL = (
    r"(?:\b(?:not|never|neither|cannot|anything but|nicht|keine?|pas|não é|non è"
    rf"|no (?:es|son|sería|puede ser))|n['’]t){_FILLED}"
    r"|(?:不是|不等于|不等於|并非|並非|不会是|不會是|不可能是)[\s$]{0,2}"
)
_LIMIT = (
    r"\b(?:no (?:more|less|fewer) than|at (?:least|most)"
    r"|(?:less|more|fewer|greater|larger|smaller|bigger|lower|higher) than|under|over|below|above"
    r"|up to|beyond|exceeds|between|mindestens|höchstens|weniger als|mehr als"
    rf"|au moins|au plus|moins de|plus de|al menos|como máximo|menos de|más de){_FILLED}"
    r"|(?:至少|至多|最多|不到|超过|超過|大于|大於|小于|小於|少于|多于)\s?"
    rf"|(?:{_RELATION})[\s{{(]{{0,9}}"
)
_BEFORE = re.compile(rf"(?:{_DENIAL}|{_LIMIT})[-+$]?$", re.IGNORECASE)
_LIMIT_AFTER = (
    r"[\s}),]{0,9}(?:or (?:more|less|fewer|greater|so more)\b|and (?:above|below|more|less|up)\b"
    r"|以上|以下|以内|oder mehr|ou plus|o más|이상|이하|\+(?![\s0-9A-Za-z\\(]))"
)
_REJECTED = (
    r"[\s}),$*\"'”]{0,9}(?:(?:is|was)(?: not|n['’]t) (?:the |a )?(?:(?:correct|right|final) )?"
    r"(?:answer|solution|result|correct|right|true)\b|(?:is|was) (?:wrong|incorrect|false)\b"
    r"|ist (?:falsch|nicht (?:die|das|richtig|korrekt)\w{0,3})\b"
    r"|n['’]est pas (?:la|le|correct|juste)\b|est (?:faux|fausse|incorrecte?)\b"
    r"|no es (?:la|el|correct[oa]|cierto)\b|es (?:incorrect[oa]|fals[oa])\b"
    r"|不是(?:正确的?|正確的?)?答案|不对|不對|(?:では|じゃ)(?:ない|ありません)|[이가은는]?\s?(?:아니|아닙|아닌))"
)
_AFTER = re.compile(rf"{_LIMIT_AFTER}|{_REJECTED}", re.IGNORECASE)
_DENIED = re.compile(rf"(?:{_DENIAL}|\b(?:instead of|rather than)\s)[-+$]?$", re.IGNORECASE)
_DENIED_AFTER = re.compile(_REJECTED, re.IGNORECASE)
_NOTHING_ELSE = r"\W{0,9}(?:(?:it|this|that|[a-z])(?:['’]s)?(?: is| must be)?\s)?"
_ALONE = re.compile(rf"{_NOTHING_ELSE}[-+$]?", re.IGNORECASE)
_LIMIT_ALONE = re.compile(rf"{_NOTHING_ELSE}(?:{_LIMIT})[-+$]?", re.IGNORECASE)
_LIMITED_AFTER = re.compile(_LIMIT_AFTER, re.IGNORECASE)
_BOUND = re.compile(rf"[\s${{(]{{0,9}}(?:{_RELATION})")
_ONE = re.compile(r"(?<![A-Za-z])[A-H](?![A-Za-z])")
_SPACES = re.compile(r"(?:\\[ ,;:!]|\\q?quad(?![A-Za-z])|~|\s)+")
_LIST = re.compile(
    r"(?i:either |both |options? |choices? ){0,3}"
    r"[A-H](?:(?:[\s,;/&]|\b(?:and|or|option)\b){1,9}[A-H])+"
    r"[\s.,;]{0,9}(?:are (?:all )?(?:correct|right))?\.?"
)
_NO_VALUE = re.compile(
    rf"{_RELATION}|[\[\](),;]|\\(?:cup|cap|in|infty|setminus|mathbb|emptyset|pm|begin|\{{)(?![A-Za-z])"
)
_INSTEAD = re.compile(
    r"^.{0,40}?(?:\b(?:not|nicht|pas|no)\b|n['’]t\b).{1,60}?"
    r"(?:\b(?:but|rather|sondern|mais|sino)\b\s?|[,;:] (?:it|that)(?:['’]s| is| must be)\s)"
    r"|^.{0,20}?不是.{1,40}?而是",
    re.IGNORECASE,
)
_OR = re.compile(r"\s?(?:or|oder|ou|或|或者)\s?([-+]?[0-9][0-9.,/]{0,40}?)[\s.!)}]{0,9}$")
_REACH = 80
"""Characters beside a value in which a hedge is looked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Affirmed:
    """What a text without a mark leaves standing."""

    text: str
    """Up to the last number that it does not deny; where it denies all, what denies the last."""
    hedged: bool
    """Whether it says no number but to deny it, or nothing but a bound."""


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
    return number is not None and is_doubted(plain, number)


def is_doubted(text: str, number: re.Match[str]) -> bool:
    """Whether a number is denied, only bounded, or one of two to choose from."""
    return hedge(text, number.start(), number.end()) or _is_one_of_two(text, number)


def _is_one_of_two(text: str, number: re.Match[str]) -> bool:
    """Whether another number is left to choose from at the end: `12 or 13`, not `1/2 or 0.5`."""
    other = _OR.match(text, number.end())
    if other is None:
        return False
    first, second = read_number(number.group()), read_number(other[1])
    return not (first and second and first / second in (1, 100, Fraction(1, 100)))


def is_one_value(gold: str) -> bool:
    """Whether a gold answer is a value: no bound, interval, set, list or point."""
    return _NO_VALUE.search(gold) is None


def affirmed(said: str) -> str:
    """Return what a sentence says in place of what it denies: `6` of `not 5 but 6`."""
    return _INSTEAD.sub("", said, count=1)


def without_denied(text: str) -> Affirmed:
    """Drop the numbers that a text denies at its end: `not 6` of `It is 5, not 6`.

    A text that is nothing but a bound (`at least 5`) says no number either.
    """
    denied: set[str] = set()
    phrase, upto = "", len(text)
    numbers = list(NUMBER.finditer(text))
    for at, number in reversed(list(enumerate(numbers))):
        begin = max(number.start() - _REACH, numbers[at - 1].end() if at else 0)
        before, after = text[begin : number.start()], text[number.end() : number.end() + _REACH]
        if mark := _DENIED.search(before):
            upto = begin + mark.start()
        elif _DENIED_AFTER.match(after):
            upto = number.start()
        elif number.group() in denied:
            break
        else:
            alone = len(numbers) == 1 and (
                _LIMIT_ALONE.fullmatch(before)
                or (_ALONE.fullmatch(before) and _LIMITED_AFTER.match(after))
            )
            return Affirmed(text=text if alone else text[:upto], hedged=bool(alone))
        denied.add(number.group())
        phrase = phrase or f"{before}{number.group()}{after}"
    return Affirmed(text=phrase or text, hedged=bool(denied))


def hedged_options(said: str) -> str | None:
    """Return why a final answer chooses no single option; None where it may."""
    plain = _SPACES.sub(" ", without_commands(said)).strip()
    if _LIST.fullmatch(plain) and len(set(re.findall("[A-H](?![A-Za-z])", plain))) > 1:
        return SEVERAL
    first = _ONE.search(plain)
    return HEDGED if first and hedge(plain, first.start(), first.end()) else None
