"""Stage 2 of a recipe: how the student learns."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from leaf.recipe.base import Count, Section, Seed, Share
from leaf.recipe.names import HiddenLossName, LossName

TeacherSees = Literal["same", "cut"]
"""What the teacher sees in the row of a changed question."""


def _check_lambda(value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    if number or value in ("rows", "add"):
        return value
    raise ValueError(f"`distill.lambda` must be from 0 to 1, rows or add, but is {value!r}")


Lambda = Annotated[Share | Literal["rows", "add"], BeforeValidator(_check_lambda)]
"""How originals and changed questions share the loss."""


class LoraSection(Section):
    """Low-rank adapters, for `tuning: lora`."""

    rank: Count = Field(16, description="rank of each adapter")
    alpha: Annotated[float, Field(gt=0)] = Field(32.0, description="scale of adapters, times rank")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="dropout before adapters")
    targets: list[str] = Field(
        [], description="names of the layers that get one; empty: every linear layer but the head"
    )


class ValidationSection(Section):
    """Problems held out of training, which choose the checkpoint that is kept."""

    share: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of the training problems held out; 0: none, the last step is kept"
    )
    every: Count = Field(50, description="optimiser steps between validations")
    patience: Count | None = Field(
        None, description="stop after so many validations without a better loss; null: never"
    )
    seed: Seed = Field(0, description="which problems are held out")


class ServedSection(Section):
    """A server with the teacher, for `teacher: served`."""

    url: str = Field(
        "http://localhost:8000/v1",
        description="of an OpenAI-compatible server with prompt_logprobs",
    )
    model: str | None = Field(None, description="the teacher's name there; null: as teacher.model")
    key_variable: str | None = Field(
        None, description="environment variable that holds the API key; null: none is sent"
    )
    workers: Count = Field(8, description="requests at the same time")


class RoundSection(Section):
    """The second round, on answers of the student's own, for `rounds: 2`."""

    loss: Literal["reverse_kl", "jsd"] = Field(
        "reverse_kl", description="against the teacher, on the student's own tokens"
    )
    steps: Count = Field(20, description="optimiser steps")
    refresh: Count = Field(5, description="steps until the student answers anew")
    learning_rate: Annotated[float, Field(gt=0)] | None = Field(
        None, description="peak, after each refresh; null: as distill.learning_rate"
    )


class DistillSection(Section):
    """Stage 2: how the student learns."""

    lambda_: Lambda = Field(
        0.5,
        alias="lambda",
        description="weight of the originals, the rest is the changed questions'; rows: every"
        " response token weighs the same; add: originals whole, changed questions on top",
    )
    changed_weight: Annotated[float, Field(ge=0)] = Field(
        1.0, description="lambda: add: weight of the changed questions' loss"
    )
    lambda_end: Share | None = Field(
        None, description="lambda of the last step, reached in a straight line; null: constant"
    )
    temperature: Annotated[float, Field(gt=0)] = Field(1.0, description="softens both models")
    loss: LossName = Field(
        "kl",
        description="over the vocabulary: kl, KL(teacher || student); reverse_kl; jsd, generalised"
        " Jensen-Shannon; skew_kl, KL to a mixture; tv, total variation",
    )
    jsd_beta: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5, description="jsd: share of the teacher in the mixture"
    )
    skew: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="skew_kl: share of the teacher in the mixture; 0 is kl"
    )
    loss_options: dict[str, float | str] = Field(
        {}, description="keyword arguments of a loss of your own"
    )
    hidden: dict[HiddenLossName, Annotated[float, Field(gt=0)]] = Field(
        {},
        description="losses on last hidden states and their weights, added to the others: cosine,"
        " through a learnt projection; for teacher online or hidden with the student's tokenizer",
    )
    cross_entropy: Share = Field(
        0.0, description="share of the cross-entropy of the response in the loss; 1: plain SFT"
    )
    cross_entropy_changed: Share | None = Field(
        None, description="the same for changed questions; null: as cross_entropy"
    )
    anchor: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="weight of the KL from the student before training, on originals that it got"
        " right: they stay as they were",
    )
    teacher: Literal["online", "hidden", "topk", "served"] = Field(
        "online",
        description="online: in memory while training; hidden: its last hidden states computed once"
        " and kept on disk (exact); topk: its likeliest tokens (approximate); served: those from a"
        " server",
    )
    teacher_sees: TeacherSees = Field(
        "same",
        description="in a changed question's row; same: what the student sees; cut: the question"
        " without what distracts (an insertion's original), while the student sees the distractor",
    )
    top_k: Count = Field(64, description="topk, served: tokens kept a position")
    served: ServedSection = Field(ServedSection(), description="the teacher's server")
    same: Literal["steps", "originals"] = Field(
        "steps",
        description="what arms have in common: as many steps, or as many originals seen (plain"
        " distillation then takes fewer steps)",
    )
    batching: Literal["paired", "mixed"] = Field(
        "paired", description="each original beside its changed questions, or all shuffled"
    )
    student_wrong_originals: bool = Field(
        True, description="train on originals that the student got wrong (false: an ablation)"
    )
    tuning: Literal["full", "lora"] = Field(
        "full", description="what learns: every parameter, or adapters (merged in the end)"
    )
    lora: LoraSection = Field(LoraSection(), description="adapters")
    optimizer: Literal["adamw", "adamw_8bit"] = Field(
        "adamw", description="adamw_8bit keeps its state in 8 bits (extra `8bit`)"
    )
    learning_rate: Annotated[float, Field(gt=0)] = Field(1e-5, description="peak learning rate")
    warmup_steps: Annotated[int, Field(ge=0)] = Field(5, description="linear warm-up, then cosine")
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.0, description="of AdamW")
    max_grad_norm: Annotated[float, Field(gt=0, allow_inf_nan=True)] = Field(
        1.0, description="gradient clipping; .inf: none"
    )
    epochs: Count = Field(3, description="passes over the training rows")
    max_steps: Count | None = Field(None, description="optimiser steps; null: by epochs")
    max_tokens: Count | None = Field(
        None, description="stop at so many tokens, prompts included; null: by max_steps or epochs"
    )
    batch_size: Count = Field(64, description="rows in one optimiser step")
    token_budget: Count = Field(8192, description="most tokens in one forward pass")
    gradient_checkpointing: bool = Field(
        False, description="compute activations again in the backward: less memory, a third slower"
    )
    cutoff: Count = Field(
        4096, description="longest row in tokens; longer ones are dropped, counted"
    )
    chunk_tokens: Count = Field(256, description="positions whose logits exist at the same time")
    compute_dtype: Literal["auto", "bfloat16", "float32"] = Field(
        "auto", description="of forward and backward; master weights are always float32"
    )
    save_dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="of the saved student; auto: as the student came"
    )
    checkpoint_every: Count = Field(50, description="optimiser steps between checkpoints")
    rounds: Literal[1, 2] = Field(
        1,
        description="2: then a round on the student's own answers, kept where held-out problems say"
        " that it is no worse",
    )
    round: RoundSection = Field(RoundSection(), description="the second round")
    validation: ValidationSection = Field(ValidationSection(), description="held-out problems")
    tracking: list[Literal["tensorboard", "trackio", "wandb"]] = Field(
        [], description="where else the metrics go; each is an extra, none logs in by itself"
    )
    seed: Seed = Field(0, description="order of the training rows")

    def cross_entropy_of(self, *, changed: bool) -> float:
        """Return the share of cross-entropy in the rows of one kind; 1 asks no teacher."""
        if changed and self.cross_entropy_changed is not None:
            return self.cross_entropy_changed
        return self.cross_entropy

    @property
    def needs_teacher(self) -> bool:
        """Whether any kind of row is held against a teacher."""
        return any(self.cross_entropy_of(changed=changed) < 1.0 for changed in (False, True))

    @model_validator(mode="after")
    def _teacher_can(self) -> "DistillSection":
        if self.teacher == "served" and self.temperature != 1.0:
            raise ValueError(
                f"distill.temperature ({self.temperature:g}) must be 1 with distill.teacher: served"
                ": what a server leaves out cannot be softened; choose topk or hidden"
            )
        most = max(self.cross_entropy_of(changed=changed) for changed in (False, True))
        if self.hidden and (self.teacher in ("topk", "served") or most == 1.0):
            raise ValueError(
                "distill.hidden needs a teacher's hidden states: teacher online or hidden (it is "
                f"{self.teacher}), and cross_entropy below 1 (it is {most:g})"
            )
        if self.rounds == 2 and not (self.validation.share and self.needs_teacher):
            raise ValueError(
                "distill.rounds: 2 needs held-out problems to judge it by and a teacher: "
                f"validation.share above 0 (it is {self.validation.share:g}), and cross_entropy "
                f"below 1 (it is {self.cross_entropy:g})"
            )
        if self.lambda_end is not None and isinstance(self.lambda_, str):
            raise ValueError(
                f"distill.lambda_end ({self.lambda_end:g}) needs a number as distill.lambda (it is "
                f"{self.lambda_})"
            )
        return self
