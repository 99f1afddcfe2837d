r"""Answers as texts of mathematics: what stands in a box, and the parts of a list of answers."""

import re
from collections.abc import Callable


def rewriter(*rules: tuple[str, str]) -> Callable[[str], str]:
    """Return what replaces patterns in a text, one rule after another."""
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]

    def rewrite(text: str) -> str:
        for pattern, replacement in compiled:
            text = pattern.sub(replacement, text)
        return text

    return rewrite


# Every pattern here takes time linear in the text: hostile answers are read in our own process.
_BRACES = re.compile(r"(?P<box>\\(?:boxed|fbox|fboxed)\s*\{)|\\.|[{}]", re.DOTALL)

_plain_list = rewriter(
    (r"\{,\}|(?:,\\!|(?<!\\)\\[,;:])(?=[0-9]{3}(?![0-9]))", ""),  # 1{,}234  1,\!234  1\,234
    (r"\$|(?<!\\)\\[()\[\]]|\\(?:left|right|displaystyle)(?![A-Za-z])", ""),
    (r"(?<!\\)\\[,;:! ]|\\q?quad(?![A-Za-z])|~|\s", " "),
    (r"\\(?:text|textrm|mathrm|mbox) {0,9}\{[ ,;]{0,9}(?:and|or)[ ,;]{0,9}\}", ","),
    (r"(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])", ","),
    (r"±", r"\\pm "),
)
_SPLIT = re.compile(r"\\(?P<sign>[{}])|\\.|[,;，()\[\]{}]", re.DOTALL)
_NAMED_LIST = re.compile(
    r"^(?:[A-Za-z]|\(\s*[A-Za-z](?:\s*,\s*[A-Za-z])*\s*\))\s*(?:\\in(?![A-Za-z])|=)\s*(?=\\\{|\()"
)
_PLUS_MINUS = re.compile(r"\\(pm|mp)(?![A-Za-z])")
_TEXT_COMMANDS = re.compile(r"\\(?:text|textbf|textrm|textnormal|mathrm|mathbf|mbox)(?![A-Za-z])")
_WRAPPED = re.compile(
    r"\\(?:boxed|fbox|fboxed|text|textbf|textit|textrm|mathrm|mathbf|mbox|emph)\s{0,9}\{([^{}\\]{0,999})\}"
)
_THOUSANDS = re.compile(r"(?<![0-9.])[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])")


def boxes(text: str) -> list[str]:
    r"""Return what complete `\boxed{...}` and `\fbox{...}` hold, in text order, none of it empty.

    Of nested ones the innermost; `\{` and `\}` are text, not braces.
    """
    open_braces: list[re.Match[str]] = []
    found: list[str] = []
    last_start = -1
    for brace in _BRACES.finditer(text):
        if brace["box"] or brace.group() == "{":
            open_braces.append(brace)
        elif brace.group() == "}" and open_braces:
            opening = open_braces.pop()
            # What holds a box is none itself: else nested boxes would be copied over and over.
            if not opening["box"] or opening.end() <= last_start:
                continue
            if content := text[opening.end() : brace.start()].strip():
                last_start = opening.end()
                found.append(content)
    return found


def parts(text: str) -> list[str]:
    r"""Cut a list of answers at commas, semicolons, `and` and `or` that no bracket encloses.

    The braces of a set of answers and a name in front of it are dropped (`x \in \{1, 2\}`), and
    `\pm` makes two answers. What a bracket encloses is one: `(1, 2), (3, 4)` are two parts.
    """
    pieces = _split(_plain_list(text).strip(" .,;:"))
    if len(pieces) == 1 and pieces[0].startswith("\\{") and pieces[0].endswith("\\}"):
        pieces = _split(pieces[0][2:-2])
    return [sign for piece in pieces for sign in _signs(piece)]


def joined_thousands(text: str) -> str:
    """Return the text with `1,234` as `1234`: what else its commas may have meant is lost."""
    return _THOUSANDS.sub(lambda number: number.group().replace(",", ""), text)


def without_boxes(text: str) -> str:
    r"""Return `Paris` for `\boxed{Paris}` and `\text{Paris}`, anywhere in a text."""
    return _WRAPPED.sub(r"\1", _WRAPPED.sub(r"\1", text)) if "\\" in text else text


def without_commands(text: str) -> str:
    r"""Return `C` for `\text{(C)}` and `(\text{C})`: brackets and text commands become spaces."""
    return re.sub(r"[{}()$*\s]+", " ", _TEXT_COMMANDS.sub(" ", text)).strip()


def _split(text: str) -> list[str]:
    pieces, begun, depth = [], 0, 0
    for mark in _SPLIT.finditer(text):
        sign = mark["sign"] or mark.group()
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth = max(depth - 1, 0)
        elif sign in ",;，" and depth == 0:
            pieces.append(text[begun : mark.start()].strip())
            begun = mark.end()
    pieces.append(text[begun:].strip())
    unnamed = [_NAMED_LIST.sub("", piece, count=1) for piece in pieces]
    return [piece for piece in unnamed if piece]


def _signs(piece: str) -> list[str]:
    if not _PLUS_MINUS.search(piece):
        return [piece]
    upper = _PLUS_MINUS.sub(lambda sign: "+" if sign[1] == "pm" else "-", piece)
    lower = _PLUS_MINUS.sub(lambda sign: "-" if sign[1] == "pm" else "+", piece)
    return [one.strip().removeprefix("+").strip() for one in (upper, lower)]
