"""Stage 2: training rows, the loss and the training loop."""

from leaf.distill.loop import Distiller, StepLoss, encode_rows, train
from leaf.distill.losses import LOSSES
from leaf.distill.rows import Row, counterfactual_rows, original_rows, plan_steps

__all__ = [
    "LOSSES",
    "Distiller",
    "Row",
    "StepLoss",
    "counterfactual_rows",
    "encode_rows",
    "original_rows",
    "plan_steps",
    "train",
]
