"""The kind of result that training makes: what decides a student, and who trains it."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leaf.distill import TrainingExample, checkpoint
from leaf.distill.train_student import TrainingJob, run_job
from leaf.errors import StoreError
from leaf.losses import LOSSES
from leaf.models.files import Source
from leaf.recipe import DistillSection, ModelSection, Recipe
from leaf.store.keys import digest, plain, user_code_digest
from leaf.store.store import Store
from leaf.store.work import About, Result

_STUDENT = {
    "temperature",
    "loss",
    "learning_rate",
    "warmup_steps",
    "weight_decay",
    "max_grad_norm",
    "compute_dtype",
    "save_dtype",
}
"""What of `distill` names a student."""

_STUDENT_CHANGED = {
    "lambda_end",
    "jsd_beta",
    "skew",
    "loss_options",
    "hidden",
    "cross_entropy",
    "cross_entropy_changed",
    "changed_weight",
    "anchor",
    "rounds",
    "teacher",
    "tuning",
    "lora",
    "optimizer",
    "validation",
}
"""What names one where it is not the default: students without it keep the name they had."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedStudent(Result[TrainingExample]):
    """One student, trained on rows within the cutoff."""

    kind = "students"

    about: About
    recipe: Recipe
    distill: DistillSection
    """How it learns; its arm may have other steps than the recipe says."""
    sources: Mapping[str, Source]
    """Where `student` and `teacher` lie."""
    steps: Sequence[Sequence[int]]
    """The rows of each optimiser step, by their places."""
    held_out: Sequence[TrainingExample]
    """Rows of problems that are not trained on, for validation."""
    one_tokenizer: bool
    """Whether both models have the same."""
    openings: tuple[str, ...] = ("", "")
    """What the student's and the teacher's template write before a response, where it is not what a
    question ends with."""
    after: str | None = None
    """Key of the training whose student it begins with; None: the recipe's student."""

    @property
    def title(self) -> str:
        """Which arm is trained."""
        return f"training {self.about.role}"

    def settings(self, items: Sequence[TrainingExample]) -> dict[str, Any]:
        """Return how it learns; see `student_settings`."""
        return student_settings(
            self.distill,
            self.recipe.student,
            self.recipe.teaching,
            counterfactuals=any(row.counterfactual for row in items),
            one_tokenizer=self.one_tokenizer,
            openings=self.openings,
        )

    def inputs(self, items: Sequence[TrainingExample]) -> list[str]:
        """Return both models, and the rows and steps, which stand for all that chooses them."""
        content = [plain(items), [list(step) for step in self.steps]]
        if self.held_out:
            content.append(plain(self.held_out))
        prints = [self.sources[role].fingerprint for role in ("student", "teacher")]
        return [digest(content), *prints]

    def train(self, items: Sequence[TrainingExample], key: str, store: Store) -> int:
        """Train it into its folder of the store; return the optimiser steps done now."""
        data = self.recipe.data
        job = TrainingJob(
            label=self.title,
            student=self.recipe.student,
            student_source=self.sources["student"],
            teacher=self.recipe.teaching,
            teacher_source=self.sources["teacher"],
            distill=self.distill,
            rows=items,
            held_out=self.held_out,
            steps=self.steps,
            key=key,
            folder=store.folder(self.kind, key),
            store=store.root,
            task=data.path or data.task,
            after=self.after,
        )
        return run_job(job)

    def sweep(self, key: str, store: Store) -> None:
        """Remove checkpoints of a finished training: a kill may come while they go."""
        folder = store.folder(self.kind, key)
        if checkpoint.left(folder):
            # Another process may be at it just now.
            with contextlib.suppress(StoreError), store.building(self.kind, key):
                checkpoint.clear(folder)


def student_settings(
    section: DistillSection,
    student: ModelSection,
    teacher: ModelSection,
    *,
    counterfactuals: bool,
    one_tokenizer: bool,
    openings: Sequence[str] = ("", ""),
) -> dict[str, Any]:
    """Return what decides a trained student, besides both models, rows and steps.

    How a step is computed changes nothing.

    Args:
        section: How it learns.
        student: Its own section.
        teacher: The teacher's.
        counterfactuals: Whether any row is one; where none is, lambda changes nothing.
        one_tokenizer: Whether both models have the same.
        openings: As of `TrainedStudent`.
    """
    named = section.model_dump(include=_STUDENT)
    changed = section.model_dump(include=_STUDENT_CHANGED, exclude_defaults=True)
    if counterfactuals:
        named["lambda_"] = section.lambda_
    else:
        for name in ("lambda_end", "changed_weight", "cross_entropy_changed"):
            changed.pop(name, None)
    if section.teacher in ("topk", "served"):
        changed["top_k"] = section.top_k
    if section.teacher == "served":
        name = section.served.model or teacher.model
        changed["served"] = {"url": section.served.url, "model": name}
    settings = {**named, **changed, "teacher_dtype": teacher.dtype, "system": student.system}
    settings |= user_code_digest(LOSSES[section.loss])
    rendered = {"template": student.template, "opening": openings[0]}
    if not one_tokenizer:
        # It sees the rows under its own template.
        settings["aligned"] = teacher.system
        rendered |= {"aligned template": teacher.template, "aligned opening": openings[1]}
    settings |= {name: value for name, value in rendered.items() if value}
    return settings
