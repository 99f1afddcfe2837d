"""Which test problems are in the training data, word for word or nearly.

Two questions are the same when they are equal without case and white space. They share runs of 13
words (n-grams as in GPT-3's check, Brown et al. 2020, appendix C); a test question of fewer words
is one run of all of them, or of none where it has fewer than three. The share is that of the words
inside shared runs, in the shorter of the two questions: one of them may have examples, a note or a
planted sentence that the other has not. A test question is near a training question where the
share is high and every number of the shorter one stands in the other: the same words about other
numbers are another problem. Words are letters and digits, without case. Of a question with passages
only the words that ask are looked at.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from leaf.records import Problem

NEAR = 0.6
"""The share from which a test question is near; below, it is mostly a set phrase or a template."""

_HEAD = 3
_WORD = re.compile(r"\w+")
_SPACE = re.compile(r"\s+")

_Gram = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Meeting:
    """A test problem and the training problem that shares most with it."""

    test_id: str
    train_id: str
    exact: bool
    """The same question, but for case and white space."""
    share: float
    """Of the shorter question's words, those in shared runs; in (0, 1], and 1 where exact."""
    same_numbers: bool
    """Every number of the shorter question stands in the other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """What of a test set is in the training data."""

    exact: tuple[Meeting, ...]
    near: tuple[Meeting, ...]
    """Not exact, but with a share of `NEAR` or more and the same numbers."""

    def __str__(self) -> str:
        """Say how many, with an example of each kind: the rest of a line about the test set."""
        exact, near = len(self.exact), len(self.near)
        said = f"of which {exact or 'none'} {_is(max(exact, 1))} in the training data word for word"
        if exact:
            said += f" ({self.exact[0].test_id} as {self.exact[0].train_id})"
        if near:
            like = f"{self.near[0].test_id} resembles {self.near[0].train_id}"
            said += f" and {near} nearly {_is(near)} ({like})"
        return said if exact or near else f"{said} or nearly"


def overlap(test: Sequence[Problem], train: Sequence[Problem], *, near: float = NEAR) -> Overlap:
    """Find the test problems that are training problems, or nearly."""
    met = list(meetings(test, train))
    return Overlap(
        exact=tuple(one for one in met if one.exact),
        near=tuple(one for one in met if not one.exact and one.share >= near and one.same_numbers),
    )


def meetings(
    test: Sequence[Problem], train: Sequence[Problem], *, n: int = 13
) -> Iterator[Meeting]:
    """Give each test problem that shares an n-gram with a training problem, in test order.

    Of several training problems it is the one that shares most, the first of equals. Takes time
    linear in all texts but for n-grams that many test problems share.
    """
    grams = [_grams(_words(problem), n) for problem in test]
    holders: dict[_Gram, list[int]] = defaultdict(list)
    for number, own in enumerate(grams):
        for gram in own:
            holders[gram].append(number)
    lengths = _lengths_by_head(holders)
    best: dict[int, tuple[set[_Gram], Problem]] = {}
    same: dict[str, str] = {}
    for problem in train:
        same.setdefault(_whole(problem), problem.id)
        shared: dict[int, set[_Gram]] = defaultdict(set)
        for gram in _known_grams(_words(problem), holders, lengths):
            for number in holders[gram]:
                shared[number].add(gram)
        for number, own in shared.items():
            if number not in best or len(own) > len(best[number][0]):
                best[number] = (own, problem)
    for number, problem in enumerate(test):
        twin = same.get(_whole(problem))
        if twin is not None:
            yield Meeting(
                test_id=problem.id, train_id=twin, exact=True, share=1.0, same_numbers=True
            )
        elif number in best:
            own, like = best[number]
            shorter, longer = sorted([_words(problem), _words(like)], key=len)
            yield Meeting(
                test_id=problem.id,
                train_id=like.id,
                exact=False,
                share=min(1.0, _covered(_words(problem), own) / len(shorter)),
                same_numbers=_numbers(shorter) <= _numbers(longer),
            )


def _covered(words: Sequence[str], grams: set[_Gram]) -> int:
    """Count the words that lie inside one of the n-grams, which are all of one length."""
    length = len(next(iter(grams)))
    inside: set[int] = set()
    for start in range(len(words) - length + 1):
        if tuple(words[start : start + length]) in grams:
            inside.update(range(start, start + length))
    return len(inside)


def _grams(words: Sequence[str], n: int) -> set[_Gram]:
    if len(words) < min(_HEAD, n):
        return set()
    length = min(n, len(words))
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


def _lengths_by_head(grams: Iterable[_Gram]) -> dict[_Gram, set[int]]:
    """Say for each beginning of n-grams how long those are: most places of a text have none."""
    lengths: dict[_Gram, set[int]] = defaultdict(set)
    for gram in grams:
        lengths[gram[:_HEAD]].add(len(gram))
    return lengths


def _known_grams(
    words: Sequence[str], known: dict[_Gram, list[int]], lengths: dict[_Gram, set[int]]
) -> set[_Gram]:
    found = set()
    for start, head in enumerate(zip(*(words[skip:] for skip in range(_HEAD)), strict=False)):
        for length in lengths.get(head, ()):
            gram = tuple(words[start : start + length])
            if gram in known:
                found.add(gram)
    return found


def _words(problem: Problem) -> list[str]:
    return _WORD.findall(problem.question[problem.asked].casefold())


def _numbers(words: Sequence[str]) -> Counter[str]:
    return Counter(word for word in words if word[0].isdigit())


def _whole(problem: Problem) -> str:
    return _SPACE.sub("", problem.question[problem.asked].casefold())


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
