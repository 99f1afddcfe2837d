r"""Whether two expressions that sympy read are the same: what math-verify does not look at.

It compares numbers to six decimals, so that $2^{-99}$ and $2^{-98}$ are one; and letters as any
real numbers, so that $\sqrt{1/n}$ and $1/\sqrt{n}$ differ: below 0 by their sign, where neither is
real. Runs only in the processes of `leaf.grade.pool`.
"""

from typing import Any

_DECIMALS = 1e-5
"""Largest difference of a decimal from what it stands for, as a share: 0.333333 for 1/3."""

_POINTS = ((7, 5), (-3, 2), (11, 4), (-5, 7), (2, 3), (-13, 6))
"""Values at which letters are tried, as fractions; each letter begins at another one."""

_LETTERS = 4
"""Most letters of an expression that is tried at such values."""

_ALIKE = 1e-20
"""Largest difference of what is computed to 30 digits, as a share."""


def are_exact(gold: Any, said: Any) -> bool:
    """Look closer at what math-verify takes for equal: False where two numbers differ."""
    from sympy import Eq, Expr, Float, Interval, Tuple

    gold, said = (one.rhs if isinstance(one, Eq) else one for one in (gold, said))
    if any(isinstance(gold, kind) and isinstance(said, kind) for kind in (Tuple, Interval)):
        pairs = zip(gold.args, said.args, strict=False)
        return all(are_exact(*pair) for pair in pairs)
    if not all(isinstance(one, Expr) and one.is_number and one.is_finite for one in (gold, said)):
        return True
    if gold.is_Integer and said.is_Integer:
        return bool(gold == said)
    share = _DECIMALS if gold.has(Float) or said.has(Float) else _ALIKE
    return _alike(gold, said, share)


def agree_where_real(gold: Any, said: Any) -> bool:
    """Look farther at what math-verify takes for different: roots and logarithms of letters.

    The two are the same when they agree wherever all their parts are real.
    """
    from sympy import Expr, Pow, log

    if not all(isinstance(one, Expr) for one in (gold, said)):
        return False
    letters = sorted(gold.free_symbols | said.free_symbols, key=str)
    if not letters or len(letters) > _LETTERS or gold.free_symbols != said.free_symbols:
        return False
    parts = [
        part
        for one in (gold, said)
        for part in one.atoms(Pow, log)
        if isinstance(part, log) or not part.exp.is_integer
    ]
    agreed = 0
    for begin in range(len(_POINTS)):
        for step in (0, 1):
            values = {
                letter: _rational(_POINTS[(begin + step * at) % len(_POINTS)], at)
                for at, letter in enumerate(letters)
            }
            if not all(_is_real(part.subs(values)) for part in parts):
                continue
            if not _alike(gold.subs(values), said.subs(values), _ALIKE):
                return False
            agreed += 1
    return bool(parts) and agreed >= 3


def _rational(value: tuple[int, int], at: int) -> Any:
    from sympy import Rational

    # Other letters have other values.
    return Rational(*value) * (1 + Rational(at, 17))


def _is_real(value: Any) -> bool:
    found = value.evalf(30)
    return bool(found.is_number and found.is_finite and abs(found.as_real_imag()[1]) < _ALIKE)


def _alike(one: Any, other: Any, share: float) -> bool:
    size = max(abs(one.evalf(30)), abs(other.evalf(30)))
    return bool(abs((one - other).evalf(30)) <= share * size)
