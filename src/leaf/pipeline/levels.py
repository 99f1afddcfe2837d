"""By which settings a level is cut, and what of them names the cuts in the store."""

from typing import Any

from leaf.recipe import PruneSection


def at_level(section: PruneSection, level: str) -> PruneSection:
    """Return the settings by which a level is cut.

    The response may have a threshold of its own, and it takes no transplants: its verified cuts
    are trained on in their place.
    """
    if level == "instruction":
        return section
    threshold = section.response_threshold
    changes = {
        "threshold": section.threshold if threshold is None else threshold,
        "strategy": section.without("transplant", "inject"),
    }
    return section.model_copy(update=changes)


def cutting(section: PruneSection) -> dict[str, Any]:
    """Return what decides the cuts of a ranked question; a setting that is off is left out.

    What is cut where is decided by the questions themselves, which are named beside this.
    """
    later = {"transplants", "seed", "substitutes", "whole"}
    later |= {"levels", "segments", "response_threshold", "inject", "share"}
    # As version 0.1.0 wrote it, which named what it made by it.
    settings = {
        **section.model_dump(exclude=later),
        "strategy": "+".join(section.without("inject")),
    }
    if section.whole:
        settings["whole"] = sorted(set(section.whole))
    if "substitute" in section.strategies:
        settings |= {"substitutes": section.substitutes, "seed of substitutes": section.seed}
    return settings
