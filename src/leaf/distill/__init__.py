"""Stage 2: training rows, the losses, the teacher and the training loop."""

from leaf.distill.distiller import Distiller
from leaf.distill.loop import Plan, train
from leaf.distill.rows import (
    TrainingExample,
    counterfactual_rows,
    hold_out,
    original_rows,
    split_rows,
)
from leaf.distill.sample import Sample, encode_rows
from leaf.distill.step_loss import StepLoss
from leaf.distill.steps import originals_in, plan_steps

__all__ = [
    "Distiller",
    "Plan",
    "Sample",
    "StepLoss",
    "TrainingExample",
    "counterfactual_rows",
    "encode_rows",
    "hold_out",
    "original_rows",
    "originals_in",
    "plan_steps",
    "split_rows",
    "train",
]
