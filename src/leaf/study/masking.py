"""Is it the gradient? LeaF with spans that gradients, chance or perplexity mark (Fig. 7)."""

from leaf.study.finding import Finding
from leaf.study.lab import Lab
from leaf.study.sweep import sweep

MASKS = ("gradient", "random", "perplexity")
"""Random and perplexity mark as many tokens of each problem as the gradient does."""


def masking(lab: Lab) -> Finding:
    """Train LeaF with each mask; all go through the same verification."""
    return sweep(
        lab,
        study="masking",
        heading="mask",
        settings={mask: {"attribute.detector": mask} for mask in MASKS},
        table="1 math",
        says=("The paper shows this as a picture (Fig. 7) that prints no values.",),
    )
