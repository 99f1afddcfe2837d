"""Causal attention distillation: L = lambda L_kd + (1 - lambda) L_cd, one global batch at a time.

Axes: R response positions of a micro-batch, D width, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from leaf.distill.objective import Objective, chosen_loss
from leaf.distill.own import OwnTeacher
from leaf.distill.ranks import ALONE, Ranks
from leaf.distill.rows import TrainingExample
from leaf.distill.sample import Sample
from leaf.distill.sharding import reshard
from leaf.distill.step_loss import StepLoss, no_sums, step_loss, sums_of
from leaf.distill.student import Student
from leaf.distill.targets import Targets
from leaf.distill.teacher import HiddenTeacher, Teacher
from leaf.distill.weights import NOTHING, Amounts, TokenWeight, token_weight
from leaf.errors import NonFiniteError, OutOfMemoryError, first_of
from leaf.losses import HIDDEN_LOSSES, LOSSES
from leaf.models.batching import is_out_of_memory, pack_batches, plan_batches
from leaf.models.load import Loaded, release_memory, resolve_dtype
from leaf.models.padding import Batch, pad
from leaf.models.prompt_format import EncodedExample
from leaf.progress import say
from leaf.recipe import DistillSection, Lambda


class Distiller:
    """A student in training (float32 master weights) and the teacher that it learns from.

    Both see the student's chat template and the same response tokens, each after its own prompt.
    The loss is taken at the positions that predict the response and its end-of-turn token, matched
    by their number in the response, over the common vocabulary.
    """

    def __init__(
        self,
        student: Loaded,
        teacher: Teacher | type[OwnTeacher] | None,
        section: DistillSection,
        *,
        anchor: Teacher | type[OwnTeacher] | None = None,
        ranks: Ranks = ALONE,
        compute_dtype: torch.dtype | None = None,
        learn: bool = True,
    ) -> None:
        """Set up a training; without a teacher the loss is cross-entropy alone.

        Args:
            student: What is trained.
            teacher: Whom it learns from; `OwnTeacher`: the student without its adapters.
            section: How.
            anchor: The student before training, where `section.anchor` keeps anchored rows at it.
            ranks: The processes that train together.
            compute_dtype: Of forward and backward; None: as `section` says.
            learn: Whether to switch the student's gradients and dropout on; False: somebody else
                trains it and asks for the loss alone.
        """
        self.student = student
        self.section = section
        self.ranks = ranks
        self.compute_dtype = compute_dtype or resolve_dtype(section.compute_dtype, student.device)
        if self.compute_dtype is torch.float16:
            # Its gradients would underflow: a device without bfloat16 trains in float32.
            self.compute_dtype = torch.float32
        if student.dtype is torch.float64:
            self.compute_dtype = torch.float64
        self._wide = torch.promote_types(self.compute_dtype, torch.float32)
        terms = self._terms(teacher)
        self.module: Any = Student(student.model, self.compute_dtype, terms)
        self.teacher = self._who(teacher)
        self.anchor = self._who(anchor) if section.anchor else None
        if learn:
            if section.tuning == "full":
                student.model.requires_grad_(True)
            self.module.learn(checkpointing=section.gradient_checkpointing)
        own = len(self.module.head.weight)
        theirs = self.teacher.vocabulary if self.teacher else own
        self.vocabulary = min(own, theirs)
        if own != theirs and ranks.first:
            say(
                f"vocabularies of {own} (student) and {theirs} (teacher): both are cut "
                f"to {self.vocabulary}"
            )
        self.token_budget = section.token_budget

    def _who(self, teacher: Teacher | type[OwnTeacher] | None) -> Teacher | None:
        if isinstance(teacher, type):
            return teacher(self.module, self.ranks)
        return teacher

    def _terms(self, teacher: Teacher | type[OwnTeacher] | None) -> dict[str, nn.Module]:
        """Make the losses on hidden states, beside the student."""
        if not self.section.hidden:
            return {}
        teacher_width = student_width = self.student.model.get_output_embeddings().weight.shape[1]
        if not isinstance(teacher, type):
            assert isinstance(teacher, HiddenTeacher)  # noqa: S101 - recipes with others are refused
            teacher_width = teacher.head.weight.shape[1]
        return {
            name: HIDDEN_LOSSES[name](student_width, teacher_width).to(
                self.student.device, self._wide
            )
            for name in self.section.hidden
        }

    def loss(self, samples: Sequence[Sample], lambda_: Lambda) -> Tensor:
        """Return the loss of a batch, differentiable; see `backward`.

        All rows whose loss has the same terms go through the student in one forward.
        """
        return self.weighted_loss(samples, self._weights(samples, lambda_))

    def weighted_loss(self, samples: Sequence[Sample], weights: Sequence[TokenWeight]) -> Tensor:
        """Return the weighted sum over all response tokens, differentiable.

        Args:
            samples: Rows of the micro-batch.
            weights: Of a token of each row.
        """
        parts = [
            self._forward([samples[at] for at in group], [weights[at] for at in group])[0]
            for group in self._groups(samples)
        ]
        return torch.stack(parts).sum() if len(parts) > 1 else parts[0]

    def backward(self, samples: Sequence[Sample], lambda_: Lambda) -> StepLoss:
        """Set the student's gradients to those of one global batch's loss.

        What a token weighs (`leaf.distill.weights`) depends on the whole batch, so micro-batches,
        processes, packing and order do not change the loss: by default lambda / N_o in originals
        and (1 - lambda) / N_c in changed rows, N the response tokens of that kind. When memory runs
        out, the whole batch is done again in micro-batches half as large.
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

    def validate(self, samples: Sequence[Sample], lambda_: Lambda) -> StepLoss:
        """Return the loss on held-out samples, all as one batch; nothing is learned."""
        self.module.eval()
        try:
            with torch.no_grad():
                return self._accumulate(samples, lambda_, learn=False)
        finally:
            if self.ranks.world > 1:
                reshard(self.module)
            self.module.train()

    def _accumulate(self, samples: Sequence[Sample], lambda_: Lambda, *, learn: bool) -> StepLoss:
        weights = self._weights(samples, lambda_)
        sums = no_sums(self.student.device)
        for group in self._groups(samples):
            plan = self._plan([samples[at] for at in group])
            for part, counts_once in self.ranks.share(plan):
                chosen = [samples[group[at]] for at in part]
                weigh = [weights[group[at]] if counts_once else NOTHING for at in part]
                total, objective = self._forward(chosen, weigh)
                if learn:
                    # Sharding takes the mean over processes; the loss is a sum over all tokens.
                    (total * self.ranks.world).backward()  # type: ignore[no-untyped-call]
                if counts_once:
                    sums += sums_of(chosen, weigh, objective)
        sums = self.ranks.total(sums).cpu()
        return step_loss(
            sums,
            samples,
            self.section,
            taught=self.teacher is not None,
            anchored=self.anchor is not None,
        )

    def _weights(self, samples: Sequence[Sample], lambda_: Lambda) -> list[TokenWeight]:
        amounts = Amounts.of((each.row, each.tokens.response_length) for each in samples)
        return [token_weight(each.row, amounts, lambda_, self.section) for each in samples]

    def _terms_of(self, row: TrainingExample) -> tuple[float, bool]:
        """Return a row's share of cross-entropy, and whether the anchor holds it."""
        share = self.section.cross_entropy_of(changed=row.counterfactual)
        return share, self.anchor is not None and row.is_anchored

    def _groups(self, samples: Sequence[Sample]) -> list[list[int]]:
        """Return the places of rows whose loss has the same terms; a forward is of one group.

        So no teacher is asked of rows that learn by cross-entropy alone, and all processes ask it
        of the same micro-batches.
        """
        groups: dict[tuple[float, bool], list[int]] = {}
        for at, sample in enumerate(samples):
            groups.setdefault(self._terms_of(sample.row), []).append(at)
        return list(groups.values())

    def _plan(self, samples: Sequence[Sample]) -> list[list[int]]:
        parts = self.module.paths.parts(
            [sample.longest for sample in samples],
            together=self.module.packs or self.module.paths.pads,
        )
        return [
            [part[at] for at in batch]
            for part in parts
            for batch in self._plan_alike([samples[at] for at in part])
        ]

    def _plan_alike(self, samples: Sequence[Sample]) -> list[list[int]]:
        """Return micro-batches of rows that may stand side by side."""
        budget = self.token_budget
        lengths = [sample.longest for sample in samples]
        if not self.module.packs:
            return plan_batches(lengths, token_budget=budget, max_items=len(samples))
        units = _seen_alike(samples, lengths, budget)
        packed = pack_batches(
            [sum(lengths[at] for at in one) for one in units], token_budget=budget
        )
        return [[at for number in batch for at in units[number]] for batch in packed]

    def _halve_budget(self, longest: int) -> None:
        if self.token_budget <= longest:
            raise OutOfMemoryError(
                f"distillation: one row of {longest} tokens does not fit in memory; set "
                "distill.gradient_checkpointing: true, lower distill.cutoff or "
                "distill.chunk_tokens, or use a smaller model. The checkpoints are kept"
            )
        self.token_budget = max(longest, self.token_budget // 2)
        say(f"distillation: memory ran out; trying again with {self.token_budget} tokens at a time")

    def _forward(
        self, samples: Sequence[Sample], weights: Sequence[TokenWeight]
    ) -> tuple[Tensor, Objective]:
        """Run one forward of one group; return the weighted sum, and what each part came to."""
        device, wide, section = self.student.device, self._wide, self.section
        batch = pad([sample.tokens for sample in samples])
        each = torch.tensor([one.loss + one.anchor for one in weights], dtype=wide)
        weights_R = each[batch.rows_R].to(device)
        share, anchored = self._terms_of(samples[0].row)
        # The same for all rows of a group: both are proportional to a row's own weight.
        mixes = [one.loss / (one.loss + one.anchor) for one in weights if one.loss + one.anchor]
        objective = Objective(
            self._targets(samples) if share < 1.0 else None,
            batch.ids_BT[batch.rows_R, batch.positions_R + 1].to(device),
            share=share,
            temperature=section.temperature,
            hidden=section.hidden,
            anchor=self._anchor_targets(samples) if anchored else None,
            mix=mixes[0] if mixes else 1.0,
            dtype=wide,
        )
        total = self.module(
            batch,
            lambda hidden_RD: self.module.loss(
                hidden_RD, objective, weights_R, self.vocabulary, section.chunk_tokens
            ),
        )
        self._check(total, objective, batch, samples)
        return total, objective

    def _targets(self, samples: Sequence[Sample]) -> Targets | None:
        if self.teacher is None:
            return None
        section = self.section
        return self.teacher.targets(
            samples,
            loss=chosen_loss(section),
            temperature=section.temperature,
            vocabulary=self.vocabulary,
            device=self.student.device,
        )

    def _anchor_targets(self, samples: Sequence[Sample]) -> Targets:
        assert self.anchor  # noqa: S101 - `_terms_of` says so
        return self.anchor.targets(
            # In the student's own tokens, whatever tokenizer the teacher has.
            [replace(sample, aligned=None) for sample in samples],
            loss=LOSSES["kl"],
            temperature=1.0,
            vocabulary=self.vocabulary,
            device=self.student.device,
        )

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


def _seen_alike(samples: Sequence[Sample], lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Return the places of rows that belong into one forward, as far as it has room for them.

    Those that a teacher sees alike while the student does not: it computes them once.
    """
    units: list[list[int]] = []
    filled: list[int] = []
    newest: dict[EncodedExample, int] = {}
    two_contexts = any(sample.apart for sample in samples)
    for at, sample in enumerate(samples):
        number = newest.get(sample.teacher_tokens) if two_contexts else None
        if number is None or filled[number] + lengths[at] > budget:
            number = newest[sample.teacher_tokens] = len(units)
            units.append([])
            filled.append(0)
        units[number].append(at)
        filled[number] += lengths[at]
    return units
