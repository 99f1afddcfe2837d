r"""One spelling for what people write in many: Unicode mathematics as LaTeX, digits as ASCII.

Every function takes time linear in the text: hostile answers are read in our own process.
"""

import re
import unicodedata

from leaf.text.latex import rewriter

_DIGIT = re.compile(r"(?![0-9])\d")
# The exclamation mark of a Chinese sentence is no factorial.
_WIDE = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F) if code != 0xFF01}
_SPACES = dict.fromkeys([0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000], " ")
_SIGNS = {ord(minus): "-" for minus in "−﹣－"} | {ord("⁄"): "/", ord("∕"): "/", ord("٫"): "."}
_NOTHING = dict.fromkeys([0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF])
_ASCII = {**_WIDE, **_SPACES, **_SIGNS, **_NOTHING}

# 1 234 567 with spaces that do not break, 1'234 as in Switzerland, ١٬٢٣٤; –3 with a dash.
_grouped = rewriter(
    (r"(?<=\d)[\u00a0\u2009\u202f'’٬](?=\d{3}(?!\d))", ""),
    (r"(?<![\w)\]}.–])[‐‑–](?=\.?\d)", "-"),  # –3, where it is no range
)

_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱˣʸ", "0123456789+-()nixy", strict=True))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋ₙᵢₓ", "0123456789+-nix", strict=True))
_VULGAR = {
    chr(code): unicodedata.normalize("NFKC", chr(code)).split("⁄")
    for code in (*range(0xBC, 0xBF), *range(0x2150, 0x215F), 0x2189)
}
_COMMANDS = {
    "∞": "infty", "×": "times", "·": "cdot", "⋅": "cdot", "÷": "div", "±": "pm", "∓": "mp",
    "≤": "le", "⩽": "le", "≦": "le", "≥": "ge", "⩾": "ge", "≧": "ge", "≠": "ne", "≈": "approx",
    "∪": "cup", "∩": "cap", "∈": "in", "∉": "notin", "∅": "emptyset", "∖": "setminus",
    "⊂": "subset", "⊆": "subseteq", "→": "to", "…": "ldots", "⋯": "cdots", "∠": "angle",
    "⌊": "lfloor", "⌋": "rfloor", "⌈": "lceil", "⌉": "rceil", "⟨": "langle", "⟩": "rangle",
    "∧": "land", "∨": "lor", "¬": "neg", "∑": "sum", "∏": "prod", "∫": "int", "∂": "partial",
    "ℝ": "mathbb{R}", "ℤ": "mathbb{Z}", "ℕ": "mathbb{N}", "ℚ": "mathbb{Q}", "ℂ": "mathbb{C}",
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta",
    "η": "eta", "θ": "theta", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi",
    "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi", "ϕ": "phi", "χ": "chi",
    "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda",
    "Π": "Pi", "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip
_DEGREES = {"°": r"^{\circ}", "℃": r"^{\circ}C", "℉": r"^{\circ}F"}
_ROOTS = {"√": r"\sqrt", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]"}

_RUN = re.compile(f"[{''.join(_RAISED)}]+|[{''.join(_LOWERED)}]+")
_SIGN = re.compile("[" + "".join([*_COMMANDS, *_VULGAR, *_DEGREES]) + "]")
_ROOT = re.compile(r"([√∛∜])\s?(\d+(?:\.\d+)?|\\[A-Za-z]+|[A-Za-z]|\()?")
_BRACKET = re.compile(r"[()]")


def in_ascii(text: str) -> str:
    """Return a text with digits, spaces, minus signs and full-width letters as ASCII has them.

    Signs that group digits are dropped: no-break spaces, apostrophes.
    """
    text = _grouped(text) if "'" in text or not text.isascii() else text
    if text.isascii():
        return text
    return _DIGIT.sub(lambda digit: str(unicodedata.decimal(digit.group())), text.translate(_ASCII))


def vulgar_as_plain(text: str) -> str:
    """Return a text with `1½` as `1 1/2`."""
    return text if text.isascii() else "".join(map(_plain_fraction, text))


def as_latex(text: str) -> str:
    r"""Return Unicode mathematics as LaTeX: `√2` as `\sqrt{2}`, `x²` as `x^{2}`, `60°`, `1½`."""
    text = in_ascii(text)
    if text.isascii():
        return text
    text = _RUN.sub(_script, text)
    return _with_roots(_SIGN.sub(_command, text))


def _plain_fraction(sign: str) -> str:
    parts = _VULGAR.get(sign)
    return f" {parts[0]}/{parts[1] or 1}" if parts else sign


def _script(run: re.Match[str]) -> str:
    signs = run.group()
    if signs[0] in _RAISED:
        return f"^{{{''.join(_RAISED[sign] for sign in signs)}}}"
    return f"_{{{''.join(_LOWERED[sign] for sign in signs)}}}"


def _command(sign: re.Match[str]) -> str:
    found = sign.group()
    if found in _DEGREES:
        return _DEGREES[found]
    if found in _VULGAR:
        top, bottom = _VULGAR[found]
        return rf"\frac{{{top}}}{{{bottom or 1}}}"
    return rf"\{_COMMANDS[found]} "


def _with_roots(text: str) -> str:
    """Put braces around what each root sign covers: a number, a letter or a bracket."""
    roots = list(_ROOT.finditer(text))
    if not roots:
        return text
    ends = _closing_brackets(text)
    edits: list[tuple[int, int, str]] = []
    for root in roots:
        command, covered = _ROOTS[root[1]], root[2] or ""
        if covered == "(" and (end := ends.get(root.end() - 1)) is not None:
            edits += [(root.start(), root.end(), f"{command}{{("), (end + 1, end + 1, "}")]
        elif covered and covered != "(":
            edits.append((root.start(), root.end(), f"{command}{{{covered}}}"))
        else:
            edits.append((root.start(), root.end(), f"{command} {covered}"))
    parts, at = [], 0
    for start, stop, new in sorted(edits):
        parts += [text[at:start], new]
        at = stop
    return "".join([*parts, text[at:]])


def _closing_brackets(text: str) -> dict[int, int]:
    """Return where each round bracket closes."""
    open_: list[int] = []
    ends: dict[int, int] = {}
    for bracket in _BRACKET.finditer(text):
        if bracket.group() == "(":
            open_.append(bracket.start())
        elif open_:
            ends[open_.pop()] = bracket.start()
    return ends
