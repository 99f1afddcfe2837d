"""How several answers to one question become one: the answer that most of them give."""

from typing import Annotated, Literal

from pydantic import Field

from leaf.recipe.base import Count, Section


class MajoritySection(Section):
    """Self-consistency (Wang et al. 2023): sampled answers vote, and sampling may end early."""

    at: list[Count] = Field(
        [],
        description="k of maj@k (whether the answer that most of the first k give is right), each"
        " at most `samples`; empty: 1 and `samples`",
    )
    stop: Literal["dirichlet", "window"] | None = Field(
        None,
        description="ask a question no more when its majority is settled. dirichlet: it is the most"
        " likely answer with `certainty`; window: the last `window` answers are all the same; null:"
        " ask `samples` times",
    )
    certainty: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.95, description="dirichlet: how likely the majority must be the most likely answer"
    )
    window: Annotated[int, Field(ge=2)] = Field(
        4, description="window: so many answers are asked for at once, and must all be the same"
    )
    weights: Literal["none", "mean_logprob"] = Field(
        "none",
        description="what a vote weighs. none: 1; mean_logprob: the probability per token that the"
        " model gives its answer (geometric mean). `stop` counts votes all the same",
    )
