"""Transplants: verified cuts put where they were not (METHOD, "Beyond the paper").

A cut never shows that its text's *value* does not matter. The intervention that does,
do(A = a'), replaces a verified cut by one of another problem, or inserts one into a problem that
the student solves. The teacher's answer decides whether the result still has the same answer.
Spans of responses take no part, neither as donors nor as hosts: a step of another problem's
reasoning is no distraction, it is wrong.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from leaf.recipe import PruneSection
from leaf.records import Counterfactual, Problem, Span

_WORD = re.compile(r"\S+")
_SENTENCE_ENDS = (".", "!", "?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Donor:
    """A verified cut with what stood around it."""

    counterfactual_id: str
    problem_id: str
    text: str
    """Without whitespace at its ends."""
    before: str
    """The word before it; "" at the start of the question."""
    after: str
    """The word after it; "" at the end of the question."""
    sentence: int
    """How many sentences end before it."""

    @property
    def opens(self) -> bool:
        """Whether it began a sentence that was not the first one."""
        return self.before.endswith(_SENTENCE_ENDS)


def transplants(
    problems: Mapping[str, Problem],
    verified: Sequence[Counterfactual],
    solved: Sequence[Problem],
    section: PruneSection,
) -> list[Counterfactual]:
    """Return `section.transplants` replacements and as many insertions for each verified cut.

    Only removals of a single span are donors, and of overlapping ones of a problem only the widest:
    "Near the" frees the student as "Near the old bridge," does, but says less. A replacement puts
    another problem's span, of another text, in place of a verified one. An insertion puts a
    verified cut into a problem that the student solves and that holds none of the donors' texts,
    so that nothing else pulls there: between the two words that are most like those it stood
    between, in the same sentence of the text where that is possible. No question is made twice, and
    none equals a question of `problems`.

    Args:
        problems: Every training problem by id.
        verified: Counterfactuals that passed condition (ii).
        solved: Problems that the student answers right.
        section: How many transplants a span, and the seed of what goes where.
    """
    rng = random.Random(section.seed)
    single = _widest([item for item in verified if len(item.spans) == 1])
    donors = donors_of(single, problems)
    found: list[Counterfactual] = []
    seen = {problem.question for problem in problems.values()}
    numbers: dict[str, int] = {}
    for host, made in _made(single, donors, problems, solved, section.transplants, rng):
        if made.question in seen:
            continue
        seen.add(made.question)
        number = numbers[host] = numbers.get(host, -1) + 1
        found.append(
            Counterfactual(
                id=f"{host}/tp{number}",
                problem_id=host,
                strategy="transplant",
                spans=(made.span,),
                question=made.question,
                inserted=made.donor.text,
                donor=made.donor.counterfactual_id,
            )
        )
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class _Made:
    question: str
    span: Span
    """What was removed; empty for an insertion."""
    donor: Donor


def _made(
    verified: Sequence[Counterfactual],
    donors: Sequence[Donor],
    problems: Mapping[str, Problem],
    solved: Sequence[Problem],
    times: int,
    rng: random.Random,
) -> Iterator[tuple[str, _Made]]:
    """Yield the host problem's id and what becomes of it."""
    texts = {donor.text for donor in donors}
    hosts = [item for item in solved if not any(text in item.question for text in texts)]
    for item, own in zip(verified, donors, strict=True):
        question = problems[item.problem_id].question
        for donor in _others(donors, own, times, rng):
            yield item.problem_id, _replaced(question, item.spans[0], donor)
        for host in rng.sample(hosts, min(times, len(hosts))):
            yield host.id, _inserted(host.question, own, rng)


def _widest(verified: Sequence[Counterfactual]) -> list[Counterfactual]:
    """Leave out spans that lie inside, or reach into, a wider one of the same problem."""
    kept: dict[str, list[Counterfactual]] = {}
    for item in sorted(verified, key=lambda item: item.spans[0].start - item.spans[0].end):
        span = item.spans[0]
        wider = kept.setdefault(item.problem_id, [])
        if all(
            span.end <= other.spans[0].start or other.spans[0].end <= span.start for other in wider
        ):
            wider.append(item)
    ids = {item.id for items in kept.values() for item in items}
    return [item for item in verified if item.id in ids]


def _others(donors: Sequence[Donor], own: Donor, times: int, rng: random.Random) -> list[Donor]:
    """Draw donors of other problems, each of another text; frequent texts come more often."""
    drawn: dict[str, Donor] = {own.text: own}
    for donor in rng.sample(donors, len(donors)):
        if len(drawn) > times:
            break
        if donor.problem_id != own.problem_id:
            drawn.setdefault(donor.text, donor)
    return list(drawn.values())[1:]


def _replaced(question: str, span: Span, donor: Donor) -> _Made:
    """Put a donor's text in place of a span's; the whitespace at the span's ends stays."""
    core = span.text.strip()
    text = span.text.replace(core, donor.text)
    return _Made(
        question=question[: span.start] + text + question[span.end :], span=span, donor=donor
    )


def donors_of(verified: Sequence[Counterfactual], problems: Mapping[str, Problem]) -> list[Donor]:
    """Return the text of each verified cut with its neighbours; of overlapping cuts the widest."""
    single = _widest([item for item in verified if len(item.spans) == 1])
    return [_donor(item, problems[item.problem_id].question) for item in single]


def likenesses(question: str, donor: Donor) -> dict[int, int]:
    """Return how like the places after each word, and before the first, are to a donor's own.

    A neighbour that is the same word counts 2, and so does the same kind of place (after a word,
    after which mark, at the start); the same sentence of the text counts 1.
    """
    ends = [0, *(word.end() for word in _WORD.finditer(question))]
    words = ["", *question.split(), ""]
    return {
        end: 2 * (words[at] == donor.before)
        + 2 * (words[at + 1] == donor.after)
        + 2 * (_kind(words[at]) == _kind(donor.before))
        + (_sentences(words[: at + 1]) == donor.sentence)
        for at, end in enumerate(ends)
    }


def _inserted(question: str, donor: Donor, rng: random.Random) -> _Made:
    """Put a donor's text between the two words that are most like its own neighbours."""
    likeness = likenesses(question, donor)
    best = max(likeness.values())
    place = rng.choice([end for end, like in likeness.items() if like == best])
    text = f" {donor.text}" if place else f"{donor.text} "
    return _Made(
        question=question[:place] + text + question[place:],
        span=Span(start=place, end=place, text="", gap=0.0, units=0),
        donor=donor,
    )


def _kind(word: str) -> str:
    """Say what stands before a place: the start of the text, a word, or which mark."""
    if not word:
        return "start"
    return "word" if word[-1].isalnum() else word[-1]


def _sentences(words: Sequence[str]) -> int:
    """Return how many sentences end in a text of these words."""
    return sum(word.endswith(_SENTENCE_ENDS) for word in words)


def _donor(item: Counterfactual, question: str) -> Donor:
    span = item.spans[0]
    before, after = question[: span.start].split(), question[span.end :].split()
    return Donor(
        counterfactual_id=item.id,
        problem_id=item.problem_id,
        text=span.text.strip(),
        before=before[-1] if before else "",
        after=after[0] if after else "",
        sentence=_sentences(before),
    )
