r"""Scores answers that are one number, such as GSM8K's.

The final answer is the marked one (`leaf.grade.final`), else the last number of the text: a
fallback for models that ignore the requested format, not used when the answer was cut at the token
limit.

Plain numbers are compared exactly, as fractions, never as floats; `leaf.text.number` says how they
are read, the gold one by the same rules. Anything else (`\frac{1}{2}`, `2\sqrt{3}`) goes to the
symbolic comparison. What denies a number or bounds it (`not 5`, `at least 5`) is not that number.
"""

from fractions import Fraction
from typing import ClassVar, Literal

from pydantic import Field

from leaf.grade.final import FinalAnswer, Mark, final_answer, spoken
from leaf.grade.grader import Grader, grader
from leaf.grade.hedged import HEDGED, affirmed, is_doubted, is_hedged, without_denied
from leaf.grade.judgement import (
    NOT_FINISHED,
    Comparison,
    Judgement,
    compared,
    decided,
    ungradable,
)
from leaf.recipe import Section
from leaf.records import Answer, Problem
from leaf.text.kinds import Kind, kind_of
from leaf.text.number import NUMBER, cleaned, has_decimal_comma, read_number, with_points


class Decimals(Section):
    """How numbers are written."""

    decimal: Literal["auto", "point", "comma"] = Field(
        "auto",
        description="sign before decimals, in gold answers and a model's; auto: a comma where the"
        " gold answer has one that can be nothing else (3,5 or 1.234,5)",
    )

    def comma(self, gold: str) -> bool:
        """Whether the decimals of a problem with this gold answer stand after a comma."""
        return self.decimal == "comma" or (self.decimal == "auto" and has_decimal_comma(gold))


class OfNumbers(Grader):
    """What graders of numbers have in common."""

    Options: ClassVar[type[Section]] = Decimals
    options: Decimals

    def unfit(self, gold: str) -> str:
        """Say that a gold answer is no number; a formula may be one."""
        return "" if kind_of(gold) in (Kind.NUMBER, Kind.FORMULA) else "no number"

    def judge(self, problem: Problem, answer: Answer) -> Judgement | Comparison:
        """Compare the final number of an answer with the gold number."""
        comma = self.options.comma(problem.answer)
        said = final_number(answer, comma=comma)
        if isinstance(said, Judgement):
            return said
        gold = gold_number(problem)
        if is_hedged(said) and not is_hedged(gold):
            return decided(False, said, HEDGED)
        gold_value, value = read_number(gold, comma=comma), read_number(said, comma=comma)
        if gold_value is not None and value is not None:
            return decided(self.meets(gold_value, value), said)
        return compared(gold, said, **self.errors())

    def meets(self, gold: Fraction, value: Fraction) -> bool:
        """Whether a number is right for a gold one."""
        return gold == value

    def errors(self) -> dict[str, float]:
        """Return the errors that a symbolic comparison allows, as `compared` takes them."""
        return {}


@grader
class Numbers(OfNumbers):
    """Right is the same number, exactly."""

    name = "numbers"


def gold_number(problem: Problem) -> str:
    """Return the gold number of a problem; a worked solution is read as an answer is."""
    gold = problem.answer.strip()
    if read_number(gold) is not None:
        return gold
    marked = _marked(final_answer(gold), comma=False)
    return gold if marked is None else marked


def final_number(answer: Answer, *, comma: bool = False) -> str | Judgement:
    """Return the text of the final number of an answer, or why there is none.

    `comma` says that the data have decimal commas.
    """
    first = spoken(answer)
    found = _number_in(first, comma)
    # A first turn without a number was an introduction.
    return found if isinstance(found, str) or first is answer else _number_in(answer, comma)


def _number_in(answer: Answer, comma: bool) -> str | Judgement:
    said = _marked(final_answer(answer.text, truncated=answer.truncated), comma=comma)
    if said is None and answer.truncated:
        return ungradable(NOT_FINISHED)
    if said is None:
        said = _last_number(answer.text, comma=comma)
    return ungradable("no final number found") if said is None else said


def _marked(final: FinalAnswer | None, *, comma: bool) -> str | None:
    """Return the marked answer, or None where a sentence is marked that says no number."""
    if final is None or final.mark is not Mark.STATED or read_number(final.text) is not None:
        return final.text if final else None
    said = affirmed(final.text)
    if "\\" in said:
        return said.strip("$ ")
    plain = with_points(cleaned(said), comma=comma).rpartition("=")[2]
    number = NUMBER.search(plain)
    if number is None:
        return None
    if is_doubted(plain, number):
        return plain[max(number.start() - 80, 0) : number.end() + 20].strip()
    return number.group()


def _last_number(text: str, *, comma: bool) -> str | None:
    kept = without_denied(cleaned(text))
    if kept.hedged:
        return kept.text.strip()
    plain = kept.text
    found = [n.group() for n in NUMBER.finditer(with_points(plain, comma=True) if comma else plain)]
    # The whole text may say what its last number does not: 12 million, minus 3, 1500,00 €.
    whole = read_number(plain, comma=comma)
    if whole is not None and whole != read_number(found[-1]):
        return plain.strip()
    return found[-1] if found else None
