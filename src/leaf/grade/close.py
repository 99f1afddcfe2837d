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
from leaf.grade.numbers import Decimals, OfNumbers

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

    def meets(self, gold: Fraction, value: Fraction) -> bool:
        """Whether a number is within the error of a gold one."""
        # As the options are written: Fraction(0.01) is a little more than 1/100.
        relative, absolute = (
            Fraction(str(self.options.relative)),
            Fraction(str(self.options.absolute)),
        )
        return abs(value - gold) <= max(absolute, relative * abs(gold))

    def errors(self) -> dict[str, float]:
        """Return the errors that a symbolic comparison allows."""
        return {"tolerance": self.options.absolute, "relative": self.options.relative}
