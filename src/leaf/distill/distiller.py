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
from leaf.distill.teacher import Teacher
from leaf.errors import NonFiniteError, OutOfMemoryError
from leaf.models.batching import is_out_of_memory, pack_batches, plan_batches
from leaf.models.fused_loss import linear_loss
from leaf.models.load import Loaded, release_memory, resolve_dtype
from leaf.models.output_head import Head, output_head
from leaf.models.packing import Packer
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
    """The same on counterfactuals."""
    cross_entropy: float | None
    """Of all response tokens; None where it has no share in the loss."""
    aligned_mass: float | None = None
    """The teacher's mean probability of common tokens at pairs; None with the same tokenizer."""
    aligned_characters: float | None = None
    """Share of the responses' characters in pairs; None with the same tokenizer."""


class Student(nn.Module):
    """A model in training that says its loss itself, so that sharding sees one whole module."""

    def __init__(self, model: Any, dtype: torch.dtype, *, checkpointing: bool = False) -> None:
        """Let `model` learn, computing in `dtype`; see `distill.gradient_checkpointing`."""
        super().__init__()
        self.model = model
        self.dtype = dtype
        self._mixed = any(parameter.dtype is not dtype for parameter in model.parameters())
        self.head = output_head(model)
        self._packer = Packer(model.eval(), dtype)
        self.packs = self._packer.packs
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
            if self.packs:
                # The forward is done again in the backward, when nobody sets it for a block.
                model.set_attn_implementation("leaf_packed")
        model.train()

    def forward(
        self, batch: Batch, objective: Objective, weights_R: Tensor, vocabulary: int, chunk: int
    ) -> Tensor:
        """Return the weighted sum of all positions' losses."""
        device = self.model.device
        with torch.autocast(device.type, dtype=self.dtype, enabled=self._mixed):
            hidden_RD = self._packer.hidden_states(batch).to(self.dtype)
        head = self._head(vocabulary)
        with torch.no_grad():
            objective.look_at(hidden_RD, head)
        total, _ = linear_loss(hidden_RD, head, objective, weights_R, chunk=chunk)
        return total

    def _head(self, vocabulary: int) -> Head:
        """Return the head as it is now: sharding puts other tensors in its place."""
        layer = self.model.get_output_embeddings()
        head = replace(self.head, weight=layer.weight, bias=getattr(layer, "bias", None))
        return head if len(head.weight) == vocabulary else head.first(vocabulary)


class Distiller:
    """A student in training (float32 master weights) and the teacher that it learns from.

    Both see the same token ids: the student's chat template with the same response. The loss is
    taken at the positions that predict the response and its end-of-turn token, over the common
    vocabulary.
    """

    def __init__(
        self,
        student: Loaded,
        teacher: Teacher | None,
        section: DistillSection,
        *,
        ranks: Ranks = ALONE,
    ) -> None:
        """Set up a training; without a teacher the loss is cross-entropy alone."""
        self.student = student
        self.teacher = teacher
        self.section = section
        self.ranks = ranks
        if section.tuning == "full":
            student.model.requires_grad_(True)
        self.compute_dtype = resolve_dtype(section.compute_dtype, student.device)
        if self.compute_dtype is torch.float16:
            # Its gradients would underflow: a device without bfloat16 trains in float32.
            self.compute_dtype = torch.float32
        if student.dtype is torch.float64:
            self.compute_dtype = torch.float64
        self.module: Any = Student(
            student.model, self.compute_dtype, checkpointing=section.gradient_checkpointing
        )
        own = len(self.module.head.weight)
        self.vocabulary = min(own, teacher.vocabulary) if teacher else own
        if teacher and own != teacher.vocabulary and ranks.first:
            say(
                f"vocabularies of {own} (student) and {teacher.vocabulary} (teacher): both are cut "
                f"to {self.vocabulary}"
            )
        self.token_budget = section.token_budget

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
            self._halve_budget(max(sample.length for sample in samples))

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
        counts = [0, 0]
        for sample in samples:
            counts[sample.row.counterfactual] += sample.tokens.response_length
        shares = _shares(lambda_, counts)
        per_token = [share / max(count, 1) for share, count in zip(shares, counts, strict=True)]
        sums = torch.zeros(2, 3, dtype=torch.float64, device=self.student.device)
        for part, counts_once in self.ranks.share(self._plan(samples)):
            chosen = [samples[at] for at in part]
            objective = self._micro_batch(
                chosen, per_token if counts_once else [0.0, 0.0], learn=learn
            )
            if counts_once:
                sums += _sums(chosen, objective)
        sums = self.ranks.total(sums).cpu()
        found = self._step_loss(sums, counts, shares)
        return replace(found, **_coverage(samples, sums)) if self.teacher else found

    def _step_loss(self, sums: Tensor, counts: list[int], shares: tuple[float, float]) -> StepLoss:
        """Turn sums over tokens (kind x part) into means."""
        total = {"kl": 0.0, "entropy": 0.0}
        means: list[float | None] = [None, None]
        for kind in (0, 1):
            if counts[kind]:
                mean = float(sums[kind, 0]) / counts[kind]
                means[kind] = mean if self.teacher else None
                total["kl"] += shares[kind] * mean
                total["entropy"] += shares[kind] * float(sums[kind, 1]) / counts[kind]
        share = self.section.cross_entropy
        return StepLoss(
            loss=(1.0 - share) * total["kl"] + share * total["entropy"],
            kl_original=means[0],
            kl_counterfactual=means[1],
            cross_entropy=float(sums[:, 1].sum()) / sum(counts) if share else None,
        )

    def _plan(self, samples: Sequence[Sample]) -> list[list[int]]:
        lengths = [sample.length for sample in samples]
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

    def _micro_batch(
        self, samples: Sequence[Sample], per_token: Sequence[float], *, learn: bool
    ) -> Objective:
        """Run one forward (and backward); return what the loss came to.

        Args:
            samples: Rows of the micro-batch.
            per_token: Weight of each response token of originals and of counterfactuals.
            learn: Whether to add to the gradients.
        """
        device = self.student.device
        wide = torch.float64 if self.compute_dtype is torch.float64 else torch.float32
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
            dtype=wide,
        )
        total = self.module(batch, objective, weights_R, self.vocabulary, section.chunk_tokens)
        self._check(total, objective, batch, samples)
        if learn:
            # Sharding takes the mean over processes; the loss is a sum over all tokens.
            (total * self.ranks.world).backward()
        return objective

    def _check(
        self, total: Tensor, objective: Objective, batch: Batch, samples: Sequence[Sample]
    ) -> None:
        if torch.isfinite(total):
            return
        losses_R = (objective.divergence_R + objective.cross_entropy_R).cpu()
        rows = torch.unique(batch.rows_R[~torch.isfinite(losses_R)]).tolist()
        named = list(dict.fromkeys(samples[row].row.problem_id for row in rows))
        of = f"of problem {', '.join(named[:5])}" + f" and {len(named) - 5} more" * (len(named) > 5)
        raise NonFiniteError(
            f"the loss is {float(total.detach())} ({self.compute_dtype}), "
            f"{of if named else 'of a batch'}"
        )


def _shares(lambda_: float, counts: Sequence[int]) -> tuple[float, float]:
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
    """Return sums over response tokens [kind, part]: divergence, cross-entropy, aligned mass."""
    lengths = [sample.tokens.response_length for sample in samples]
    kinds = torch.tensor([sample.row.counterfactual for sample in samples], dtype=torch.long)
    kinds_R = kinds.repeat_interleave(torch.tensor(lengths))
    sums = torch.zeros(2, 3, dtype=torch.float64, device=objective.divergence_R.device)
    parts = (objective.divergence_R, objective.cross_entropy_R, objective.mass_R)
    for part, values_R in enumerate(parts):
        if values_R is not None:
            sums[:, part].index_add_(0, kinds_R.to(values_R.device), values_R.double())
    return sums
