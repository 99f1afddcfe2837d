r"""Where a response says its final answer: the marks that both scorers look for.

In this order: the last complete `\boxed{...}`; a GSM8K-style `#### 18`; the last `answer is ...` or
`Answer: ...`. The last one of a kind wins, since models correct themselves.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from leaf.text.latex import boxes


class Mark(StrEnum):
    """How the final answer was marked."""

    BOXED = "boxed"
    HASHES = "hashes"
    STATED = "stated"


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalAnswer:
    """A marked final answer."""

    text: str
    """Not empty. `boxed` and `hashes`: the answer itself; `stated`: a sentence that holds it."""
    mark: Mark


# Every pattern here takes time linear in the text: hostile answers are read in our own process.
_BARE_NUMBER = re.compile(r"[-+$]{0,2}[0-9][0-9,]*(\.[0-9]+)?%?")
_WORD = re.compile(r"[A-Za-z]{2}")
_STATED = re.compile(
    r"\banswer[\s*_]{0,4}(?:is\b|are\b|[:=])(?:[\s*_:]|\\\[|\$\$){0,12}", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n|\\\]|\$\$")


def final_answer(text: str, *, truncated: bool = False) -> FinalAnswer | None:
    """Return the marked final answer of a response, or None where nothing is marked.

    A `truncated` text may have been cut inside a number, so there an answer without a box counts
    only when its line or sentence was ended.
    """
    if boxed := boxes(text):
        return FinalAnswer(text=boxed[-1], mark=Mark.BOXED)
    if hashes := _last_hashes(text.rpartition("\n")[0] if truncated else text):
        return FinalAnswer(text=hashes, mark=Mark.HASHES)
    if stated := _last_statement(text, truncated):
        return FinalAnswer(text=stated, mark=Mark.STATED)
    return None


def _last_hashes(text: str) -> str | None:
    # "#### Step 2: ..." is a heading of many chat models. An answer is a number alone on its line,
    # or stands on the last line and does not begin with a word.
    for lines_after, line in enumerate(reversed(text.strip().splitlines())):
        _before, mark, said = line.rpartition("####")
        said = said.strip()
        stands_last = lines_after == 0 and said != "" and not _WORD.match(said)
        if mark and (stands_last or _BARE_NUMBER.fullmatch(said)):
            return said
    return None


def _last_statement(text: str, truncated: bool) -> str | None:
    for start in reversed([match.end() for match in _STATED.finditer(text)]):
        end = _SENTENCE_END.search(text, start)
        sentence = text[start : end.start() if end else len(text)].strip(" \t*_")
        ended = end is not None and end.end() < len(text)
        if sentence and (ended or not truncated):
            return sentence
    return None
