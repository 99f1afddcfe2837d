"""Source `passages`: passages of other records, those most like the question first (BM25).

For questions with passages (`leaf.tasks.passages`) alone. `prune.inject.passages` of them go in
side by side, at a random place before, among or after those that are there, and those behind are
numbered anew. None may share a title or a text with one that is there, nor say the answer; where
the data name no answer, nothing goes in, since nobody could say what a new passage gives away.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from leaf.errors import UsageError
from leaf.prune.inject.places import Host
from leaf.prune.inject.source import Insertion, Material, Offers

_HEAD = re.compile(r"(?:(?<=\n\n)|\A)Document \[(\d+)\] \(Title: (.*)\)\n")
_New = tuple[str, str, str]
"""Title, text and donor of a passage that goes in."""

_NEAREST = 50
"""How many passages are looked at for one question."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Document:
    start: int
    end: int
    """Where the next one, or the question, begins."""
    title: str
    text: str


def passages(material: Material) -> Offers:
    """Offer passages of other records, from the one that BM25 finds most like the question."""
    pool: dict[tuple[str, str], str] = {}
    for _, problem in sorted(material.problems.items()):
        for number, document in enumerate(_documents(Host(problem)), start=1):
            pool.setdefault((document.title, document.text), f"{problem.id}/d{number}")
    index: list[Any] = []
    count = material.section.passages

    def offers(host: Host, rng: random.Random) -> Iterator[Insertion]:
        there = _documents(host)
        if not there or not host.problem.answer.strip():
            return
        if not index:
            index.append(_index([f"{title}\n{text}" for title, text in pool]))
        known = {document.title for document in there} | {document.text for document in there}
        asked = host.text[host.problem.asked]
        every = list(pool.items())
        new: list[_New] = []
        for at in _nearest(index[0], asked, min(_NEAREST, len(every))):
            (title, text), donor = every[at]
            if {title, text}.isdisjoint(known) and not _answers(host, f"{title}\n{text}"):
                new.append((title, text, donor))
                known |= {title, text} if count > 1 else set()
            if len(new) == count:
                yield _inserted(host, there, rng.randint(0, len(there)), new)
                new = []

    return offers


def _documents(host: Host) -> list[_Document]:
    """Return the passages before what is asked, in text order."""
    if not host.has_passages:
        return []
    end = host.text.rfind("Question: ", 0, host.problem.asked.start)
    heads = list(_HEAD.finditer(host.text, 0, max(end, 0)))
    ends = [head.start() for head in heads[1:]] + [end]
    return [
        _Document(
            start=head.start(), end=until, title=head[2], text=host.text[head.end() : until].strip()
        )
        for head, until in zip(heads, ends, strict=True)
    ]


def _inserted(host: Host, there: list[_Document], after: int, new: list[_New]) -> Insertion:
    """Put passages after the first `after` ones, and number those behind them anew."""
    place = there[after].start if after < len(there) else there[-1].end
    put_in = "".join(
        f"Document [{number}] (Title: {title})\n{text}\n\n"
        for number, (title, text, _) in enumerate(new, start=after + 1)
    )
    asks = there[-1].end
    behind = _HEAD.sub(
        lambda head: f"Document [{int(head[1]) + len(new)}] (Title: {head[2]})\n",
        host.text[place:asks],
    )
    return Insertion(
        place=place,
        text=put_in,
        donor="+".join(donor for *_, donor in new),
        question=host.text[:place] + put_in + behind + host.text[asks:],
    )


def _index(texts: list[str]) -> Any:
    """Return a BM25 index of texts.

    Raises:
        UsageError: bm25s is not installed.
    """
    try:
        import bm25s
    except ImportError as error:
        raise UsageError(
            "prune.inject.sources: passages needs bm25s; pip install 'leaf-distill[passages]'"
        ) from error
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, stopwords="en", show_progress=False), show_progress=False)
    return index


def _nearest(index: Any, asked: str, count: int) -> list[int]:
    """Return the numbers of the texts that are most like a question, the nearest first."""
    import bm25s

    words = bm25s.tokenize([asked], stopwords="en", show_progress=False)
    found, scores = index.retrieve(words, k=count, show_progress=False, backend_selection="numpy")
    # Equal scores in one order on every machine.
    ranked = sorted(zip((-scores[0]).tolist(), found[0].tolist(), strict=True))
    return [number for _, number in ranked]


def _answers(host: Host, text: str) -> bool:
    """Whether a passage has every word of one of the right answers."""
    words = set(_words(text))
    golds = [_words(gold) for gold in (host.problem.answer, *host.problem.golds)]
    said = any(gold and words.issuperset(gold) for gold in golds if gold not in (["yes"], ["no"]))
    return said or host.gives_away(text)


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"\w+", text.lower()) if word not in {"a", "an", "the"}]
