"""What a source of texts to put in is: one function, one line in `leaf.prune.inject.SOURCES`."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from leaf.prune.inject.places import Host
from leaf.recipe import InjectSection
from leaf.records import Counterfactual, Problem


@dataclass(frozen=True, kw_only=True, slots=True)
class Insertion:
    """A text at a place of a question, which becomes `question[:place] + text + question[place:]`.

    Where the rest changes with it (numbers of documents), `question` is the whole of it.
    """

    place: int
    text: str
    """With the space that parts it from its neighbours."""
    donor: str
    """Where it comes from: the id of a changed question or a problem, or a template's name."""
    question: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """What a run has to make insertions of."""

    problems: Mapping[str, Problem]
    """Every training problem by id."""
    verified: Sequence[Counterfactual]
    """Removals of one span that passed verification."""
    needless: Sequence[Counterfactual] = ()
    """Removals of one span from solved problems, which does nothing for the answer."""
    section: InjectSection


Offers = Callable[[Host, random.Random], Iterator[Insertion]]
"""Yields what may be put into a question, in an order that the seed decides; none is put twice."""

Source = Callable[[Material], Offers]
"""Looks at the material once, and returns what looks at one question after another.

What is offered for a question must depend on the material, the question and the random numbers
alone, never on the order of the problems.
"""
