"""Causal attention distillation: L = lambda L_kd + (1 - lambda) L_cd, one training.

Axes: B rows of a micro-batch, T tokens (right-padded), D width, R response positions, V vocabulary.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import get_cosine_schedule_with_warmup

from leaf.batching import is_out_of_memory, plan_batches
from leaf.chat import Chat, Conversation
from leaf.config import DistillSection
from leaf.distill import checkpoint
from leaf.distill.losses import LOSSES
from leaf.distill.rows import Row
from leaf.errors import NonFiniteError, OutOfMemoryError
from leaf.heads import backbone, output_head
from leaf.linear_loss import linear_loss
from leaf.models import (
    DTYPES,
    Loaded,
    load_config,
    own_dtype,
    release_memory,
    resolve_dtype,
)
from leaf.padding import pad
from leaf.progress import progress, say
from leaf.store import note_seconds, write_whole


@dataclass(frozen=True, kw_only=True, slots=True)
class StepLoss:
    """The loss of one optimiser step; both KLs are means over their own response tokens."""

    loss: float
    kl_original: float | None
    kl_counterfactual: float | None


class Distiller:
    """A student in training (float32 master weights) beside a frozen teacher.

    Both see the same token ids: the student's chat template with the same response. KL is taken at
    the positions that predict the response and its end-of-turn token, over the common vocabulary.
    """

    def __init__(self, student: Loaded, teacher: Loaded, section: DistillSection) -> None:
        self.student = student
        self.teacher = teacher
        self.section = section
        student.model.requires_grad_(True).train()
        student_head, teacher_head = output_head(student.model), output_head(teacher.model)
        self.vocabulary = min(len(student_head.weight), len(teacher_head.weight))
        if len(student_head.weight) != len(teacher_head.weight):
            say(
                f"vocabularies of {len(student_head.weight)} (student) and "
                f"{len(teacher_head.weight)} (teacher): both are cut to {self.vocabulary}"
            )
        self.student_head = student_head.first(self.vocabulary)
        self.teacher_head = teacher_head.first(self.vocabulary)
        self.compute_dtype = resolve_dtype(section.compute_dtype, student.device)
        if self.compute_dtype is torch.float16:
            # Its gradients would underflow: a device without bfloat16 trains in float32.
            self.compute_dtype = torch.float32
        self.token_budget = section.token_budget

    def backward(self, rows: Sequence[Row], items: Sequence[Conversation]) -> StepLoss:
        """Set the student's gradients to those of one global batch's loss.

        Every response token weighs lambda / N_o in originals and (1 - lambda) / N_c in
        counterfactuals, N the response tokens of that kind in the whole batch, so micro-batches,
        padding and order do not change the loss. A batch of one kind alone gives it all the weight.
        When memory runs out, the whole batch is done again in micro-batches half as large.
        """
        while True:
            self.student.model.zero_grad(set_to_none=True)
            try:
                return self._accumulate(rows, items)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            release_memory()
            self._halve_budget(max(len(item.ids) for item in items))

    def _accumulate(self, rows: Sequence[Row], items: Sequence[Conversation]) -> StepLoss:
        counts = [0, 0]
        for row, item in zip(rows, items, strict=True):
            counts[row.counterfactual] += item.response_length
        share = _shares(self.section.lambda_, counts)
        weights = [share[row.counterfactual] / counts[row.counterfactual] for row in rows]
        sums = [0.0, 0.0]
        lengths = [len(item.ids) for item in items]
        for part in plan_batches(lengths, token_budget=self.token_budget, max_items=len(items)):
            losses_R, positions = self._micro_batch(
                [items[at] for at in part], [weights[at] for at in part]
            )
            for at, losses in zip(part, torch.split(losses_R, positions), strict=True):
                sums[rows[at].counterfactual] += float(losses.sum())
        means = [
            total / count if count else None for total, count in zip(sums, counts, strict=True)
        ]
        loss = sum(weight * (mean or 0.0) for weight, mean in zip(share, means, strict=True))
        return StepLoss(loss=loss, kl_original=means[0], kl_counterfactual=means[1])

    def _halve_budget(self, longest: int) -> None:
        if self.token_budget <= longest:
            raise OutOfMemoryError(
                f"distillation: one row of {longest} tokens does not fit in memory; lower "
                "distill.cutoff or distill.chunk_tokens, or use a smaller model. "
                "The checkpoints are kept"
            )
        self.token_budget = max(longest, self.token_budget // 2)
        say(f"distillation: memory ran out; trying again with {self.token_budget} tokens at a time")

    def _micro_batch(
        self, items: Sequence[Conversation], weights: Sequence[float]
    ) -> tuple[Tensor, list[int]]:
        """Run one forward and backward; return each position's KL and each row's positions."""
        device = self.student.device
        batch = pad(items)
        weights_R = torch.tensor(weights, dtype=self._wide)[batch.rows_R].to(device)
        at = (batch.rows_R.to(device), batch.positions_R.to(device))
        inputs = {
            "input_ids": batch.ids_BT.to(device),
            "attention_mask": batch.mask_BT.to(device),
            "use_cache": False,
        }
        with torch.no_grad():
            teacher_RD = backbone(self.teacher.model)(**inputs).last_hidden_state[at]
        enabled = self.compute_dtype is not self.student.dtype
        with torch.autocast(device.type, dtype=self.compute_dtype, enabled=enabled):
            student_RD = backbone(self.student.model)(**inputs).last_hidden_state[at]
        student_RD = student_RD.to(self.compute_dtype)
        total, losses_R = linear_loss(
            student_RD,
            self.student_head,
            lambda logits_CV, part: self._divergence(logits_CV, teacher_RD[part]),
            weights_R,
            chunk=self.section.chunk_tokens,
        )
        if not torch.isfinite(total):
            raise NonFiniteError(
                f"distillation: the loss is {float(total)} ({self.compute_dtype}); "
                "try distill.compute_dtype: float32 or a lower distill.learning_rate"
            )
        total.backward()  # type: ignore[no-untyped-call]
        return losses_R, batch.lengths

    def _divergence(self, student_CV: Tensor, teacher_CD: Tensor) -> Tensor:
        """Return T^2 times the loss between both models softened by the temperature T."""
        temperature = self.section.temperature
        with torch.no_grad():
            raw_CV = teacher_CD @ self.teacher_head.weight.to(teacher_CD.dtype).T
            teacher_CV = self.teacher_head.finish(raw_CV)
        loss = LOSSES[self.section.loss]
        losses_C = loss(student_CV / temperature, teacher_CV.to(student_CV.dtype) / temperature)
        return losses_C * temperature**2

    @property
    def _wide(self) -> torch.dtype:
        return torch.float64 if self.student.dtype is torch.float64 else torch.float32


def train(
    distiller: Distiller,
    rows: Sequence[Row],
    items: Sequence[Conversation],
    steps: Sequence[Sequence[int]],
    folder: Path,
    *,
    label: str,
) -> int:
    """Train through `steps` (row indices each), resuming from the newest checkpoint in `folder`.

    Writes metrics.jsonl (a line a step), checkpoints, and at the end the student as a plain
    Hugging Face folder `folder/model`. Returns how many steps were computed now.
    """
    section = distiller.section
    model = distiller.student.model
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=section.learning_rate, weight_decay=section.weight_decay
    )
    scheduler = get_cosine_schedule_with_warmup(optimizer, section.warmup_steps, len(steps))
    done = checkpoint.restore(folder, model, optimizer)
    for _ in range(done):
        scheduler.step()
    metrics = folder / "metrics.jsonl"
    _keep_lines(metrics, done)
    begun = time.monotonic()
    with progress(label, len(steps), unit="steps", done=done) as tick:
        for number in range(done, len(steps)):
            started = time.monotonic()
            batch = steps[number]
            loss = distiller.backward([rows[at] for at in batch], [items[at] for at in batch])
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), section.max_grad_norm)
            rate = scheduler.get_last_lr()[0]
            optimizer.step()
            scheduler.step()
            line = {
                "step": number + 1,
                "loss": loss.loss,
                "kl_original": loss.kl_original,
                "kl_counterfactual": loss.kl_counterfactual,
                "learning_rate": rate,
                "grad_norm": float(norm),
                "seconds": round(time.monotonic() - started, 3),
                "rows": len(batch),
                "response_tokens": sum(items[at].response_length for at in batch),
                "tokens": sum(len(items[at].ids) for at in batch),
            }
            with metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            last = number + 1 == len(steps)
            if not last and (number + 1) % section.checkpoint_every == 0:
                checkpoint.save(folder, number + 1, model, optimizer)
                note_seconds(folder, time.monotonic() - begun)
                begun = time.monotonic()
            tick()
    _export(distiller, folder / "model")
    note_seconds(folder, time.monotonic() - begun)
    write_whole(folder / "done.json", json.dumps({"steps": len(steps)}).encode())
    checkpoint.clear(folder)
    return len(steps) - done


def encode_rows(
    chat: Chat, rows: Sequence[Row], cutoff: int
) -> tuple[list[Row], list[Conversation], list[Row]]:
    """Tokenise rows; return those within `cutoff` tokens, their tokens, and those longer."""
    kept: list[Row] = []
    items: list[Conversation] = []
    longer: list[Row] = []
    for row in rows:
        item = chat.conversation(row.content, row.response, row.begun)
        if len(item.ids) > cutoff:
            longer.append(row)
        else:
            kept.append(row)
            items.append(item)
    return kept, items, longer


def _shares(lambda_: float, counts: Sequence[int]) -> tuple[float, float]:
    """Return the weights of L_kd and L_cd; a kind that the batch lacks leaves all to the other."""
    if not counts[1]:
        return 1.0, 0.0
    if not counts[0]:
        return 0.0, 1.0
    return lambda_, 1.0 - lambda_


def _keep_lines(path: Path, lines: int) -> None:
    """Cut a metrics file to its first lines: those after the checkpoint are computed again."""
    if path.is_file():
        kept = path.read_text(encoding="utf-8").splitlines(keepends=True)[:lines]
        path.write_text("".join(kept), encoding="utf-8")


def _export(distiller: Distiller, folder: Path) -> None:
    """Save the trained student; its master weights are rounded to the saved dtype in place."""
    name = distiller.section.save_dtype
    dtype = DTYPES[name] if name != "auto" else own_dtype(load_config(distiller.student.source))
    checkpoint.export(folder, distiller.student.model.to(dtype), distiller.student.tokenizer)
