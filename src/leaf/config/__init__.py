"""The recipe: everything that decides a run, one section a stage, checked strictly.

`leaf.recipe` reads, layers and writes recipes.
"""

from leaf.config.base import Section
from leaf.config.distill import DistillSection, LoraSection, ServedSection, ValidationSection
from leaf.config.engine import GenerateSection, ServerSection
from leaf.config.names import Detector, EngineName, GraderName, LossName, OneOf, measurement
from leaf.config.recipe import (
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
