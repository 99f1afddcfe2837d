"""TRL's SDFTTrainer with a teacher that sees the question without its distractor.

    leaf run demo --until verify --out runs/demo
    leaf export runs/demo --format privileged --out rows.jsonl
    python examples/privileged.py MODEL rows.jsonl OUT [STEPS]

By itself TRL writes the privileged text after the student's prompt. Ours stands in its place, so
that the teacher never sees the distractor.
"""

import sys
from typing import Any

from datasets import load_dataset
from trl.experimental.sdft import SDFTConfig, SDFTTrainer
from trl.experimental.sdft.sdft_trainer import DemonstrationTeacherContextBuilder


# --8<-- [start:builder]
class InPlace(DemonstrationTeacherContextBuilder):  # type: ignore[misc]
    """Shows the teacher the privileged text in place of the last message."""

    def _compose_teacher_prompt(self, prompt: Any, privileged_context: str) -> Any:
        return [*prompt[:-1], {"role": "user", "content": privileged_context}]


def train(model: str, rows: str, out: str, **options: Any) -> Any:
    """Train a student by self-distillation on what `leaf export --format privileged` wrote."""
    data = load_dataset("json", data_files=rows, split="train")
    config = SDFTConfig(output_dir=out, report_to=[], **options)
    trainer = SDFTTrainer(model=model, args=config, train_dataset=data)
    trainer.teacher_context_builder = InPlace(trainer)
    trainer.train()
    return trainer


# --8<-- [end:builder]

if __name__ == "__main__":
    train(*sys.argv[1:4], max_steps=int(sys.argv[4]) if len(sys.argv) > 4 else -1)
