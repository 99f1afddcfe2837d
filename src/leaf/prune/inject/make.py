"""Insertions for a list of questions: what the sources offer, drawn so that no order matters."""

import inspect
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from leaf.prune.inject import verified as of_run
from leaf.prune.inject.passages import passages
from leaf.prune.inject.places import Host
from leaf.prune.inject.problems import problems
from leaf.prune.inject.source import Insertion, Material, Offers, Source
from leaf.prune.inject.templates import measures, templates
from leaf.recipe import InjectSection
from leaf.records import BETWEEN, Counterfactual, Problem, Span

SOURCES: dict[str, Source] = {
    "verified": of_run.verified,
    "needless": of_run.needless,
    "templates": templates,
    "measures": measures,
    "problems": problems,
    "passages": passages,
}
"""Name in a recipe to source. To add one: a file beside this one, and a line here; or, from a
script or a plugin of yours, `SOURCES["mine"] = mine`."""


def about() -> dict[str, str]:
    """Return what each source offers, in one line."""
    texts = {name: inspect.getdoc(source) or "" for name, source in SOURCES.items()}
    return {name: text.partition("\n")[0] for name, text in texts.items()}


def injections(
    every: Mapping[str, Problem],
    verified: Sequence[Counterfactual],
    hosts: Sequence[Problem],
    section: InjectSection,
    made: Sequence[Counterfactual] = (),
    needless: Sequence[Counterfactual] = (),
) -> list[Counterfactual]:
    """Return `section.per` insertions for each host, or one record that says why there is none.

    The sources of the recipe take turns. What a host gets depends on the seed, the host and the
    material, not on the order of the problems; the result is ordered by id. No question is made
    twice, and none equals a question of `every`; no insertion says its host's right answer. With
    `section.together` every second insertion of a host holds two texts, every third three, each of
    another donor.

    Args:
        every: Every training problem by id.
        verified: Counterfactuals that passed condition (ii).
        hosts: Problems to put something into, of the instruction level.
        section: Sources, axes, how many insertions a host, and the seed.
        made: Changed questions that there are already.
        needless: Removals of one span from solved problems, which does nothing there.
    """
    material = Material(problems=every, verified=verified, needless=needless, section=section)
    sources = {name: SOURCES[name](material) for name in dict.fromkeys(section.sources)}
    seen = {problem.question for problem in every.values()} | {item.question for item in made}
    found: list[Counterfactual] = []
    for problem in sorted(hosts, key=lambda problem: problem.id):
        host = Host(problem)
        donors: set[str] = set()
        for insertion in _drawn(host, sources, section.seed):
            if insertion.donor in donors or host.gives_away(insertion.text):
                continue
            texts: Sequence[Insertion] = [insertion]
            for _ in range(len(donors) % section.together):
                texts = _with_one_more(host, texts, sources, f"{section.seed} {len(donors)}")
            question = _changed(host.text, texts)
            if question in seen:
                continue
            seen.add(question)
            found.append(_counterfactual(host, len(donors), texts, question))
            donors.add(insertion.donor)
            if len(donors) == section.per:
                break
        if not donors:
            found.append(_none(host))
    return found


def _with_one_more(
    host: Host, texts: Sequence[Insertion], sources: Mapping[str, Offers], seed: str
) -> Sequence[Insertion]:
    """Add a text of another donor to those of a question, where one fits; all in text order."""
    if texts[0].question:
        return texts  # documents are numbered anew: no place is what it was
    full = Host(replace(host.problem, question=_changed(host.text, texts)), is_full=True)
    taken = {text.donor for text in texts}
    for found in _drawn(full, sources, seed):
        at, place = _in_host(found.place, texts)
        inside = place < (texts[at - 1].place if at else 0)
        if found.donor in taken or found.question or inside or host.gives_away(found.text):
            continue
        return [*texts[:at], replace(found, place=place), *texts[at:]]
    return texts


def _in_host(place: int, texts: Sequence[Insertion]) -> tuple[int, int]:
    """Return how many texts stand before a place of the changed question, and where it is.

    That is in the host; a place inside what was put in comes out before that text's own.
    """
    at = 0
    for text in texts:
        if place <= text.place:
            break
        place -= len(text.text)
        at += 1
    return at, place


def _drawn(host: Host, sources: Mapping[str, Offers], seed: int | str) -> Iterator[Insertion]:
    """Yield what the sources offer, one after the other; which begins is drawn."""
    rng = random.Random(f"{seed} {host.problem.id}")
    offers = [
        offers(host, random.Random(f"{seed} {host.problem.id} {name}"))
        for name, offers in sources.items()
    ]
    rng.shuffle(offers)
    while offers:
        for source in list(offers):
            insertion = next(source, None)
            if insertion is None:
                offers.remove(source)
            else:
                yield insertion


def _changed(question: str, texts: Sequence[Insertion]) -> str:
    """Return the question with the texts, which are in text order."""
    if texts[0].question:
        return texts[0].question
    for text in reversed(texts):
        question = question[: text.place] + text.text + question[text.place :]
    return question


def _counterfactual(
    host: Host, number: int, texts: Sequence[Insertion], question: str
) -> Counterfactual:
    return Counterfactual(
        id=f"{host.problem.id}/in{number}",
        problem_id=host.problem.id,
        strategy="inject",
        spans=tuple(
            Span(start=text.place, end=text.place, text="", gap=0.0, units=0) for text in texts
        ),
        question=question,
        inserted=BETWEEN.join(text.text for text in texts),
        donor=BETWEEN.join(text.donor for text in texts),
    )


def _none(host: Host) -> Counterfactual:
    return Counterfactual(
        id=f"{host.problem.id}/in-none",
        problem_id=host.problem.id,
        strategy="inject",
        spans=(),
        question=host.text,
        skipped=_reason(host),
    )


def _reason(host: Host) -> str:
    """Say why nothing was put into a question."""
    if host.has_passages and not host.problem.answer.strip():
        return "nothing to put in: nobody knows what a passage gives away without an answer"
    if host.has_passages:
        return "nothing to put in: no passage of prune.inject.sources fits"
    if len(host.sentences) < 2:
        return "nothing to put in: there is only the sentence that asks"
    if not host.borders:
        return "nothing to put in: there is no border of sentences before the one that asks"
    return "nothing to put in: no text of prune.inject.sources fits"
