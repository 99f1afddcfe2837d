"""The recipe: everything that decides a run, one section a stage, checked strictly.

`leaf.recipe.reading` reads, layers and writes recipes.
"""

from leaf.recipe.attribute import AttributeSection
from leaf.recipe.base import Section
from leaf.recipe.choice import Choice, GraderChoice, choice_of, name_and_options
from leaf.recipe.data import ColumnsSection, DataSection, ShotsSection, WorldSection
from leaf.recipe.distill import (
    DistillSection,
    Lambda,
    LoraSection,
    ServedSection,
    TeacherSees,
    ValidationSection,
)
from leaf.recipe.engine import GenerateSection, ServerSection
from leaf.recipe.majority import MajoritySection
from leaf.recipe.names import DetectorName, EngineName, LossName, OneOf
from leaf.recipe.prune import InjectSection, PruneSection, Strategy
from leaf.recipe.schema import (
    BenchmarkSection,
    EvaluateSection,
    GradeSection,
    ModelSection,
    RaySection,
    Recipe,
    StoreSection,
)
from leaf.recipe.verify import VerifySection

__all__ = [
    "AttributeSection",
    "BenchmarkSection",
    "Choice",
    "ColumnsSection",
    "DataSection",
    "DetectorName",
    "DistillSection",
    "EngineName",
    "EvaluateSection",
    "GenerateSection",
    "GradeSection",
    "GraderChoice",
    "InjectSection",
    "Lambda",
    "LoraSection",
    "LossName",
    "MajoritySection",
    "ModelSection",
    "OneOf",
    "PruneSection",
    "RaySection",
    "Recipe",
    "Section",
    "ServedSection",
    "ServerSection",
    "ShotsSection",
    "StoreSection",
    "Strategy",
    "TeacherSees",
    "ValidationSection",
    "VerifySection",
    "WorldSection",
    "choice_of",
    "name_and_options",
]
