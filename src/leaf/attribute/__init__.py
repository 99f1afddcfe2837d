"""Who looks where. To add a detector: one file here, one line in `DETECTORS`."""

from collections.abc import Callable

from leaf.attribute.ablation import AblationAttributor
from leaf.attribute.attention import AttentionAttributor
from leaf.attribute.attributor import Attributor
from leaf.attribute.gradient import GradientAttributor, sensitivity
from leaf.attribute.integrated_gradients import IntegratedGradientsAttributor
from leaf.attribute.perplexity import PerplexityAttributor
from leaf.attribute.projection import join

DetectorFactory = Callable[..., Attributor]
"""(Loaded, Chat, AttributeSection, Ticker | None) -> Attributor; `ablation` takes `Places` too."""

DETECTORS: dict[str, DetectorFactory] = {
    "gradient": GradientAttributor,
    "perplexity": PerplexityAttributor,
    "attention": AttentionAttributor,
    "integrated_gradients": IntegratedGradientsAttributor,
    "ablation": AblationAttributor,
}
"""Those that look at a model's inside; `leaf.prune.rank` makes rankings of what they find."""

OPTIONS: dict[str, tuple[str, ...]] = {
    "gradient": ("norm",),
    "integrated_gradients": ("steps",),
    "ablation": ("ablation_unit",),
}
"""The settings of `attribute` that change what a detector finds."""

__all__ = [
    "DETECTORS",
    "OPTIONS",
    "DetectorFactory",
    "join",
    "sensitivity",
]
