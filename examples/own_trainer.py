"""LeaF's loss in a training loop of your own: plain PyTorch, Hugging Face's Trainer, TRL.

    python examples/own_trainer.py [plain|trainer|trl]

All three train the embedded student on the same rows with the same loss. A changed question keeps
the answer of its original: that is what the student has to learn.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

import leaf

ROWS: list[dict[str, Any]] = [
    {"question": "Ann has 3 pens and buys 4. How many pens?", "response": "7"},
    {"question": "Ann has 3 red pens and buys 4. How many pens?", "response": "7", "changed": True},
    {"question": "Bo has 9 cups and sells 2. How many cups?", "response": "7"},
    {"question": "Bo has 9 old cups and sells 2. How many cups?", "response": "7", "changed": True},
]


def open_models() -> tuple[leaf.Model, leaf.Model]:
    """Open a student that learns and a teacher; any two causal models of transformers do."""
    student = leaf.Model.load("package:playground/models/student", dtype="float32")
    student.model.requires_grad_(True).train()
    return student, leaf.Model.load("package:playground/models/teacher", dtype="float32")


# --8<-- [start:plain]
def plain(student: leaf.Model, teacher: leaf.Model, steps: int) -> list[float]:
    """A loop of PyTorch's own."""
    optimizer = torch.optim.AdamW(student.model.parameters(), lr=1e-3)
    losses = []
    for _ in range(steps):
        loss = leaf.distillation_loss(student, teacher, ROWS, lambda_=0.5)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return losses
    # --8<-- [end:plain]


# --8<-- [start:trainer]
class DistillingTrainer(Trainer):
    """Hugging Face's Trainer on our rows: the collator hands them through as they are."""

    def __init__(self, student: leaf.Model, teacher: leaf.Model, **options: Any) -> None:
        self.student, self.teacher = student, teacher
        super().__init__(student.model, data_collator=lambda rows: {"rows": rows}, **options)

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **options: Any) -> Any:
        """Return the loss of one batch; with accumulation, the mean over batches."""
        return leaf.distillation_loss(self.student, self.teacher, inputs["rows"])


def trainer(student: leaf.Model, teacher: leaf.Model, steps: int, folder: Path) -> list[float]:
    """Train by it; `remove_unused_columns` would take the texts away."""
    args = TrainingArguments(
        str(folder),
        max_steps=steps,
        per_device_train_batch_size=len(ROWS),
        learning_rate=1e-3,
        lr_scheduler_type="constant",
        logging_steps=1,
        remove_unused_columns=False,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
    )
    training = DistillingTrainer(student, teacher, args=args, train_dataset=ROWS)
    training.train()
    return [line["loss"] for line in training.state.log_history if "loss" in line]
    # --8<-- [end:trainer]


# --8<-- [start:trl]
def trl(student: leaf.Model, teacher: leaf.Model, steps: int, folder: Path) -> list[float]:
    """TRL's SFTTrainer with our rows and loss: pip install "leaf-distill[trl]"."""
    from trl import SFTConfig

    args = SFTConfig(
        str(folder),
        max_steps=steps,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        learning_rate=1e-3,
        lr_scheduler_type="constant",
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        bf16=False,
        use_cpu=True,
    )
    training = leaf.trl.LeafTrainer(
        model=student.model,
        teacher=teacher,
        train_dataset=ROWS,
        args=args,
        processing_class=student.tokenizer,
        distill={"lambda": 0.5},
    )
    training.train()
    return [line["loss"] for line in training.state.log_history if "loss" in line]
    # --8<-- [end:trl]


def main(way: str, folder: Path, steps: int = 5) -> list[float]:
    """Train one way and print the losses."""
    student, teacher = open_models()
    if way == "plain":
        losses = plain(student, teacher, steps)
    else:
        losses = {"trainer": trainer, "trl": trl}[way](student, teacher, steps, folder)
    print(f"{way}: {' '.join(f'{loss:.3f}' for loss in losses)} nats")
    return losses


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "plain", Path("runs/own-trainer"))
