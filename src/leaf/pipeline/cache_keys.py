"""What of a recipe names a stage's result: what decides it, and nothing else.

How fast, where and in how much memory a result is computed is no part of its name, and what is at a
default that came later is none either: results keep the names that they had.
"""

from typing import Any

from leaf.losses import LOSSES
from leaf.recipe import DistillSection, ModelSection
from leaf.store.keys import user_code_digest

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
    "teacher",
    "tuning",
    "lora",
    "optimizer",
    "validation",
}
"""What names one where it is not the default: students without it keep the name they had."""


def student_settings(
    section: DistillSection,
    student: ModelSection,
    teacher: ModelSection,
    *,
    counterfactuals: bool,
    one_tokenizer: bool,
) -> dict[str, Any]:
    """Return what decides a trained student, besides both models, rows and steps.

    How a step is computed changes nothing.

    Args:
        section: How it learns.
        student: Its own section.
        teacher: The teacher's.
        counterfactuals: Whether any row is one; where none is, lambda changes nothing.
        one_tokenizer: Whether both models have the same.
    """
    named = section.model_dump(include=_STUDENT)
    changed = section.model_dump(include=_STUDENT_CHANGED, exclude_defaults=True)
    if counterfactuals:
        named["lambda_"] = section.lambda_
    else:
        changed.pop("lambda_end", None)
    if section.teacher in ("topk", "served"):
        changed["top_k"] = section.top_k
    if section.teacher == "served":
        name = section.served.model or teacher.model
        changed["served"] = {"url": section.served.url, "model": name}
    settings = {**named, **changed, "teacher_dtype": teacher.dtype, "system": student.system}
    settings |= user_code_digest(LOSSES[section.loss])
    if not one_tokenizer:
        # It sees the rows under its own template.
        settings["aligned"] = teacher.system
    return settings
