"""One span at a time, or all at once? LeaF with span and with collective pruning (Table 3)."""

from leaf.study.finding import Finding
from leaf.study.lab import Lab
from leaf.study.sweep import sweep


def collective(lab: Lab) -> Finding:
    """Train LeaF with each of both ways of pruning; nothing is transplanted."""
    ways = ("span", "collective")
    return sweep(
        lab,
        study="span-vs-collective",
        heading="pruning",
        settings={way: {"prune.strategy": way} for way in ways},
        table="3",
        rows={way: way for way in ways},
    )
