r"""Scores answers that are one number which need not be exact: estimates, measurements, decimals.

The final answer is found and read as `leaf.grade.numbers` does. It is right when
    |answer - gold| <= max(absolute, relative * |gold|)
so with `relative: 0.01` 99 and 101 are right for 100, and 98.9 is not. Plain numbers are compared
as fractions; of what is symbolic (`\frac{2}{3}`, `\sqrt{2}`) math-verify finds the value.
"""

from fractions import Fraction
from typing import Annotated

from pydantic import Field

from leaf.grade.grader import grader
from leaf.grade.hedged import HEDGED, is_hedged
from leaf.grade.judgement import Comparison, Judgement, compared, decided
from leaf.grade.numbers import Decimals, OfNumbers, final_number, gold_number
from leaf.records import Answer, Problem
from leaf.text.number import read_number

_Error = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@grader
class Close(OfNumbers):
    """Right is a number within an error of the gold one."""

    name = "close"

    class Options(Decimals):
        """How far off a right number may be."""

        relative: _Error = Field(0.01, description="largest error as a share of the gold number")
        absolute: _Error = Field(0.0, description="largest error in the number's own unit")

    options: Options

    def judge(self, problem: Problem, answer: Answer) -> Judgement | Comparison:
        """Compare the final number of an answer with the gold number."""
        comma = self.options.comma(problem.answer)
        said = final_number(answer, comma=comma)
        if isinstance(said, Judgement):
            return said
        relative, absolute = self.options.relative, self.options.absolute
        written = gold_number(problem)
        if is_hedged(said) and not is_hedged(written):
            return decided(False, said, HEDGED)
        gold, value = read_number(written, comma=comma), read_number(said, comma=comma)
        if gold is None or value is None:
            return compared(written, said, tolerance=absolute, relative=relative)
        # As the options are written: Fraction(0.01) is a little more than 1/100.
        allowed = max(Fraction(str(absolute)), Fraction(str(relative)) * abs(gold))
        return decided(abs(value - gold) <= allowed, said)
