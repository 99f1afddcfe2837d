"""The recipe: everything that decides a run, one section a stage, checked strictly.

`leaf.recipe.reading` reads, layers and writes recipes.
"""

from leaf.recipe.base import Section
from leaf.recipe.distill import DistillSection, LoraSection, ServedSection, ValidationSection
from leaf.recipe.engine import GenerateSection, ServerSection
from leaf.recipe.names import Detector, EngineName, GraderName, LossName, OneOf, measurement
from leaf.recipe.schema import (
    AttributeSection,
    BenchmarkSection,
    ColumnsSection,
    DataSection,
    EvaluateSection,
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
    "BenchmarkSection",
    "ColumnsSection",
    "DataSection",
    "Detector",
    "DistillSection",
    "EngineName",
    "EvaluateSection",
    "GenerateSection",
    "GradeSection",
    "GraderName",
    "LoraSection",
    "LossName",
    "ModelSection",
    "OneOf",
    "PruneSection",
    "RaySection",
    "Recipe",
    "Section",
    "ServedSection",
    "ServerSection",
    "StoreSection",
    "Strategy",
    "ValidationSection",
    "VerifySection",
    "WorldSection",
    "measurement",
]
