"""The training loop: steps, validation, checkpoints, metrics, and the student as a plain folder."""

import json
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from leaf.distill import checkpoint
from leaf.distill.checkpoint import State
from leaf.distill.distiller import Distiller
from leaf.distill.optim import make_optimizer
from leaf.distill.sample import Sample
from leaf.distill.step_loss import StepLoss
from leaf.distill.tracking import Trackers
from leaf.errors import NonFiniteError, first_of
from leaf.models.load import trim
from leaf.progress import progress, say
from leaf.recipe import DistillSection, Lambda
from leaf.store.seal import hashes, seal
from leaf.store.store import note_cost


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a training goes through, known before its first step."""

    samples: Sequence[Sample]
    steps: Sequence[Sequence[int]]
    """The samples of each optimiser step, by their places in `samples`."""
    held_out: Sequence[Sample] = ()
    """Samples of problems that are not trained on, for validation."""
    key: str = ""
    """Names the training: all that decides its weights. Checkpoints of another are refused."""
    judged: bool = False
    """Whether the weights that it begins with are held against what comes of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What became of a training."""

    computed: int
    """Steps done by this process."""
    steps: int
    """Steps done in all."""
    kept: int
    """The step whose weights the student has."""


@dataclass(kw_only=True)
class _Course:
    """How validation went so far."""

    best_loss: float | None = None
    worse: int = 0
    """Validations since the best one."""


class _Loop:
    """A training between two steps."""

    def __init__(self, distiller: Distiller, plan: Plan, folder: Path) -> None:
        from transformers import get_cosine_schedule_with_warmup  # its neighbours take seconds

        self.distiller = distiller
        self.plan = plan
        self.folder = folder
        self.course = _Course()
        section, model = distiller.section, distiller.module
        self._learning = [x for x in model.parameters() if x.requires_grad]
        self._optimizer = make_optimizer(self._learning, section)
        self._scheduler = get_cosine_schedule_with_warmup(
            self._optimizer, section.warmup_steps, len(plan.steps)
        )

    @property
    def is_over(self) -> bool:
        """Whether validation has had enough."""
        patience = self.distiller.section.validation.patience
        return patience is not None and self.course.worse >= patience

    def restore(self) -> int:
        """Resume from the newest checkpoint, if there is one; return the steps that are done."""
        model = self.distiller.module
        state = checkpoint.restore(self.folder, self.plan.key, model, self._optimizer)
        if state is None:
            return 0
        self.course = _Course(**state.extra)
        with warnings.catch_warnings():
            # The optimiser's steps were made by an earlier process.
            warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
            for _ in range(state.step):
                self._scheduler.step()
        return state.step

    def save(self, step: int) -> None:
        """Save a checkpoint after `step` steps."""
        state = State(step=step, key=self.plan.key, extra=vars(self.course))
        checkpoint.save(self.folder, state, self.distiller.module, self._optimizer)

    def step(self, number: int) -> dict[str, Any]:
        """Do one optimiser step, counted from 0; return its metrics."""
        started = time.monotonic()
        section, steps = self.distiller.section, self.plan.steps
        samples = [self.plan.samples[at] for at in steps[number]]
        lambda_ = lambda_at(section, number, len(steps))
        try:
            losses = _losses(self.distiller.backward(samples, lambda_))
            norm = _clip(self._learning, section.max_grad_norm)
        except NonFiniteError as error:
            raise _stopped(error, number + 1, samples, self.folder) from None
        rate = self._scheduler.get_last_lr()[0]
        self._optimizer.step()
        self._scheduler.step()
        # Batches differ in length: between blocks of one, glibc finds no room for the next one's.
        trim()
        return {
            "step": number + 1,
            "lambda": lambda_,
            **losses,
            "grad_norm": norm,
            "learning_rate": rate,
            "seconds": round(time.monotonic() - started, 3),
            "rows": len(samples),
            "response_tokens": sum(sample.tokens.response_length for sample in samples),
            "tokens": sum(sample.length for sample in samples),
        }

    def validate(self, step: int) -> dict[str, float | None]:
        """Measure the loss on held-out samples; keep the weights when none were better."""
        distiller, course = self.distiller, self.course
        found = distiller.validate(self.plan.held_out, distiller.section.lambda_)
        if course.best_loss is None or found.loss < course.best_loss:
            course.best_loss, course.worse = found.loss, 0
            checkpoint.save_best(
                self.folder, distiller.module, key=self.plan.key, step=step, loss=found.loss
            )
        else:
            course.worse += 1
        return _losses(found, "validation_")


def train(distiller: Distiller, plan: Plan, folder: Path, *, label: str) -> Trained:
    """Train through a plan, resuming from the newest checkpoint in `folder`.

    Writes metrics.jsonl (a line a step) and checkpoints. With held-out samples, the weights with
    the lowest validation loss are those that the student has in the end, and training stops early
    when `distill.validation.patience` validations bring nothing better.

    Raises:
        NonFiniteError: a loss or gradient is not finite; names step, problems and checkpoint.
        StoreError: a checkpoint is damaged or of another training.
    """
    section, steps, first = distiller.section, plan.steps, distiller.ranks.first
    loop = _Loop(distiller, plan, folder)
    done = number = loop.restore()
    metrics = folder / "metrics.jsonl"
    if first:
        _keep_lines(metrics, done)
        if done:
            say(f"{label}: resuming from step {done} of {len(steps)}")
    since = time.monotonic()
    with (
        Trackers(section.tracking if first else (), folder, label, section, done=done) as trackers,
        progress(label, len(steps), unit="steps", done=done) as tick,
    ):
        before = {}
        if plan.judged and number == 0:
            # Lost in a kill before the first checkpoint, and then measured again.
            before = {"validation_loss_before": loop.validate(0)["validation_loss"]}
        while number < len(steps) and not loop.is_over:
            line = loop.step(number) | before
            before = {}
            number += 1
            last = number == len(steps)
            if plan.held_out and (last or number % section.validation.every == 0):
                line |= loop.validate(number)
            if first:
                with metrics.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
            trackers.log(line, number)
            if not last and number % section.checkpoint_every == 0:
                loop.save(number)
                if first:
                    note_cost(folder, time.monotonic() - since)
                since = time.monotonic()
            tick()
    kept = _keep_best(distiller, plan, folder, number)
    if first:
        note_cost(folder, time.monotonic() - since)
    return Trained(computed=number - done, steps=number, kept=kept)


def lambda_at(section: DistillSection, step: int, steps: int) -> Lambda:
    """Return lambda of a step, counted from 0: constant, or in a straight line to `lambda_end`."""
    if section.lambda_end is None or steps < 2 or isinstance(section.lambda_, str):
        return section.lambda_
    share = step / (steps - 1)
    return (1.0 - share) * section.lambda_ + share * section.lambda_end


def finish(folder: Path, about: dict[str, Any]) -> None:
    """Mark a training as done, once the student lies in its folder; its checkpoints go.

    Every file that is read later is named with its hash: the weights are the result.
    """
    parts = [folder / "metrics.jsonl", *folder.glob("model/**/*"), *folder.glob("adapter/**/*")]
    files = hashes(folder, (path for path in parts if path.is_file()))
    seal(folder, {**about, "files": files})
    checkpoint.clear(folder)


def _losses(loss: StepLoss, prefix: str = "") -> dict[str, float | None]:
    """Return a loss as metrics."""
    found = {
        "loss": loss.loss,
        "kl_original": loss.kl_original,
        "kl_counterfactual": loss.kl_counterfactual,
    }
    if loss.cross_entropy is not None:
        found["cross_entropy"] = loss.cross_entropy
    if loss.hidden is not None:
        found["hidden"] = loss.hidden
    if loss.anchor is not None:
        found["anchor"] = loss.anchor
    if loss.aligned_mass is not None:
        found["aligned_mass"] = loss.aligned_mass
        found["aligned_characters"] = loss.aligned_characters
    return {prefix + name: value for name, value in found.items()}


def _clip(parameters: Sequence[torch.Tensor], most: float) -> float:
    """Clip gradients to a norm; return the norm that they had."""
    norm = torch.nn.utils.clip_grad_norm_(parameters, most)
    found = float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
    if not torch.isfinite(torch.tensor(found)):
        raise NonFiniteError(f"the norm of the gradient is {found}")
    return found


def _keep_best(distiller: Distiller, plan: Plan, folder: Path, step: int) -> int:
    """Take the best weights, where validation chose some; return their step."""
    best = checkpoint.load_best(folder, plan.key, distiller.module) if plan.held_out else None
    if best is None:
        return step
    if distiller.ranks.first:
        early = step < len(plan.steps)
        stopped = f"stopped after step {step} of {len(plan.steps)}; " if early else ""
        say(f"{stopped}kept step {best.step}: validation loss {best.loss:.4f} nats")
    return best.step


def _stopped(
    error: NonFiniteError, step: int, samples: Sequence[Sample], folder: Path
) -> NonFiniteError:
    """Say where a training stopped, and where it can go on."""
    named = list(dict.fromkeys(sample.row.problem_id for sample in samples))
    kept = sorted(folder.glob("checkpoint-*"))
    where = f"the last good checkpoint is {kept[-1]}" if kept else "there is no checkpoint yet"
    batch = first_of(named, 8)
    return NonFiniteError(
        f"distillation, step {step}: {error}; the step has the problems {batch}; {where}. "
        "Try distill.compute_dtype: float32 or a lower distill.learning_rate"
    )


def _keep_lines(path: Path, lines: int) -> None:
    """Cut a metrics file to its first lines: those after the checkpoint are computed again."""
    if path.is_file():
        kept = path.read_text(encoding="utf-8").splitlines(keepends=True)[:lines]
        path.write_text("".join(kept), encoding="utf-8")
