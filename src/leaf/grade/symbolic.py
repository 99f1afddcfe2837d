r"""The symbolic comparison, done by math-verify; runs only in the processes of `leaf.grade.pool`.

math-verify's own time limits use signals and cannot stop C code, so they are off: the pool kills.
"""

import logging
import re
from dataclasses import replace
from typing import Any

from leaf.grade.exact import agree_where_real, are_exact
from leaf.grade.hedged import HEDGED, hedged_options, is_hedged, is_one_value
from leaf.grade.judgement import GOLD_UNREADABLE, Comparison, Judgement, decided, ungradable
from leaf.grade.written import (
    has_gap,
    numeral,
    option_and_value,
    options,
    readable,
    searchable,
    without_unit,
)
from leaf.records import Outcome
from leaf.text.latex import joined_thousands, parts, without_commands

_LETTERS = tuple("ABCDEFGH")
_SLACK = 1 + 1e-9
"""For the rounding of floats: 4.2 - 4.1 is a little more than 0.1."""


def compare(comparison: Comparison) -> Judgement:
    """Compare a model's answer with the gold one; what math-verify cannot read is not gradable."""
    if comparison.whole and len(comparison.golds) > 1:
        return _compare_all(comparison)
    if letters := options(comparison.gold):
        if len(letters) == 1 and comparison.final and (fault := hedged_options(comparison.answer)):
            return decided(False, comparison.answer, fault)
        said = _letters(letters, comparison)
        if said is None and not comparison.whole:
            return ungradable("no final answer found")
        return decided(said == letters, said or comparison.answer)
    if chosen := option_and_value(comparison.gold):
        letter, value = chosen
        said = _letters(letter, comparison)
        # Some answer with the value alone; a letter that is there decides.
        return (
            _compare_values(replace(comparison, gold=value))
            if said is None
            else decided(said == letter, said)
        )
    return _compare_values(comparison)


def _compare_all(comparison: Comparison) -> Judgement:
    """Match every gold answer with one of the model's, each once and in any order."""
    said = parts(comparison.answer)
    if len(said) != len(comparison.golds):
        said = parts(joined_thousands(comparison.answer))
    if len(said) != len(comparison.golds):
        return decided(False, comparison.answer)
    for gold in comparison.golds:
        judged = [_compare_part(gold, one, comparison) for one in said]
        match = next((i for i, one in enumerate(judged) if one.outcome is Outcome.RIGHT), None)
        if match is None:
            unclear = next((one for one in judged if one.outcome is Outcome.UNGRADABLE), None)
            return unclear or decided(False, comparison.answer)
        del said[match]
    return decided(True, comparison.answer)


def _compare_rows(gold: str, answer: str, comparison: Comparison) -> Judgement:
    r"""Compare lists that leave something out (`1, 2, \ldots, n`) term by term."""
    golds, said = parts(gold), parts(answer)
    if len(golds) != len(said):
        return decided(False, comparison.answer)
    for one, other in zip(golds, said, strict=True):
        judged = _compare_part(one, other, comparison)
        if judged.outcome is not Outcome.RIGHT:
            return replace(judged, extracted=comparison.answer)
    return decided(True, comparison.answer)


def _compare_part(gold: str, said: str, comparison: Comparison) -> Judgement:
    if readable(gold) == readable(said):
        return decided(True, said)
    return compare(replace(comparison, gold=gold, answer=said, golds=()))


def _compare_values(comparison: Comparison) -> Judgement:
    gold, answer = readable(comparison.gold), searchable(comparison.answer)
    if comparison.final and is_one_value(gold) and is_hedged(answer):
        return decided(False, comparison.answer, HEDGED)
    if comparison.whole:
        chosen = option_and_value(answer)
        answer = without_unit(readable(chosen[1] if chosen else answer), gold)
        if (same := _same_numeral(gold, answer)) is not None:
            return decided(same, comparison.answer)
        if has_gap(gold) or has_gap(answer):
            return _compare_rows(gold, answer, comparison)
    if comparison.tolerance is not None:
        gold, answer = gold.replace(r"\%", ""), answer.replace(r"\%", "")
    judged = _compare_read(gold, answer, comparison)
    if judged.outcome is Outcome.WRONG and r"\%" in gold:
        # A question that asks for a percentage is answered with 40 as often as with 40%.
        judged = _compare_read(gold.replace(r"\%", ""), answer.replace(r"\%", ""), comparison)
    return judged


def _compare_read(gold_text: str, answer: str, comparison: Comparison) -> Judgement:
    # The gold answer first: math-verify compares from its side.
    gold = _parse(_boxed(gold_text))
    said = _parse(_boxed(answer) if comparison.whole else answer)
    if not said and not comparison.whole:
        return ungradable("no final answer found")
    extracted = comparison.answer if comparison.whole else _source_text(said)
    if _texts(gold) & _texts(said):
        return decided(True, extracted)
    if unread := _unread(gold, said, comparison.gold, extracted):
        return ungradable(unread, extracted)
    if comparison.tolerance is not None:
        right, value = _number(gold), _number(said)
        if right is not None and value is not None:
            allowed = max(comparison.tolerance, comparison.relative * abs(right))
            return decided(abs(right - value) <= allowed * _SLACK, extracted)
    if _verify(gold, said):
        return decided(are_exact(gold[0], said[0]), extracted)
    return decided(agree_where_real(gold[0], said[0]), extracted)


def _unread(gold: list[Any], said: list[Any], gold_text: str, extracted: str) -> str | None:
    """Return which of two texts math-verify could not read, or None."""
    if not _is_read(gold):
        return f"{GOLD_UNREADABLE}: {_short(gold_text)}"
    return None if _is_read(said) else f"answer is not readable: {_short(extracted)}"


def warm_up() -> None:
    """Import math-verify and build its tables, which takes longer than most comparisons."""
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    compare(Comparison(gold=r"\frac{1}{2}", answer=r"\{1, (2, x^2]\}", whole=True))
    compare(Comparison(gold=r"\sqrt{\frac{1}{n}}", answer=r"\frac{1}{\sqrt{n}}", whole=True))


def _letters(wanted: str, comparison: Comparison) -> str | None:
    """Return the options that an answer chooses, sorted; None where it names none."""
    from math_verify import StringExtractionConfig

    text = without_commands(comparison.answer)
    if len(wanted) > 1:
        return "".join(sorted(re.findall(r"(?<![A-Za-z])[A-H](?![A-Za-z])", text))) or None
    said = _parse(text.upper() if len(text) == 1 else text, StringExtractionConfig(_LETTERS))
    return str(said[0]).upper() if said else None


def _same_numeral(gold: str, said: str) -> bool | None:
    """Compare numbers that are written in a base (`2516_8`), which math-verify would ignore.

    None where the gold answer names no base, or the answer is written otherwise.
    """
    right, other = numeral(gold), numeral(said)
    if right is None or not right.base or other is None:
        return None
    return other.digits == right.digits and other.base in {"", right.base}


def _number(parsed: list[Any]) -> float | None:
    """Return the real number that was read; None where it is something else."""
    from sympy import Eq, Expr

    for part in parsed:
        value = part.rhs if isinstance(part, Eq) else part
        if isinstance(value, Expr) and value.is_number and value.is_real:
            return float(value)
    return None


def _parse(text: str, *configs: Any) -> list[Any]:
    """Return what math-verify reads: an expression where it can, and the text it came from."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    chosen = configs or (LatexExtractionConfig(), ExprExtractionConfig())
    return list(parse(text, chosen, parsing_timeout=None, raise_on_error=True))


def _verify(gold: list[Any], said: list[Any]) -> bool:
    from math_verify import verify

    # A gold interval may be answered by an inequality, as the other way round.
    settings = {"allow_set_relation_comp": True, "timeout_seconds": None, "raise_on_error": True}
    return bool(verify(gold, said, **settings))


def _is_read(parsed: list[Any]) -> bool:
    return any(not isinstance(part, str) for part in parsed)


def _source_text(parsed: list[Any]) -> str:
    return next(iter(_texts(parsed)), str(parsed[0]))


def _texts(parsed: list[Any]) -> set[str]:
    return {part.strip() for part in parsed if isinstance(part, str)}


def _boxed(latex: str) -> str:
    return f"\\boxed{{{latex}}}"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
