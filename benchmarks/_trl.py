"""A training step by TRL, run by the Python of `tools/rivals.py`: a job as JSON in, numbers out.

Standard input holds one `Job` as JSON, the last line of standard output one JSON object: `seconds`
of every step but the first, `peak_bytes` (growth over both loaded models) and `loss` of the first
step, in nats a response token. Both trainers of TRL get the very tokens of the job and never
generate:

- `gkd`: GKDTrainer with lmbda = 0, its off-policy setting, and beta = 0, forward KL;
- `distillation`: DistillationTrainer, whose loss is chunked but which has no off-policy setting:
  its generation is replaced by the job's responses.

Compute runs in bfloat16 with float32 master weights where the job says so, without checkpointing.
"""

import json
import sys
import time
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

from benchmarks._measure import peak_growth, settle


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What TRL is to train, and for how many steps."""

    trainer: str
    """`gkd` or `distillation`."""
    student: str
    """Folder of the student."""
    teacher: str
    """Folder of the teacher."""
    ids: list[list[int]]
    """Tokens of each row, prompt and response."""
    prompt_lengths: list[int]
    """Tokens of each row's prompt."""
    dtype: str
    """Of the teacher and of the computations: `bfloat16` or `float32`."""
    steps: int
    """Steps measured, after one that is not."""
    learning_rate: float
    lora: dict[str, Any] | None = None
    """`r` and `lora_alpha` of adapters on all linear layers; None: all weights learn."""


class Clock(TrainerCallback):
    """Notes when steps begin and end."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._begun = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Start."""
        settle()
        self._begun = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Stop."""
        settle()
        self.seconds.append(time.perf_counter() - self._begun)


def main() -> None:
    """Read a job, train, print the numbers."""
    job = Job(**json.load(sys.stdin))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    own = job.dtype if job.lora else torch.float32
    student: Any = AutoModelForCausalLM.from_pretrained(job.student, dtype=own)
    if job.lora:
        from peft import LoraConfig, get_peft_model

        student = get_peft_model(student, LoraConfig(**job.lora, target_modules="all-linear"))
    teacher: Any = AutoModelForCausalLM.from_pretrained(job.teacher, dtype=job.dtype)
    student.to(device)
    teacher.to(device)
    tokenizer = AutoTokenizer.from_pretrained(job.student)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    clock = Clock()
    with TemporaryDirectory() as folder:
        make = {"gkd": gkd, "distillation": distillation}[job.trainer]
        trainer = make(job, student, teacher, tokenizer, clock, folder)
        grown, _ = peak_growth(trainer.train, device)
    found = {
        "seconds": clock.seconds[1:],
        "peak_bytes": grown,
        "loss": trainer.state.log_history[0]["loss"],
    }
    print(json.dumps(found))


def gkd(job: Job, student: Any, teacher: Any, tokenizer: Any, clock: Clock, folder: str) -> Any:
    """Return the off-policy trainer: rows right-padded to the longest, full logits."""
    from trl.experimental.gkd import (
        GKDConfig,
        GKDTrainer,
    )

    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        longest = max(len(row["input_ids"]) for row in rows)
        batch = {
            "input_ids": torch.full((len(rows), longest), tokenizer.pad_token_id),
            "attention_mask": torch.zeros(len(rows), longest, dtype=torch.long),
            "labels": torch.full((len(rows), longest), -100),
        }
        for at, row in enumerate(rows):
            ids, start = torch.tensor(row["input_ids"]), row["prompt_length"]
            batch["input_ids"][at, : len(ids)] = ids
            batch["attention_mask"][at, : len(ids)] = 1
            batch["labels"][at, start : len(ids)] = ids[start:]
        return batch

    rows = [
        {"input_ids": ids, "prompt_length": length}
        for ids, length in zip(job.ids, job.prompt_lengths, strict=True)
    ]
    return GKDTrainer(
        model=student,
        teacher_model=teacher,
        args=GKDConfig(**_settings(job, folder), lmbda=0.0, beta=0.0, temperature=1.0),
        train_dataset=_dataset(rows),
        processing_class=tokenizer,
        data_collator=collate,
        callbacks=[clock],
    )


def distillation(
    job: Job, student: Any, teacher: Any, tokenizer: Any, clock: Clock, folder: str
) -> Any:
    """Return the trainer with a chunked loss, its generation replaced by the job's responses."""
    from trl import DistillationConfig, DistillationTrainer

    class OffPolicy(DistillationTrainer):  # type: ignore[misc]
        def _generate(self, prompts: list[str]) -> tuple[Any, ...]:
            rows = [(job.ids[int(name)], job.prompt_lengths[int(name)]) for name in prompts]
            asked = [ids[:length] for ids, length in rows]
            return asked, [ids[length:] for ids, length in rows], None, None, None

    return OffPolicy(
        model=student,
        teacher_model=teacher,
        args=DistillationConfig(**_settings(job, folder), beta=0.0, temperature=1.0),
        train_dataset=_dataset([{"prompt": str(at)} for at in range(len(job.ids))]),
        processing_class=tokenizer,
        callbacks=[clock],
    )


def _settings(job: Job, folder: str) -> dict[str, Any]:
    """Return what both configurations share: LeaF's own defaults, nothing written or reported."""
    return {
        "output_dir": folder,
        "per_device_train_batch_size": len(job.ids),
        "max_steps": 1 + job.steps,
        "learning_rate": job.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 5,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "optim": "adamw_torch",
        "bf16": job.dtype == "bfloat16",
        "gradient_checkpointing": False,
        "dataloader_pin_memory": False,
        "use_cpu": not torch.cuda.is_available(),
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def _dataset(rows: list[dict[str, Any]]) -> Any:
    from datasets import Dataset

    return Dataset.from_list(rows)


if __name__ == "__main__":
    main()
