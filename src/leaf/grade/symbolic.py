r"""The symbolic comparison, done by math-verify; runs only in the processes of `leaf.grade.pool`.

math-verify's own time limits use signals and cannot stop C code, so they are off: the pool kills.
"""

import logging
import re
from typing import Any

from leaf.grade.judgement import Comparison, Judgement, decided, ungradable

_LETTERS = tuple("ABCDEFGH")
_OPTION = re.compile(r"([A-H])\.?")
_TEXT_COMMANDS = re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf|mbox)\b")


def compare(comparison: Comparison) -> Judgement:
    """Compare a model's answer with the gold one; what math-verify cannot read is not gradable."""
    option = _OPTION.fullmatch(_without_commands(comparison.gold))
    if option:
        return _compare_option(option.group(1), comparison)
    # The gold answer first: math-verify compares from its side.
    gold = _parse(_boxed(comparison.gold))
    said = _parse(_boxed(comparison.answer) if comparison.whole else comparison.answer)
    if not said and not comparison.whole:
        return ungradable("no final answer found")
    extracted = comparison.answer if comparison.whole else _source_text(said)
    if _texts(gold) & _texts(said):
        return decided(True, extracted)
    if not _is_read(gold):
        return ungradable(f"gold answer is not readable: {_short(comparison.gold)}", extracted)
    if not _is_read(said):
        return ungradable(f"answer is not readable: {_short(extracted)}", extracted)
    return decided(_verify(gold, said), extracted)


def warm_up() -> None:
    """Import math-verify and build its tables, which takes longer than most comparisons."""
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    compare(Comparison(gold=r"\frac{1}{2}", answer=r"\{1, (2, x^2]\}", whole=True))


def _compare_option(letter: str, comparison: Comparison) -> Judgement:
    from math_verify import StringExtractionConfig

    text = _without_commands(comparison.answer)
    said = _parse(text.upper() if len(text) == 1 else text, StringExtractionConfig(_LETTERS))
    if said:
        return decided(said[0] == letter.lower(), str(said[-1]))
    if comparison.whole:
        return decided(False, comparison.answer)
    return ungradable("no final answer found")


def _parse(text: str, *configs: Any) -> list[Any]:
    """Return what math-verify reads: an expression where it can, and the text it came from."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    chosen = configs or (LatexExtractionConfig(), ExprExtractionConfig())
    return list(parse(text, chosen, parsing_timeout=None, raise_on_error=True))


def _verify(gold: list[Any], said: list[Any]) -> bool:
    from math_verify import verify

    return bool(verify(gold, said, timeout_seconds=None, raise_on_error=True))


def _is_read(parsed: list[Any]) -> bool:
    return any(not isinstance(part, str) for part in parsed)


def _source_text(parsed: list[Any]) -> str:
    return next(iter(_texts(parsed)), str(parsed[0]))


def _texts(parsed: list[Any]) -> set[str]:
    return {part.strip() for part in parsed if isinstance(part, str)}


def _boxed(latex: str) -> str:
    return f"\\boxed{{{latex}}}"


def _without_commands(text: str) -> str:
    r"""Return `C` for `\text{(C)}` and `(\text{C})`: brackets and text commands become spaces."""
    return re.sub(r"[{}()$*\s]+", " ", _TEXT_COMMANDS.sub(" ", text)).strip()


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
