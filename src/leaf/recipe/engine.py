"""How models answer, and by whom."""

from typing import Annotated, Literal

from pydantic import Field

from leaf.recipe.base import Count, Section, Seed
from leaf.recipe.names import EngineName


class ServerSection(Section):
    """A server that speaks the OpenAI protocol, for engine `openai`."""

    url: str = Field(
        "http://localhost:8000/v1", description="of its API, with the version at the end"
    )
    model: str | None = Field(None, description="the model's name there; null: as `model`")
    key_variable: str | None = Field(
        None, description="environment variable that holds the API key; null: none is sent"
    )
    workers: Count = Field(8, description="requests at the same time")
    retries: Annotated[int, Field(ge=0)] = Field(
        8,
        description="how often a request that failed is sent again, later and later, or when the"
        " server's Retry-After says",
    )
    timeout: Annotated[float, Field(gt=0)] = Field(
        600.0, description="seconds that one request may take"
    )
    limit: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens", description="what the longest answer is called in a request"
    )
    sampling: bool = Field(
        True,
        description="whether a request says how to sample (temperature, top_p, seed); false for"
        " models that refuse it",
    )


class GenerateSection(Section):
    """How both models answer: under their own chat templates, greedily unless told otherwise."""

    engine: EngineName = Field(
        "hf",
        description="who generates: hf, this package on transformers; vllm (extra); llamacpp, GGUF"
        " files on a CPU (extra); openai, a server",
    )
    max_new_tokens: Count = Field(512, description="longest answer in tokens")
    stop: list[Annotated[str, Field(min_length=1)]] = Field(
        [],
        description="texts before which an answer ends, for base models that go on with a question"
        ' of their own: `["\\nQuestion:"]`',
    )
    temperature: Annotated[float, Field(ge=0)] = Field(
        0.0, description="of sampled answers; 0: greedy, the most likely token each time"
    )
    top_p: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="sample from the most likely tokens that hold this share of probability"
    )
    seed: Seed = Field(0, description="seed of sampled answers; each problem has its own from it")
    missing: Annotated[int, Field(ge=0)] = Field(
        0,
        description="how many answers whose requests failed a run may go on without; with more it"
        " stops (exit code 1), and the same command asks for them again; training waits for every"
        " row of a served teacher, whatever stands here",
    )
    token_budget: Count = Field(
        32768, description="most tokens (prompt and answer, padding included) in one batch"
    )
    max_batch: Count = Field(64, description="most problems in one batch")
    draft: bool = Field(
        True,
        description="begin from the answer to the uncut question where a cut one is asked: the same"
        " text in fewer passes",
    )
