r"""Plain numbers as people write them, read exactly.

`1,234.50`, `\$18`, `18 dollars`, `20\%`, `1/2`, `1 1/2`, `1½`, `x = 18`, `3 million`, `3万`,
`18元`, `60°`, `1e-05`, `2 × 10^5`. Currency, percent signs and units are dropped, so `20%` is 20.
Anything else (`\frac{1}{2}`, `2\sqrt{3}`) is no plain number.

A decimal comma (`3,5`, `1.234,5`) is read where it can be nothing else. Of `1,234` and `1.234`
nobody can tell: the caller says whether the data have decimal commas.

Every function takes time linear in the text: hostile answers are read in our own process.
"""

import re
from fractions import Fraction

from leaf.text.latex import rewriter
from leaf.text.spelling import as_latex, in_ascii, vulgar_as_plain

_FUNCTIONS = {"pi", "sqrt", "sin", "cos", "tan", "log", "ln", "exp"}

NUMBER = re.compile(
    r"""
    (?<![A-Za-zÀ-ÖØ-öø-ɏ0-9_.])     # not inside a word or a decimal: the 2 of H2O
    (?P<sign>(?<![)\]}])[-+])?      # after a number or a bracket it is a subtraction
    (?:(?P<whole>[0-9]+)\ +(?=[0-9]+/))?
    (?P<top>(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)
    (?:[eE](?P<exponent>[-+]?[0-9]{1,4})(?![0-9A-Za-z.]))?
    (?:/(?P<bottom>[0-9]+))?
    (?![0-9])
    """,
    re.VERBOSE,
)
LONGEST = 1000
"""Characters of the longest text taken for a plain number; Python reads up to 4,300 digits."""

_MAGNITUDES = {
    "hundred": 10**2,
    "thousand": 10**3, "tausend": 10**3, "mille": 10**3, "mil": 10**3,
    "million": 10**6, "millions": 10**6, "millionen": 10**6, "millones": 10**6, "millón": 10**6,
    "billion": 10**9, "billions": 10**9, "milliarde": 10**9, "milliarden": 10**9, "milliard": 10**9,
    "milliards": 10**9,
    "trillion": 10**12,
    "百": 10**2, "千": 10**3, "천": 10**3, "万": 10**4, "萬": 10**4, "만": 10**4,
    "亿": 10**8, "億": 10**8, "억": 10**8, "兆": 10**12, "조": 10**12,
}  # fmt: skip
_NAMES = "|".join(sorted(_MAGNITUDES, key=len, reverse=True))
_MINUS = re.compile(r"\b(?:minus|negative|moins|menos|负|負|マイナス|마이너스)\s?$", re.IGNORECASE)
_SPACED = re.compile(r"([^0-9]*[0-9]{1,3})((?: [0-9]{3})+)([^0-9]*)")
_MAGNITUDE = re.compile(
    # 3千克 are kilograms, 3千米 kilometres.
    rf"\s*(?P<name>百(?!分)|千(?![克米瓦卡])|[천万萬만亿億억兆조]|(?:{_NAMES})(?![^\W\d_]))",
    re.IGNORECASE,
)

clean = rewriter(
    (r"\\(?:text|textbf|textrm|mathrm|mathbf|mbox)\s*\{([^{}]*)\}", r" \1 "),
    (r"(?<=[0-9])\{,\}(?=[0-9]{3}(?![0-9]))", ","),  # 1{,}234
    (r"\{,\}", ","),
    (r"\\[,;:!()\[\]]", ""),  # thin spaces, as in 10\,000, and math delimiters
    (r"\\ |~|\*\*|\s", " "),
    (r"(?<=-)\s*(?:\b[A-Z]{1,2})?\\?[$€£¥₹₩₽]\s*", ""),  # -$18 is one number
    (r"(?:\b[A-Z]{1,2})?\\?\$|\\?[€£¥₹₩₽₺₫฿%‰℃℉]", " "),
    (r"\^\s*(?:\{\s*)?\\circ\s*\}?(?:\s*[CF]\b)?|\\degree\b|°(?:\s*[CF]\b)?", " "),
    (r"(?<=[A-Za-z]{2})\s*(?:\^\s*\{?[23]\}?|[²³]|/\s*[A-Za-z]+)", " "),  # cm^2, km/h
    (r"(?<=[0-9A-Za-z])-(?=[A-Za-z]{2})", " "),  # 18-inch
    (
        r"(?<=[0-9]) ?(?:×|\\times(?![A-Za-z])|\\cdot(?![A-Za-z])|[*x·]) ?10 ?"
        r"(?:\^ ?\{? ?([-+]?[0-9]{1,4}) ?\}?)(?![0-9.])",
        r"e\1",
    ),
)
"""Drops what surrounds a number; what is left is read by `NUMBER`."""

# A bracket holds a point or a list: (3,4).
_COMMA = re.compile(
    r"(?<![0-9.,(\[{])([0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+),(?:([0-9]{1,2})|([0-9]{4,}))(?![0-9,])"
    r"|(?<![0-9.,])([0-9]{1,3}(?:\.[0-9]{3})+),([0-9]+)(?![0-9,])"
)
_EUROPEAN = re.compile(
    r"(?<![0-9.,])([0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+)(,[0-9]+)?(?![0-9,]|\.[0-9])"
)


def has_decimal_comma(text: str) -> bool:
    """Whether a number is written with a decimal comma that can be nothing else."""
    return len(text) <= LONGEST and _COMMA.search(text.replace("{,}", ",")) is not None


def with_points(text: str, *, comma: bool) -> str:
    """Return a text with decimal points for its decimal commas.

    `comma` says that the data have them, so that `1.234` is 1234 and `1,234` a little over 1.
    """
    if comma:
        return _EUROPEAN.sub(_european, text)
    return _COMMA.sub(lambda n: n[0].replace(".", "").replace(",", "."), text)


def read_number(text: str, *, comma: bool = False) -> Fraction | None:
    """Return the one number that a text says, units aside, or None where it is not plain.

    Args:
        text: A final answer.
        comma: Whether the data have decimal commas.
    """
    if len(text) > LONGEST:
        return None
    plain = with_points(cleaned(text), comma=comma).rpartition("=")[2]
    if spaced := _SPACED.fullmatch(plain):  # 1 500 euros
        plain = spaced[1] + spaced[2].replace(" ", "") + spaced[3]
    numbers = list(NUMBER.finditer(plain))
    if len(numbers) != 1:
        return None
    (number,) = numbers
    value, after = _value(number), plain[number.end() :]
    if value is not None and _MINUS.search(plain[: number.start()]):
        value = -value
    while value is not None and (magnitude := _MAGNITUDE.match(after)):
        value *= _MAGNITUDES[magnitude["name"].lower()]
        after = after[magnitude.end() :]
    rest = f"{plain[: number.start()]} {after}"
    # A single letter may be a variable (3x, 18k), any other sign an operation: not plain.
    words = re.findall(r"[^\W\d_]+", rest)
    is_formula = any(len(word) == 1 and word.isascii() and word != "a" for word in words)
    if (
        is_formula
        or _FUNCTIONS.intersection(words)
        or re.search(r"[^\w\s.,:;()'\"≈’“”«»、。！？「」]|[_⁰¹²³⁴-⁻ⁿ]", rest)
    ):
        return None
    return value


def cleaned(text: str) -> str:
    """Return a text in which `NUMBER` finds the numbers."""
    if not text.isascii():
        text = vulgar_as_plain(in_ascii(text))
        if re.search("[⁰⁴-⁻]|10[¹²³]", text):
            text = as_latex(text)
    elif "'" in text:
        text = in_ascii(text)
    return clean(text)


def _european(number: re.Match[str]) -> str:
    return number[1].replace(".", "") + (number[2] or "").replace(",", ".")


def _value(number: re.Match[str]) -> Fraction | None:
    bottom = int(number["bottom"] or 1)
    if bottom == 0:
        return None
    value = Fraction(number["top"].replace(",", "")) * Fraction(10) ** int(number["exponent"] or 0)
    value = value / bottom + int(number["whole"] or 0)
    return -value if number["sign"] == "-" else value
