r"""Scores answers that are one number, such as GSM8K's.

The final answer is the marked one (`leaf.grade.final`), else the last number of the text: a
fallback for models that ignore the requested format, not used when the answer was cut at the token
limit.

Plain numbers are compared exactly, as fractions, never as floats: `1,234.50`, `\$18`, `18 dollars`,
`20\%`, `1/2`, `1 1/2`, `x = 18`, `3 million`. Currency, percent signs and units are dropped, so
`20%` equals 20. Anything else (`\frac{1}{2}`, `2\sqrt{3}`) goes to the symbolic comparison.
"""

import re
from fractions import Fraction
from math import prod

from leaf.grade.final import FinalAnswer, Mark, final_answer
from leaf.grade.grader import Grader, grader
from leaf.grade.judgement import (
    NOT_FINISHED,
    Comparison,
    Judgement,
    compared,
    decided,
    ungradable,
)
from leaf.records import Answer, Problem
from leaf.text.latex import rewriter

_NUMBER = re.compile(
    r"""
    (?<![\w.])                      # not inside a word or a decimal: the 2 of H2O
    (?P<sign>(?<![)\]}])[-+])?      # after a number or a bracket it is a subtraction
    (?:(?P<whole>[0-9]+)\ +(?=[0-9]+/))?
    (?P<top>(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)
    (?:/(?P<bottom>[0-9]+))?
    (?![0-9])
    """,
    re.VERBOSE,
)
_MAGNITUDES = {
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
_LONGEST = 1000
"""Characters of the longest text taken for a plain number; Python reads up to 4,300 digits."""

# Each takes time linear in the text: hostile answers are read in our own process.
_clean = rewriter(
    (r"[−﹣－]", "-"),  # minus signs that are not ASCII
    (r"\\(?:text|textbf|textrm|mathrm|mathbf|mbox)\s*\{([^{}]*)\}", r" \1 "),
    (r"\{,\}", ","),  # 1{,}234
    (r"\\[,;:!()\[\]]", ""),  # thin spaces, as in 10\,000, and math delimiters
    (r"\\ |~|\*\*|\s", " "),
    (r"(?<=-)\s*\\?[$€£¥]\s*", ""),  # -$18 is one number
    (r"\\?[$€£¥%]", " "),
    (r"\^\s*(?:\{\s*)?\\circ\s*\}?|\\degree\b|°\s*[CF]?\b", " "),
    (r"(?<=[A-Za-z]{2})\s*(?:\^\s*\{?[23]\}?|[²³]|/\s*[A-Za-z]+)", " "),  # cm^2, km/h
    (r"(?<=[0-9A-Za-z])-(?=[A-Za-z]{2})", " "),  # 18-inch
)


@grader
class Numbers(Grader):
    """Right is the same number, exactly."""

    name = "numbers"

    def judge(self, problem: Problem, answer: Answer) -> Judgement | Comparison:
        """Compare the final number of an answer with the gold number, exactly."""
        said = final_number(answer)
        if isinstance(said, Judgement):
            return said
        gold_value, value = read_number(problem.answer), read_number(said)
        if gold_value is not None and value is not None:
            return decided(gold_value == value, said)
        return compared(problem.answer, said)


def final_number(answer: Answer) -> str | Judgement:
    """Return the text of the final number of an answer, or why there is none."""
    said = _marked(final_answer(answer.text, truncated=answer.truncated))
    if said is None and answer.truncated:
        return ungradable(NOT_FINISHED)
    if said is None:
        said = _last_number(answer.text)
    return ungradable("no final number found") if said is None else said


def read_number(text: str) -> Fraction | None:
    """Return the one number that a text says, units aside, or None where it is not plain."""
    if len(text) > _LONGEST:
        return None
    plain = _clean(text).rpartition("=")[2]
    numbers = list(_NUMBER.finditer(plain))
    if len(numbers) != 1:
        return None
    (number,) = numbers
    rest = f"{plain[: number.start()]} {plain[number.end() :]}"
    # A single letter may be a variable (3x, 18k), any other sign an operation: not plain.
    words = re.findall(r"[A-Za-z]+", rest)
    if any(len(word) == 1 and word != "a" for word in words) or re.search(
        r"[^A-Za-z\s.,:;()'\"≈]", rest
    ):
        return None
    value = _value(number)
    magnitude = prod(_MAGNITUDES.get(word.lower(), 1) for word in words)
    return None if value is None else value * magnitude


def _marked(final: FinalAnswer | None) -> str | None:
    """Return the marked answer, or None where a sentence is marked that says no number."""
    if final is None or final.mark is not Mark.STATED or read_number(final.text) is not None:
        return final.text if final else None
    if "\\" in final.text:
        return final.text.strip("$ ")
    number = _NUMBER.search(_clean(final.text).rpartition("=")[2])
    return number.group() if number else None


def _last_number(text: str) -> str | None:
    numbers = [number.group() for number in _NUMBER.finditer(_clean(text))]
    return numbers[-1] if numbers else None


def _value(number: re.Match[str]) -> Fraction | None:
    bottom = int(number["bottom"] or 1)
    if bottom == 0:
        return None
    value = Fraction(number["top"].replace(",", "")) / bottom + int(number["whole"] or 0)
    return -value if number["sign"] == "-" else value
