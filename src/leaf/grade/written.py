r"""How the same mathematics is written in several ways: rewrites before math-verify reads it."""

import re
from dataclasses import dataclass

from leaf.text.latex import rewriter, without_commands
from leaf.text.spelling import as_latex

_notation = rewriter(
    (r"\\varnothing(?![A-Za-z])", r"\\emptyset"),
    (r"(?<=[0-9])(?:,\\!\s?|\\[,;:])(?=[0-9]{3}(?![0-9]))", ""),  # 1,\!234  1\,234
    (r"(?<=[0-9])\{,\}(?=[0-9]{1,2}(?![0-9]))", "."),  # 3{,}5, a decimal comma
    (r"(?<=[^\s.,;])[.,;]\s?\$", "$"),  # $x = 5.$
    (r"\\d?dots(?![A-Za-z])|\\dotsc(?![A-Za-z])|\.\.\.", r"\\ldots "),
)

_MAGNITUDES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}

_whole = rewriter(
    (r"^(?:\{\}|[\s$])+|(?<![\\\s.,;:$])[\s.,;:$]+$", ""),  # {} stops math-verify's reading
    (r"(?<!\\)%", r"\\%"),  # else math-verify takes the rest for a comment
    (r"^[^A-Za-z\\=]{1,40}=(?=[^A-Za-z=]{1,40}$)", ""),  # 0.56 = 56\%
    # As people write without LaTeX: pi/2, x**2, x <= 2, 1e-05, 2 2/3.
    (r"(?<![A-Za-z\\{])pi(?![A-Za-z}])", r"\\pi "),
    (r"(?<![A-Za-z\\{])inf(?:inity|ty)?(?![A-Za-z}])", r"\\infty "),
    (r"\*\*", "^"),
    (r"<=", r"\\le "),
    (r">=", r"\\ge "),
    (r"(?<![A-Za-z0-9.\\{_^])([0-9]+(?:\.[0-9]+)?)[eE]([-+]?[0-9]{1,3})(?![0-9A-Za-z.])",
     r"\1\\times 10^{\2}"),
    (r"(?<![0-9./])([0-9]{1,9})[ ~]{1,9}([0-9]{1,9})/([0-9]{1,9})(?![0-9/.])", r"\1\\frac{\2}{\3}"),
    (r"(?<=[0-9])\s?[€£¥₹₩]|[€£¥₹₩]\s?(?=[0-9])", ""),
    # 60^\circ C
    (r"\^\{?\s?\\circ\s?\}?\s?(?:[CF]|\\(?:text|mathrm)\{\s?[CF]\})$", r"^{\\circ}"),
    *(
        (rf"(?<=[0-9])\s?{name}(?![A-Za-z])", rf"\\times 10^{{{zeros}}}")
        for word, zeros in _MAGNITUDES.items()
        for name in (rf"\\(?:text|mathrm)\{{\s?{word}s?\s?\}}", f"{word}s?")
    ),
)  # fmt: skip
_BARE_UNIT = re.compile(
    r"(?<=[0-9}])\s{0,9}(?:[ckm]?m|ft|in|mph|[km]?g|min|hours?|h|s)"
    r"(?:\s{0,9}\^\s{0,9}\{?[23]\}?|[²³]|\s{0,9}/\s{0,9}[a-z]{1,9})?$"
)
_MARKED_UNIT = re.compile(
    r"(?<=[0-9}])(?:[\s~]|\\[,;:! ]){0,9}\\(?:text|mathrm|textrm)\s?\{[A-Za-z\s./]{1,30}\}"
    r"(?:\^\{?-?[1-3]\}?)?$"
)
_WORDS = re.compile(
    r"(?<=[0-9}%])(?:\s{0,9}\([A-Za-z][A-Za-z\s,-]{1,80}\)"  # 120 (one hundred twenty)
    r"|(?:\s{1,9}(?!(?:or|and|mod|pi|to|over|times|plus|minus|squared|cubed|if|for|when|where|sin"
    r"|cos|tan|log|ln|exp|sqrt)\b)[A-Za-z]{2,20}){1,6})[\s.]{0,9}$"  # 18 years old
)
_EAST_ASIAN = r"[\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af]"
_EAST_ASIAN_WORDS = re.compile(
    rf"^(?:{_EAST_ASIAN}|\s){{1,20}}(?=[-0-9\\])|(?<=[0-9}}%])\s{{0,9}}{_EAST_ASIAN}{{1,20}}[\s。．.]{{0,9}}$"
)
_NAME = re.compile(r"\\[A-Za-z]+(?:\s{0,9}\{[A-Za-z\s]*\})?|(?P<letter>[A-Za-z])")
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


def searchable(text: str) -> str:
    """Return a text that holds mathematics in the spelling in which math-verify finds it best."""
    return _notation(as_latex(text))


def readable(latex: str) -> str:
    r"""Return the same mathematics in the spelling that math-verify reads best."""
    return _whole(searchable(latex))


def without_unit(answer: str, gold: str) -> str:
    """Drop a unit and words that no command marks, unless the gold answer has letters too.

    `166 cm^2`, `18 years old`, `120 (one hundred twenty)`, `18元`.
    """
    if not re.search(_EAST_ASIAN, gold):
        answer = _EAST_ASIAN_WORDS.sub("", answer)
    if any(name["letter"] for name in _NAME.finditer(gold)):
        return answer
    return _WORDS.sub("", _BARE_UNIT.sub("", _MARKED_UNIT.sub("", answer)))


def has_gap(latex: str) -> bool:
    r"""Whether a list leaves something out: `1, 2, \ldots, n`."""
    return "," in latex and re.search(r"\\[lc]dots(?![A-Za-z])", latex) is not None


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
