r"""What kind of answer a gold is, and which grader fits a whole data set of them."""

import re
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from leaf.text.latex import boxes, without_commands
from leaf.text.number import read_number


class Kind(StrEnum):
    """What a gold answer is."""

    NUMBER = "number"
    """One number, with at most two words beside it."""
    OPTION = "option"
    """A letter from A to H."""
    FORMULA = "formula"
    TEXT = "text"


NAME = 6
"""Words of an answer that is a name rather than a sentence."""

_WORDS = 2
_FEW = 0.1
"""Share of golds of another kind that does not make another data set."""

_OPTION = re.compile(r"\(?[A-H][).]?")
_WORD = re.compile(r"[^\W\d_]{2,}")
_NAMES = {"pi", "sqrt", "sin", "cos", "tan", "log", "ln", "exp", "inf", "infinity", "mod", "or"}
_DATE = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}(?:[T ][\d:.]+)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}"
    r"|\d{1,2}:\d{2}(?::\d{2})?\s?(?:[ap]\.?m\.?)?",
    re.IGNORECASE,
)
_FORMULA = re.compile(r"\\[A-Za-z{]|[\^=√∞π²³]|[0-9A-Za-z)]\s?[-+*/]\s?[0-9A-Za-z(]")


def kind_of(gold: str) -> Kind:
    """Say what a gold answer is; a worked solution is what it ends in."""
    text = gold.strip()
    text = next(reversed(boxes(text)), text.rpartition("####")[2].strip())
    words = [word for word in _WORD.findall(text) if word.lower() not in _NAMES]
    if read_number(text) is not None and len(words) <= _WORDS:
        return Kind.NUMBER
    if _OPTION.fullmatch(without_commands(text).strip()):
        return Kind.OPTION
    if _DATE.fullmatch(text):
        return Kind.TEXT
    if "\\" in text:
        return Kind.FORMULA
    is_plain = all(len(word) < 3 for word in words)
    is_list = re.fullmatch(r"[\s0-9A-Za-z.,;:()\[\]{}<>-]+", text) and re.search("[0-9(]", text)
    return Kind.FORMULA if is_plain and (is_list or _FORMULA.search(text)) else Kind.TEXT


def fitting_grader(golds: Iterable[str]) -> str | None:
    """Return the grader that golds plainly ask for: `numbers`, `math` or `qa`; else None."""
    counts = Counter(map(kind_of, golds))
    every = counts.total()
    if not every:
        return None
    if counts[Kind.TEXT] >= every / 2:
        return "qa"
    if counts[Kind.TEXT]:
        return None
    return "math" if counts[Kind.OPTION] + counts[Kind.FORMULA] > _FEW * every else "numbers"
