"""A detector with the model that it measures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from leaf.attribute import Detector, MeasuredModel, detector_class
from leaf.models.load import Loaded
from leaf.models.prompt_format import PromptFormat
from leaf.records import Problem, Sensitivity


@dataclass(frozen=True)
class Measured:
    detector: Detector
    model: MeasuredModel

    def attribute(
        self, problems: Sequence[Problem], references: Sequence[str]
    ) -> list[Sensitivity]:
        return self.detector.measure(self.model, problems, references)


def measured(name: str, loaded: Loaded, options: Any = None, **settings: Any) -> Measured:
    """Make a detector with its options, and open a model with the other settings."""
    kind = detector_class(name)
    chat = PromptFormat(loaded.tokenizer, name="tiny")
    model = MeasuredModel(loaded=loaded, chat=chat, **settings)
    # Checked while the model is as it should be.
    assert model.head
    return Measured(kind(kind.Options(**(options or {}))), model)
