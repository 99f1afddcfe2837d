"""Sources `templates` and `measures`: our own bank, filled with what the question speaks of."""

import random
import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product

from leaf.prune.inject.bank import MEASURES, TEMPLATES, Template
from leaf.prune.inject.places import SUBJECT, Host, may_meet, speaks_of, subject, takes_up
from leaf.prune.inject.source import Insertion, Material, Offers
from leaf.prune.inject.words import COUNTING, LARGE, NAMES, SMALL
from leaf.recipe import InjectSection

NEWCOMERS = ("Nora", "Ingrid", "Fatima", "Priya", "Otto", "Hugo", "Rashid", "Viktor")
"""Who comes in where the role is nobody of the problem: half of them women, half men."""

_PAST = (
    "bought|sold|gave|took|ate|made|found|got|went|saw|spent|lost|won|had|was|were|came|ran|read|put"
    "|drew|wrote|paid|left|kept|built|threw|drove|set|cut|caught|brought"
)
_ACTED = re.compile(rf"\s*([A-Z][a-z]+) (?:[a-z]+ed|{_PAST})\b")
"""A sentence that begins with a name and tells what is past."""

_OPENS = "On|In|At|After|Before|Yesterday|Today|Last|This|If|While|Every|Then|Now"
_ACTS = re.compile(rf"(?:\s*(?:{_OPENS})\b[^,.]*,)?\s*{SUBJECT}")
"""A sentence whose first name acts; what comes before it is at most one clause."""

_OF = "of|on|for|in|at|to|by|with|from|and|or|per|as|than|the|an?"
_MANY = rf"(?<![$.,\w])(?<!\$ )(?:[0-9][0-9,]*|{'|'.join(COUNTING)}) (?:(?!(?:{_OF})\b)[a-z]+ )?"
"""A number, and at most one word between it and what it counts."""

_COUNTED = re.compile(rf"{_MANY}({'|'.join(sorted(SMALL | LARGE))})\b")
_AT_END = re.compile(rf"{_MANY}({'|'.join(sorted(SMALL))}) ?\.\s*$")

Filled = tuple[int, str]
"""A place and what comes there, all but its number."""


def templates(material: Material) -> Offers:
    """Offer each text of the bank that fits a question, its place and number drawn."""
    return _of("templates", TEMPLATES, material)


def measures(material: Material) -> Offers:
    """Offer each text of the bank in which a measure changes, its place and numbers drawn."""
    return _of("measures", MEASURES, material)


def _of(source: str, bank: Sequence[Template], material: Material) -> Offers:
    section = material.section
    wanted = [template for template in bank if _is_wanted(template, section)]

    def offers(host: Host, rng: random.Random) -> Iterator[Insertion]:
        if not host.is_english or host.has_passages:
            return
        for template in rng.sample(wanted, len(wanted)):
            if _words(template.avoid).search(host.text):
                continue
            sides = _numbers(template, host, section) if template.high else {"none": [0]}
            count = 2 if "{m}" in template.text else 1
            sides = {side: found for side, found in sides.items() if len(found) >= count}
            filled = list(_FORMS[template.form](template, host))
            if not (sides and filled):
                continue
            side = rng.choice(sorted(sides))
            place, text = rng.choice(filled)
            if count == 1:
                text = text.replace("{n}", str(rng.choice(sides[side])))
            else:
                before, after = rng.sample(sides[side], 2)
                text = text.replace("{n}", str(before)).replace("{m}", str(after))
            yield Insertion(
                place=place,
                text=text,
                donor=f"{source}/{template.name}/{template.topic}-{template.role}-{side}",
            )

    return offers


def _is_wanted(template: Template, section: InjectSection) -> bool:
    form = "sentence" if template.form == "sentence" else "clause"
    number = {"in", "out"} if template.high else {"none"}
    return (
        form in section.forms
        and template.topic in section.topic
        and template.role in section.role
        and not number.isdisjoint(section.number)
    )


@cache
def _words(beginnings: str) -> re.Pattern[str]:
    money = r"|\$" if "dollar" in beginnings else ""
    return re.compile(rf"\b(?:{beginnings}){money}", re.IGNORECASE)


def _numbers(template: Template, host: Host, section: InjectSection) -> dict[str, list[int]]:
    """Return what may stand for `{n}`: `in` the range of the question's own numbers, and `out`.

    None of it is a number of the question, nor the answer.
    """
    own = host.numbers
    taken = {*own, *host.gold_numbers}
    sides: dict[str, list[int]] = {"in": [], "out": []}
    for number in range(template.low, template.high + 1):
        if number not in taken:
            sides["in" if own and own[0] <= number <= own[-1] else "out"].append(number)
    return {side: found for side, found in sides.items() if found and side in section.number}


def _sentence(template: Template, host: Host) -> Iterator[Filled]:
    for border in host.borders:
        if takes_up(border.after):
            continue
        people = [""]
        if "{who}" in template.text and template.role == "in":
            people = [name for name in [subject(border.before)] if name]
        elif "{who}" in template.text:
            rest = host.text[border.at :]
            people = [who for who in NEWCOMERS if who not in host.text and may_meet(rest, [who])]
        things = [""]
        if "{things}" in template.text:
            things = [name for name in _things(host) if not speaks_of(border.after, name)]
        for who, thing in product(people, things):
            yield border.at, " " + template.text.replace("{who}", who).replace("{things}", thing)


def _things(host: Host) -> list[str]:
    """Return what the question counts, as it calls it."""
    return list(dict.fromkeys(found[1] for found in _COUNTED.finditer(host.text)))


def _after_name(template: Template, host: Host) -> Iterator[Filled]:
    for start, end in host.sentences[:-1]:
        acts = _ACTS.match(host.text[start:end])
        if acts and acts[1] in NAMES and host.is_free(start + acts.end(1)):
            yield start + acts.end(1), template.text


def _at_end(template: Template, host: Host) -> Iterator[Filled]:
    for start, end in host.sentences[:-1]:
        things = _AT_END.search(host.text[start:end])
        if things and host.is_free(start + things.end(1)):
            yield start + things.end(1), template.text


def _before_sentence(template: Template, host: Host) -> Iterator[Filled]:
    for border in host.borders:
        acted = _ACTED.match(border.after)
        if acted and acted[1] in NAMES and border.after != host.asking:
            yield border.at + acted.start(1), f"{template.text} "


_FORMS = {
    "sentence": _sentence,
    "name": _after_name,
    "end": _at_end,
    "opening": _before_sentence,
}
"""How each `Form` finds its places."""
