"""Source `problems`: sentences of other problems of the data, never the one that asks.

A sentence is taken only where it can be nobody else's business: it stands by itself (it begins with
a name that the question does not know, and takes up nothing said before), and what it speaks of is
not asked for.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from leaf.prune.inject.places import SUBJECT, Host, may_meet, takes_up
from leaf.prune.inject.source import Insertion, Material, Offers
from leaf.prune.inject.words import NAMES, names_in, words

_LEANS = re.compile(
    r"\b(?:I|me|my|we|us|our|you|your|it|its|they|them|their|these|those|this|that|such|also|too"
    r"|again|another|others?|more|rest|remaining|remainder|left|then|next|if|same|instead|still"
    r"|both|each|together|former|latter|however|afterwards?|later)\b"
    # A number without what it counts: `picked 17 and`.
    r"|(?<![$\d.,])(?<!\$ )\d[\d.]*\s*(?:[,.](?!\d)|(?:and|but|or)\b)",
    re.IGNORECASE,
)
"""What leans on the sentences around it, or may."""

_KIN = re.compile(
    r"\b(?:mother|father|mom|dad|sister|brother|son|daughter|wife|husband|aunt|uncle|cousin|friend"
    r"|niece|nephew|grand\w+|girl|boy|woman|man|lady|parent|teacher|neighbor)s?\b",
    re.IGNORECASE,
)
"""Others whom `he` or `she` could mean."""

_ALL = re.compile(
    r"\b(?:all|altogether|total|together|combined|sum|both|every\w*|they|them|their|each|average"
    r"|common|difference|more|less|fewer|most|least|overall|people|anyone|any|there)\b",
    re.IGNORECASE,
)
"""A question about more than one: what is said of somebody else could count."""

_ONE = re.compile(r"\b(?:he|she|his|her)\b")
_PLAIN = re.compile(r"\s*[A-Z](?:[\w\s,.'’%/-]|\$ ?(?=[0-9]))*[.!]\s*")
"""No quotation, bracket or formula; a dollar sign is one of money."""

_BEGINS = re.compile(rf"\s*{SUBJECT}")
_WORD = re.compile(r"[A-Za-z]+")
_SMALL = words("""
    a an and are as at be been but by can could day days did do does for from get gets had has
    have he her him his how i if in into is it its many much of on one or out per she so than
    that the their them then there they this time to up was were what when which who will with
    would
""")
_LONGEST = 30
"""Words of the longest sentence that is taken."""
_DRAWS = 200
"""How many sentences are looked at for one question."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sentence:
    problem_id: str
    number: int
    text: str
    names: frozenset[str]


def problems(material: Material) -> Offers:
    """Offer sentences of other problems that stand by themselves, drawn at random."""
    pool = [
        sentence
        for _, problem in sorted(material.problems.items())
        for sentence in _sentences(Host(problem))
    ]

    def offers(host: Host, rng: random.Random) -> Iterator[Insertion]:
        asks_for_one = _asks_for_one(host)
        asked = _content(host.asking)
        for _ in range(_DRAWS if pool and host.borders else 0):
            drawn = rng.choice(pool)
            known = not drawn.names.isdisjoint(names_in(host.text))
            if host.side_of(drawn.text) not in material.section.number:
                continue
            if known or not (asks_for_one or asked.isdisjoint(_content(drawn.text))):
                continue
            places = [
                border.at
                for border in host.borders
                if not takes_up(border.after)
                and may_meet(host.text[border.at :], sorted(drawn.names))
            ]
            if places:
                yield Insertion(
                    place=rng.choice(places),
                    text=f" {drawn.text}",
                    donor=f"{drawn.problem_id}/s{drawn.number}",
                )

    return offers


def _sentences(host: Host) -> Iterator[_Sentence]:
    """Yield the sentences of a question that stand by themselves."""
    for number, (start, end) in enumerate(host.sentences[:-1]):
        text = host.text[start:end]
        words = _WORD.findall(text)
        begins = _BEGINS.match(text)
        alone = begins and begins[1] in NAMES and not (_LEANS.search(text) or _KIN.search(text))
        if alone and _PLAIN.fullmatch(text) and len(words) <= _LONGEST:
            yield _Sentence(
                problem_id=host.problem.id,
                number=number,
                text=" ".join(text.split()),
                names=frozenset(names_in(text)),
            )


def _asks_for_one(host: Host) -> bool:
    """Whether the question is about one person, so that nobody else's things count."""
    one = names_in(host.asking) or _ONE.search(host.asking)
    return bool(one) and not _ALL.search(host.asking)


def _content(text: str) -> frozenset[str]:
    """Return the words that say what a text is about, without the ending of a plural."""
    words = (word.lower() for word in _WORD.findall(text))
    return frozenset(word.rstrip("s") for word in words if word not in _SMALL)
