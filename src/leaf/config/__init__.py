"""The recipe: everything that decides a run, one section a stage, checked strictly.

`leaf.recipe` reads, layers and writes recipes.
"""

from leaf.config.base import Section
from leaf.config.distill import DistillSection, LoraSection, ServedSection, ValidationSection
from leaf.config.recipe import (
    AttributeSection,
    ColumnsSection,
    DataSection,
    Detector,
    EvaluateSection,
    GenerateSection,
    GradeSection,
    ModelSection,
    PruneSection,
    RaySection,
    Recipe,
    StoreSection,
    Strategy,
    VerifySection,
    WorldSection,
)

__all__ = [
    "AttributeSection",
    "ColumnsSection",
    "DataSection",
    "Detector",
    "DistillSection",
    "EvaluateSection",
    "GenerateSection",
    "GradeSection",
    "LoraSection",
    "ModelSection",
    "PruneSection",
    "RaySection",
    "Recipe",
    "Section",
    "ServedSection",
    "StoreSection",
    "Strategy",
    "ValidationSection",
    "VerifySection",
    "WorldSection",
]
