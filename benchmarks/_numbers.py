"""Which of a question's numbers an answer computes with: how a distracted student goes wrong.

Read from the text, so it is rough: numbers in digits alone, and a number counts as computed with
where it stands in a line or sentence that has an equals sign, a fraction, a product or a word of
arithmetic. Two numbers of the same value are one.
"""

import re
from collections.abc import Mapping, Sequence

from leaf.records import Answer, Problem
from leaf.statistics import Values

LEAVES_OUT = "leaves_out"
"""Share of answers that compute with some number of the clean question not at all."""

TAKES_IN = "takes_in"
"""Share of answers that compute with a number which only the distracted question has."""

_OF_NUMBERS = ("numbers", "close")
"""The graders of answers that are numbers."""

COUNTED = {2: "two_numbers", 3: "three_numbers", 4: "four_numbers"}
"""How many different numbers a clean question has, to the name of that part of a test."""

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?!\w|\.\d)")
_UNITS = re.compile(r"\\text\{[^{}]*\}")
_PART = re.compile(r"\n|(?<=[.;:])\s")
_CALCULATION = re.compile(
    r"=|\\frac|\\times|\\div|\b(?:add|subtract|multipl|divid|plus|minus|times)", re.IGNORECASE
)


def numbers_of(text: str) -> set[float]:
    """Return the numbers that a text has in digits.

    Example:
        >>> sorted(numbers_of("Ann has 1,200 pens and 3.5 m of rope, Ben 2nd."))
        [3.5, 1200.0]
    """
    return {float(found) for found in _NUMBER.findall(_without_commas(text))}


def computed_with(text: str) -> set[float]:
    r"""Return the numbers that stand in an answer's calculations.

    Example:
        >>> sorted(computed_with("She has 9 cats. So \\( 7 \\text{ pens} - 2 = 5 \\)."))
        [2.0, 5.0, 7.0]
    """
    plain = _without_commas(_UNITS.sub("", text))
    parts = (part for part in _PART.split(plain) if _CALCULATION.search(part))
    return {float(found) for part in parts for found in re.findall(r"\d+(?:\.\d+)?", part)}


def count_in(problem: Problem) -> str:
    """Say how many numbers a clean question has; "" of others, and of none, one or more than four.

    Example:
        >>> count_in(Problem(id="a", question="2 + 3 + 2?", answer="7", solution=""))
        'two_numbers'
    """
    if problem.base or problem.grader not in _OF_NUMBERS:
        return ""
    return COUNTED.get(len(numbers_of(problem.question)), "")


def computed(
    problems: Sequence[Problem], answers: Sequence[Answer], clean: Mapping[str, str]
) -> dict[str, Values]:
    """Return `leaves_out`, and of distracted questions `takes_in`, by question: 1 or 0.

    Args:
        problems: Of one test.
        answers: To each of them.
        clean: Id to text of the questions that distracted ones are held against.

    Returns:
        Nothing where answers are no numbers, or a question's clean one is not there.
    """
    bases = [clean.get(problem.base or problem.id) for problem in problems]
    if None in bases or any(problem.grader not in _OF_NUMBERS for problem in problems):
        return {}
    leaves_out: dict[str, float] = {}
    takes_in: dict[str, float] = {}
    for problem, answer, base in zip(problems, answers, bases, strict=True):
        needed, used = numbers_of(base or ""), computed_with(answer.text)
        leaves_out[problem.id] = float(bool(needed - used))
        takes_in[problem.id] = float(bool((numbers_of(problem.question) - needed) & used))
    distracted = any(problem.base for problem in problems)
    found: dict[str, Values] = {LEAVES_OUT: leaves_out}
    return found | {TAKES_IN: takes_in} if distracted else found


def _without_commas(text: str) -> str:
    return re.sub(r"(?<=\d),(?=\d{3})", "", text)
