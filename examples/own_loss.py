"""A loss of your own, trained beside the paper's.

    python examples/own_loss.py

A loss is one plain formula: from the log-probabilities of student and teacher at B positions over J
outcomes to one number a position. PyTorch finds its slope. Keyword arguments are options, which a
recipe sets in `distill.loss_options`. To use it, copy this file and write your own formula.
"""

import sys
from pathlib import Path

from torch import Tensor

import leaf
from leaf.losses import LOSSES


def hellinger(log_student_BJ: Tensor, log_teacher_BJ: Tensor, *, share: float = 0.5) -> Tensor:
    """Return 1 - sum_j q_j^share p_j^(1 - share), 0 to 1; at 1/2 the squared Hellinger distance."""
    return 1.0 - (share * log_student_BJ + (1.0 - share) * log_teacher_BJ).exp().sum(dim=-1)


LOSSES["hellinger"] = hellinger

TEST = "{task: playground, split: conflict, world: {size: 50}}"


def main(folder: Path) -> None:
    """Train with the paper's loss and with this one from the same data, and compare."""
    for loss, options in (("kl", "{}"), ("hellinger", "{share: 0.4}")):
        recipe = leaf.load_recipe(
            "demo",
            [
                f"name={loss}",
                f"distill.loss={loss}",
                f"distill.loss_options={options}",
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
