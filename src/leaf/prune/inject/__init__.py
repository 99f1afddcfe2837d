"""Distractors put in (METHOD, "Beyond the paper"): a source a file, and where a text may stand.

For an insertion the right answer is known beforehand: it is that of the question without it.
"""

from leaf.prune.inject.make import SOURCES, about, injections
from leaf.prune.inject.places import Host
from leaf.prune.inject.source import Insertion, Material, Offers, Source

__all__ = ["SOURCES", "Host", "Insertion", "Material", "Offers", "Source", "about", "injections"]
