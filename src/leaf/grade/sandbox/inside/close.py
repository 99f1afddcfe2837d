"""What numpy calls close to each other where tests ask: nothing of another shape.

`np.allclose([], 2.5)` is true, since numpy stretches either side to the other: by that a program
that returns nothing passed the tests of data sets that compare so.
"""

from __future__ import annotations

import functools
from typing import Any


def strict(numpy: Any) -> None:
    """Make `allclose` and `isclose` of numpy refuse what they would stretch."""

    def same_shape(one: Any, other: Any) -> bool:
        shape, wanted = numpy.shape(one), numpy.shape(other)
        if shape == wanted:
            return True
        # A whole array held against the number 0 is what remains of a difference.
        whole = isinstance(one, numpy.ndarray) and numpy.size(one) > 0
        return whole and type(other) is int and other == 0

    allclose, isclose = numpy.allclose, numpy.isclose

    @functools.wraps(allclose)
    def strict_allclose(a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
        return same_shape(a, b) and allclose(a, b, *args, **kwargs)

    @functools.wraps(isclose)
    def strict_isclose(a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
        empty = numpy.size(a) == 0 or numpy.size(b) == 0
        if empty and not same_shape(a, b):
            return numpy.array(False)
        return isclose(a, b, *args, **kwargs)

    numpy.allclose, numpy.isclose = strict_allclose, strict_isclose
