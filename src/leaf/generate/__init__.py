"""Answers. To add an engine: one file here, one line in `ENGINES`."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from leaf.errors import ModelError
from leaf.generate.engine import Engine, Unanswered, WholeAnswers, by_parts
from leaf.generate.hf import HuggingFaceEngine, open_hf
from leaf.generate.llamacpp import open_llamacpp
from leaf.generate.openai import access_of, open_openai
from leaf.generate.vllm import open_vllm
from leaf.models.files import Source, find
from leaf.progress import Ticker
from leaf.recipe import GenerateSection, ModelSection

OpenEngine = Callable[
    [ModelSection, Source, GenerateSection, Ticker | None], AbstractContextManager[Engine]
]
"""Brings an engine up with a model until the block ends; heavy parts are imported there.

The `Source` says where the model's files lie; engine `openai` reads only `ModelSection.server`.
"""

ENGINES: dict[str, OpenEngine] = {
    "hf": open_hf,
    "vllm": open_vllm,
    "llamacpp": open_llamacpp,
    "openai": open_openai,
}

__all__ = [
    "ENGINES",
    "HuggingFaceEngine",
    "OpenEngine",
    "Unanswered",
    "by_parts",
    "check_trainable",
    "engine_of",
    "find_for",
    "open_engine",
]


def engine_of(section: ModelSection, generate: GenerateSection) -> str:
    """Return which engine answers for a model: a key of `ENGINES`."""
    return section.engine or generate.engine


def check_trainable(section: ModelSection, generate: GenerateSection) -> None:
    """Refuse an engine that would not answer with the folder of weights that training makes.

    Raises:
        ModelError: it reads GGUF files, or asks a server, which has the model as it was.
    """
    engine = engine_of(section, generate)
    if engine in ("llamacpp", "openai"):
        raise ModelError(
            f"{section.model}: a trained student is a folder of weights, with which engine {engine}"
            " cannot answer; set student.engine to hf or vllm"
        )


def find_for(section: ModelSection, generate: GenerateSection) -> Source:
    """Bring onto this machine what a model needs to answer, and no more.

    A model that only answers needs less than one that is scored or trained too: on a server, no
    file at all; as a GGUF file for llama.cpp, no converted weights.
    """
    engine = engine_of(section, generate)
    _check_adapter(section, engine)
    if engine == "openai":
        access = access_of(section)
        return Source(name=access.model, fingerprint=f"{access.url}: {access.model}")
    return find(section, weights=engine != "llamacpp", quantised=engine == "vllm")


@contextmanager
def open_engine(
    section: ModelSection, source: Source, generate: GenerateSection, tick: Ticker | None = None
) -> Iterator[Engine]:
    """Bring up the engine that a model's section, else `generate.engine`, names.

    Its `answer` gives every answer or raises `MissingError`; of its `stream` some may be
    `Unanswered`.
    """
    engine = engine_of(section, generate)
    _check_adapter(section, engine)
    with ENGINES[engine](section, source, generate, tick) as opened:
        yield WholeAnswers(opened)


def _check_adapter(section: ModelSection, engine: str) -> None:
    if section.adapter is not None and engine != "hf":
        raise ModelError(
            f"{section.adapter}: engine {engine} answers without adapters; use engine hf"
        )
