"""The section `verify`: which changed questions stay."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from leaf.recipe.base import Count, Section, Seed, Share


def _off_as_text(value: Any) -> Any:
    """Read `off`, which YAML takes for false, as the word that it is."""
    return "off" if value is False else value


class VerifySection(Section):
    """Stage 1: which changed questions stay."""

    teacher: Literal["always", "if_student_right"] = Field(
        "always",
        description="ask the teacher about every changed question, or about cuts only where the"
        " student is right, and about what is put in, where student_wrong decides, only where it is"
        " wrong (keeps the same ones for less)",
    )
    transplants: Literal["all", "student_wrong"] = Field(
        "all",
        description="keep every transplant that the teacher answers right, or only those that the"
        " student fails",
    )
    placebos: Annotated[int, Field(ge=0)] = Field(
        0,
        description="cut so many other pieces as large as each verified cut: the cut stays only"
        " where it frees the student more than they do; 0: no control",
    )
    placebos_of: Literal["kept", "tried"] = Field(
        "kept",
        description="kept: placebos and samples of cuts that both models answer right; tried: of"
        " all: the same ones stay, it costs more, and the effect of a cut is told without bias",
    )
    chance: Share = Field(
        0.0, description="largest share of a cut's placebos that may free the student as well"
    )
    samples: Annotated[int, Field(ge=0)] = Field(
        0,
        description="so many sampled answers of the student with and without each verified cut, and"
        " without each placebo; 0: greedy ones alone",
    )
    gain: Annotated[float, Field(gt=0, le=1)] = Field(
        0.5,
        description="by how much the share of right samples must rise without the cut piece, over"
        " the whole question and over its placebos",
    )
    temperature: Annotated[float, Field(ge=0)] = Field(
        1.0, description="of the samples, above 0 where there are some"
    )
    seed: Seed = Field(0, description="seed of placebos and samples")
    effect: Share = Field(
        0.0,
        description="keep transplants and injections only of texts that mislead the student and not"
        " the teacher in so large a share of their insertions into solved problems",
    )
    injections: Literal["student_wrong", "all", "unasked"] = Field(
        "student_wrong",
        description="keep injections that the student fails, or all of them, hard ones first where"
        " prune.share takes fewer; unasked: the student is not asked, some are drawn",
    )
    ambiguity: Annotated[
        Literal["off", "sample", "always"] | None, BeforeValidator(_off_as_text)
    ] = Field(
        None,
        description="ask the teacher whether what is put in really says nothing (without a teacher:"
        " in how many of its questions the student is still right): never, about a sample, or"
        " always; null: always about transplants, never about injections",
    )
    ambiguity_sample: Count = Field(
        64, description="ambiguity: sample: of how many transplants, and how many injections"
    )

    @model_validator(mode="after")
    def _samples_differ(self) -> "VerifySection":
        if self.samples and self.temperature == 0:
            raise ValueError(
                f"verify.samples: {self.samples} greedy answers would all be the same; set "
                "verify.temperature, such as 1.0, or verify.samples: 0"
            )
        return self
