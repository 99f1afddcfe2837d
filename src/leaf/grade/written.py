r"""How the same mathematics is written in several ways: rewrites before math-verify reads it."""

import re
from dataclasses import dataclass

from leaf.text.latex import rewriter

searchable = rewriter(
    (r"\\varnothing(?![A-Za-z])", r"\\emptyset"),
    (r"(?<=[0-9])(?:,\\!\s?|\\[,;:])(?=[0-9]{3}(?![0-9]))", ""),  # 1,\!234  1\,234
    (r"(?<=[^\s.,;])[.,;]\s?\$", "$"),  # $x = 5.$
)
"""Returns a text that holds mathematics in the spelling in which math-verify finds it best."""

_whole = rewriter(
    (r"^(?:\{\}|[\s$])+|(?<![\\\s.,;:$])[\s.,;:$]+$", ""),  # {} stops math-verify's reading
    (r"(?<!\\)%", r"\\%"),  # else math-verify takes the rest for a comment
    (r"^[^A-Za-z\\=]{1,40}=(?=[^A-Za-z=]{1,40}$)", ""),  # 0.56 = 56\%
)
_BARE_UNIT = re.compile(
    r"(?<=[0-9}])\s{0,9}(?:[ckm]?m|ft|in|mph|[km]?g|min|hours?|h|s)"
    r"(?:\s{0,9}\^\s{0,9}\{?[23]\}?|[²³]|\s{0,9}/\s{0,9}[a-z]{1,9})?$"
)
_NAME = re.compile(r"\\[A-Za-z]+(?:\s{0,9}\{[A-Za-z\s]*\})?|(?P<letter>[A-Za-z])")
_TEXT_COMMANDS = re.compile(r"\\(?:text|textbf|textrm|textnormal|mathrm|mathbf|mbox)(?![A-Za-z])")
_OPTIONS = re.compile(r"[A-H](?:[\s,]{1,9}[A-H]){0,7}")
_OPTION_AND_VALUE = re.compile(
    r"\(?\\(?:text|textbf|textrm|mathrm|mathbf|mbox)\s{0,9}"
    r"\{\s{0,9}\(?(?P<letter>[A-H])(?=[).:}])\)?[\s.:]{0,9}(?P<open>\})?\)?"
    r"(?:[\s~.:,]|\\[\s,;:!]){0,9}(?P<value>\S.*)",
    re.DOTALL,
)
_NUMERAL = re.compile(r"(?P<digits>[0-9A-Z.]{1,400})\s{0,9}_\s{0,9}\{?(?P<base>[0-9]{1,2})\}?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Numeral:
    """Digits of a number and the base they are written in."""

    digits: str
    base: str
    """"" where it is not said."""


def readable(latex: str) -> str:
    r"""Return the same mathematics in the spelling that math-verify reads best."""
    return _whole(searchable(latex))


def without_unit(answer: str, gold: str) -> str:
    """Drop a unit that no command marks (`166 cm^2`), unless the gold answer has letters too."""
    has_letters = any(name["letter"] for name in _NAME.finditer(gold))
    return answer if has_letters else _BARE_UNIT.sub("", answer)


def options(text: str) -> str | None:
    r"""Return the letters of multiple-choice options, sorted, where a text is nothing else.

    `C` for `\text{(C)}` and `(\text{C})`, `AB` for `\text{B, A}`.
    """
    plain = without_commands(text).strip(" .,")
    return "".join(sorted(re.findall("[A-H]", plain))) if _OPTIONS.fullmatch(plain) else None


def option_and_value(text: str) -> tuple[str, str] | None:
    r"""Return `("B", "12")` for `\textbf{(B)}\ 12`; None where it is not an option with a value."""
    found = _OPTION_AND_VALUE.fullmatch(text.strip())
    if not found:
        return None
    # The brace of `\textbf{(B) 12}` is closed at the end.
    value = found["value"] if found["open"] else found["value"].removesuffix("}")
    return (found["letter"], value.strip()) if value.strip(" .,{}()") else None


def numeral(text: str) -> Numeral | None:
    """Return digits with a base (`2516_8`) or alone (`2516`); None where it is anything else."""
    plain = text.strip().strip("$").strip()
    if found := _NUMERAL.fullmatch(plain):
        return Numeral(digits=found["digits"], base=found["base"])
    return Numeral(digits=plain, base="") if re.fullmatch(r"[0-9A-Z.]{1,400}", plain) else None


def without_commands(text: str) -> str:
    r"""Return `C` for `\text{(C)}` and `(\text{C})`: brackets and text commands become spaces."""
    return re.sub(r"[{}()$*\s]+", " ", _TEXT_COMMANDS.sub(" ", text)).strip()
