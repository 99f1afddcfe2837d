"""A loss of your own, trained beside the paper's.

    python examples/own_loss.py

A loss takes the log-probabilities of student and teacher at B positions over J outcomes and returns
one number a position. `differentiable` finds the slope of a plain formula; a loss that is used for
long runs may return its slope itself, as those of leaf/distill/losses do.
To use it, copy this file and write your own formula.
"""

import sys
from pathlib import Path

from torch import Tensor

import leaf
from leaf.distill.losses import LOSSES, differentiable


def hellinger(log_student_BJ: Tensor, log_teacher_BJ: Tensor) -> Tensor:
    """Return the squared Hellinger distance 1 - sum_j sqrt(p_j q_j), 0 to 1."""
    return 1.0 - (0.5 * (log_student_BJ + log_teacher_BJ)).exp().sum(dim=-1)


LOSSES["hellinger"] = lambda _section: differentiable(hellinger)

TEST = "{task: playground, split: conflict, world: {size: 50}}"


def main(folder: Path) -> None:
    """Train with the paper's loss and with this one from the same data, and compare."""
    for loss in ("kl", "hellinger"):
        recipe = leaf.load_recipe(
            "demo",
            [
                f"name={loss}",
                f"distill.loss={loss}",
                "attribute.controls=[]",
                "data.world.size=100",
                "prune.transplants=2",
                "distill.max_steps=12",
                "distill.batch_size=16",
                "evaluate.teacher=false",
                f"evaluate.benchmarks={{conflict: {TEST}}}",
            ],
        )
        # Both share the store beside their folders: answers and verdicts are computed once.
        results = leaf.run_recipe(recipe, out=folder / loss)
        assert results.estimates  # noqa: S101 - every stage has run
        found = results.estimates["conflict"]
        print(
            f"{loss}: {found['before'].mean:.0%} right before, {found['kd'].mean:.0%} after plain "
            f"distillation, {found['leaf'].mean:.0%} after LeaF (n = {found['leaf'].n})"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/own-loss"))
