"""Causal attention distillation: L = lambda L_kd + (1 - lambda) L_cd, one global batch at a time.

Axes: R response positions of a micro-batch, D width, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from leaf.distill.objective import Objective, chosen_loss
from leaf.distill.ranks import ALONE, Ranks
from leaf.distill.sample import Sample
from leaf.distill.sharding import reshard
from leaf.distill.student import Student
from leaf.distill.teacher import HiddenTeacher, Teacher
from leaf.errors import NonFiniteError, OutOfMemoryError, first_of
from leaf.losses import HIDDEN_LOSSES
from leaf.models.batching import is_out_of_memory, pack_batches, plan_batches
from leaf.models.load import Loaded, release_memory, resolve_dtype
from leaf.models.padding import Batch, pad
from leaf.progress import say
from leaf.recipe import DistillSection


@dataclass(frozen=True, kw_only=True, slots=True)
class StepLoss:
    """The loss of one batch; its parts are means over their own response tokens, in nats."""

    loss: float
    kl_original: float | None
    """Divergence (`distill.loss`) on original prompts; None where there are none, or no teacher."""
    kl_counterfactual: float | None
    """The same on changed questions."""
    cross_entropy: float | None
    """Of all response tokens; None where it has no share in the loss."""
    hidden: float | None = None
    """Weighted sum of losses on hidden states (no nats); None without any."""
    aligned_mass: float | None = None
    """The teacher's mean probability of common tokens at pairs; None with the same tokenizer."""
    aligned_characters: float | None = None
    """Share of the responses' characters in pairs; None with the same tokenizer."""


_PARTS = ("divergence_R", "cross_entropy_R", "mass_R", "hidden_R")
"""What an `Objective` keeps of each response position, in the order of sums."""


class Distiller:
    """A student in training (float32 master weights) and the teacher that it learns from.

    Both see the student's chat template and the same response tokens, each after its own prompt.
    The loss is taken at the positions that predict the response and its end-of-turn token, matched
    by their number in the response, over the common vocabulary.
    """

    def __init__(
        self,
        student: Loaded,
        teacher: Teacher | None,
        section: DistillSection,
        *,
        ranks: Ranks = ALONE,
        compute_dtype: torch.dtype | None = None,
        learn: bool = True,
    ) -> None:
        """Set up a training; without a teacher the loss is cross-entropy alone.

        Args:
            student: What is trained.
            teacher: Whom it learns from.
            section: How.
            ranks: The processes that train together.
            compute_dtype: Of forward and backward; None: as `section` says.
            learn: Whether to switch the student's gradients and dropout on; False: somebody else
                trains it and asks for the loss alone.
        """
        self.student = student
        self.teacher = teacher
        self.section = section
        self.ranks = ranks
        self.compute_dtype = compute_dtype or resolve_dtype(section.compute_dtype, student.device)
        if self.compute_dtype is torch.float16:
            # Its gradients would underflow: a device without bfloat16 trains in float32.
            self.compute_dtype = torch.float32
        if student.dtype is torch.float64:
            self.compute_dtype = torch.float64
        self._wide = torch.promote_types(self.compute_dtype, torch.float32)
        self.module: Any = Student(student.model, self.compute_dtype, self._terms())
        if learn:
            if section.tuning == "full":
                student.model.requires_grad_(True)
            self.module.learn(checkpointing=section.gradient_checkpointing)
        own = len(self.module.head.weight)
        self.vocabulary = min(own, teacher.vocabulary) if teacher else own
        if teacher and own != teacher.vocabulary and ranks.first:
            say(
                f"vocabularies of {own} (student) and {teacher.vocabulary} (teacher): both are cut "
                f"to {self.vocabulary}"
            )
        self.token_budget = section.token_budget

    def _terms(self) -> dict[str, nn.Module]:
        """Make the losses on hidden states, beside the student."""
        if not self.section.hidden:
            return {}
        assert isinstance(self.teacher, HiddenTeacher)  # noqa: S101 - recipes with others are refused
        student_width = self.student.model.get_output_embeddings().weight.shape[1]
        teacher_width = self.teacher.head.weight.shape[1]
        return {
            name: HIDDEN_LOSSES[name](student_width, teacher_width).to(
                self.student.device, self._wide
            )
            for name in self.section.hidden
        }

    def loss(self, samples: Sequence[Sample], lambda_: float) -> Tensor:
        """Return the loss of a batch in one forward, differentiable; see `backward`."""
        per_token, _, _ = _weights(samples, lambda_)
        total, _ = self.weighted_loss(samples, per_token)
        return total

    def backward(self, samples: Sequence[Sample], lambda_: float) -> StepLoss:
        """Set the student's gradients to those of one global batch's loss.

        Every response token weighs lambda / N_o in originals and (1 - lambda) / N_c in
        counterfactuals, N the response tokens of that kind in the whole batch, so micro-batches,
        processes, packing and order do not change the loss. A batch of one kind alone gives it all
        the weight. When memory runs out, the whole batch is done again in micro-batches half as
        large.
        """
        while True:
            self.student.model.zero_grad(set_to_none=True)
            try:
                return self._accumulate(samples, lambda_, learn=True)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or self.ranks.world > 1:
                    raise
            release_memory()
            self._halve_budget(max(sample.longest for sample in samples))

    def validate(self, samples: Sequence[Sample], lambda_: float) -> StepLoss:
        """Return the loss on held-out samples, all as one batch; nothing is learned."""
        self.module.eval()
        try:
            with torch.no_grad():
                return self._accumulate(samples, lambda_, learn=False)
        finally:
            if self.ranks.world > 1:
                reshard(self.module)
            self.module.train()

    def _accumulate(self, samples: Sequence[Sample], lambda_: float, *, learn: bool) -> StepLoss:
        per_token, counts, shares = _weights(samples, lambda_)
        sums = torch.zeros(2, len(_PARTS), dtype=torch.float64, device=self.student.device)
        for part, counts_once in self.ranks.share(self._plan(samples)):
            chosen = [samples[at] for at in part]
            weights = per_token if counts_once else [0.0, 0.0]
            total, objective = self.weighted_loss(chosen, weights)
            if learn:
                # Sharding takes the mean over processes; the loss is a sum over all tokens.
                (total * self.ranks.world).backward()  # type: ignore[no-untyped-call]
            if counts_once:
                sums += _sums(chosen, objective)
        sums = self.ranks.total(sums).cpu()
        found = self._step_loss(sums, counts, shares)
        return replace(found, **_coverage(samples, sums)) if self.teacher else found

    def _step_loss(self, sums: Tensor, counts: list[int], shares: tuple[float, float]) -> StepLoss:
        """Turn sums over tokens (kind x part) into means."""
        total = {"kl": 0.0, "entropy": 0.0, "hidden": 0.0}
        means: list[float | None] = [None, None]
        for kind in (0, 1):
            if counts[kind]:
                mean = float(sums[kind, 0]) / counts[kind]
                means[kind] = mean if self.teacher else None
                total["kl"] += shares[kind] * mean
                total["entropy"] += shares[kind] * float(sums[kind, 1]) / counts[kind]
                total["hidden"] += shares[kind] * float(sums[kind, 3]) / counts[kind]
        share = self.section.cross_entropy
        return StepLoss(
            loss=(1.0 - share) * total["kl"] + share * total["entropy"] + total["hidden"],
            hidden=total["hidden"] if self.section.hidden else None,
            kl_original=means[0],
            kl_counterfactual=means[1],
            cross_entropy=float(sums[:, 1].sum()) / sum(counts) if share else None,
        )

    def _plan(self, samples: Sequence[Sample]) -> list[list[int]]:
        lengths = [sample.longest for sample in samples]
        if self.module.packs:
            return pack_batches(lengths, token_budget=self.token_budget)
        return plan_batches(lengths, token_budget=self.token_budget, max_items=len(samples))

    def _halve_budget(self, longest: int) -> None:
        if self.token_budget <= longest:
            raise OutOfMemoryError(
                f"distillation: one row of {longest} tokens does not fit in memory; set "
                "distill.gradient_checkpointing: true, lower distill.cutoff or "
                "distill.chunk_tokens, or use a smaller model. The checkpoints are kept"
            )
        self.token_budget = max(longest, self.token_budget // 2)
        say(f"distillation: memory ran out; trying again with {self.token_budget} tokens at a time")

    def weighted_loss(
        self, samples: Sequence[Sample], per_token: Sequence[float]
    ) -> tuple[Tensor, Objective]:
        """Run one forward; return the weighted sum, differentiable, and what each part came to.

        Args:
            samples: Rows of the micro-batch.
            per_token: Weight of each response token of originals and of counterfactuals.
        """
        device, wide = self.student.device, self._wide
        batch = pad([sample.tokens for sample in samples])
        weights = [per_token[sample.row.counterfactual] for sample in samples]
        weights_R = torch.tensor(weights, dtype=wide)[batch.rows_R].to(device)
        labels_R = batch.ids_BT[batch.rows_R, batch.positions_R + 1].to(device)
        section = self.section
        targets = None
        if self.teacher:
            targets = self.teacher.targets(
                samples,
                loss=chosen_loss(section),
                temperature=section.temperature,
                vocabulary=self.vocabulary,
                device=device,
            )
        objective = Objective(
            targets,
            labels_R,
            share=section.cross_entropy,
            temperature=section.temperature,
            hidden=section.hidden,
            dtype=wide,
        )
        total = self.module(batch, objective, weights_R, self.vocabulary, section.chunk_tokens)
        self._check(total, objective, batch, samples)
        return total, objective

    def _check(
        self, total: Tensor, objective: Objective, batch: Batch, samples: Sequence[Sample]
    ) -> None:
        if torch.isfinite(total):
            return
        losses_R = (objective.divergence_R + objective.cross_entropy_R).cpu()
        rows = torch.unique(batch.rows_R[~torch.isfinite(losses_R)]).tolist()
        named = list(dict.fromkeys(samples[row].row.problem_id for row in rows))
        raise NonFiniteError(
            f"the loss is {float(total.detach())} ({self.compute_dtype}), "
            f"{f'of problem {first_of(named, 5)}' if named else 'of a batch'}"
        )


def _weights(
    samples: Sequence[Sample], lambda_: float
) -> tuple[list[float], list[int], tuple[float, float]]:
    """Return each kind's weight a response token, its tokens, and its share in the loss."""
    counts = [0, 0]
    for sample in samples:
        counts[sample.row.counterfactual] += sample.tokens.response_length
    shares = loss_shares(lambda_, counts)
    per_token = [share / max(count, 1) for share, count in zip(shares, counts, strict=True)]
    return per_token, counts, shares


def loss_shares(lambda_: float, counts: Sequence[int]) -> tuple[float, float]:
    """Return the weights of L_kd and L_cd; a kind that the batch lacks leaves all to the other."""
    if not counts[1]:
        return 1.0, 0.0
    if not counts[0]:
        return 0.0, 1.0
    return lambda_, 1.0 - lambda_


def _coverage(samples: Sequence[Sample], sums: Tensor) -> dict[str, float]:
    """Return what an aligned teacher could be asked of a batch, as fields of `StepLoss`."""
    rows = [sample.aligned for sample in samples if sample.aligned]
    if not rows:
        return {}
    characters = sum(row.characters for row in rows)
    return {
        "aligned_mass": float(sums[:, 2].sum()) / max(sum(row.pairs for row in rows), 1),
        "aligned_characters": sum(row.paired_characters for row in rows) / max(characters, 1),
    }


def _sums(samples: Sequence[Sample], objective: Objective) -> Tensor:
    """Return sums over response tokens [kind, part] of `_PARTS`."""
    lengths = [sample.tokens.response_length for sample in samples]
    kinds = torch.tensor([sample.row.counterfactual for sample in samples], dtype=torch.long)
    kinds_R = kinds.repeat_interleave(torch.tensor(lengths))
    device = objective.divergence_R.device
    sums = torch.zeros(2, len(_PARTS), dtype=torch.float64, device=device)
    for part, name in enumerate(_PARTS):
        values_R: Tensor | None = getattr(objective, name)
        if values_R is not None:
            sums[:, part].index_add_(0, kinds_R.to(values_R.device), values_R.double())
    return sums
