"""Answers. To add an engine: one file here, one line in `ENGINES`."""

from collections.abc import Callable

from leaf.chat import Chat
from leaf.config import GenerateSection
from leaf.generate.hf import HuggingFaceEngine
from leaf.models import Loaded
from leaf.progress import Ticker
from leaf.protocols import Engine

EngineFactory = Callable[[Loaded, Chat, GenerateSection, Ticker | None], Engine]

ENGINES: dict[str, EngineFactory] = {"hf": HuggingFaceEngine}

__all__ = ["ENGINES", "EngineFactory", "HuggingFaceEngine"]
