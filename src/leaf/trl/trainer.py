"""TRL's `SFTTrainer` that learns from a teacher by our rows and our loss."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedModel

from leaf.api.model import Model
from leaf.api.pair import Itself, Pair, left_out_text, pair_of
from leaf.distill import TrainingExample
from leaf.distill.rows import rows_from
from leaf.distill.weights import Amounts, token_weight
from leaf.errors import UsageError
from leaf.progress import say
from trl import SFTConfig, SFTTrainer

_IGNORED = -100


class LeafTrainer(SFTTrainer):  # type: ignore[misc]  # TRL's types are not read
    """`SFTTrainer` with LeaF's rows and loss; all else (optimiser, logs, checkpoints) is TRL's.

    The loss of an optimiser step is that of `leaf.distillation_loss` on all its rows together,
    whatever `gradient_accumulation_steps` is. It works in one process (on several, train by
    `torchrun -m leaf run RECIPE`).

    Args:
        model: The student, as `SFTTrainer` takes it: a model, a PEFT model or a name.
        teacher: Whom it learns from: a `leaf.Model`, or a model of transformers with the student's
            tokenizer; never changed. "self": the student without its PEFT adapters. None:
            cross-entropy on the responses.
        args: An `SFTConfig`. Rows longer than its `max_length` are left out, and it is said how
            many; what it says of preparing texts does not apply.
        train_dataset: Rows as `leaf.distillation_loss` takes them, or a `datasets.Dataset` of such.
        eval_dataset: The same; a row's loss is then a mean over its batch.
        processing_class: The student's fast tokenizer.
        distill: Keys of a recipe's `distill` that decide the loss, as `{"lambda": 0.7}`.
        system: System prompt put before every question.
        **others: Further arguments of `SFTTrainer`.

    Raises:
        UsageError: more than one process.
        DataError: no rows, or one without a text where one must be.
        RecipeError: an unknown key in `distill`.

    Example:
        trainer = leaf.trl.LeafTrainer(
            model=student, teacher=teacher, train_dataset=rows,
            args=SFTConfig("out", max_steps=10), processing_class=tokenizer,
        )
        trainer.train()
    """

    train_dataset: Any
    eval_dataset: Any

    def __init__(
        self,
        model: Any,
        *,
        processing_class: Any,
        train_dataset: Any,
        teacher: Model | PreTrainedModel | Itself | None = None,
        eval_dataset: Any = None,
        args: Any = None,
        distill: Mapping[str, Any] | None = None,
        system: str | None = None,
        **others: Any,
    ) -> None:
        args = copy.copy(args) if args is not None else SFTConfig()
        args.dataset_kwargs = {**(args.dataset_kwargs or {}), "skip_prepare_dataset": True}
        args.remove_unused_columns = False
        if teacher is not None and not isinstance(teacher, Model | str):
            teacher = Model(teacher, processing_class, system=system)
        self._teacher = teacher
        self._options = dict(distill or {})
        if args.max_length is not None:
            self._options.setdefault("cutoff", args.max_length)
        self._system = system
        self._student: Model | None = None
        self._of_step = Amounts()
        super().__init__(
            model,
            args=args,
            train_dataset=_dataset(train_dataset),
            eval_dataset=None if eval_dataset is None else _dataset(eval_dataset),
            data_collator=self._collate,
            processing_class=processing_class,
            **others,
        )
        if self.accelerator.num_processes > 1:
            raise UsageError(
                "leaf.trl.LeafTrainer works in one process; on several, train by `torchrun "
                "-m leaf run RECIPE`"
            )
        # The loss counts the tokens of the whole step itself.
        self.model_accepts_loss_kwargs = True
        self.train_dataset = self._within_cutoff(self.train_dataset)
        if self.eval_dataset is not None:
            self.eval_dataset = self._within_cutoff(self.eval_dataset)

    @property
    def pair(self) -> Pair:
        """Student and teacher as the loss sees them now."""
        if self._student is None or self._student.model is not self.model:
            self._student = Model(self.model, self.processing_class, system=self._system)
        return pair_of(self._student, self._teacher, self._options)

    def get_batch_samples(self, *args: Any, **options: Any) -> Any:
        """See `Trainer`; the response tokens of each kind in the whole step are counted."""
        batches, tokens = super().get_batch_samples(*args, **options)
        self._of_step = _amounts(batches)
        return batches, tokens

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the batch's share in the loss of its step; alone, the loss of the batch."""
        # Alone where the trainer does not say that it accumulates: an evaluation.
        amounts = _amounts([inputs]) if num_items_in_batch is None else self._of_step
        with self.accelerator.autocast():
            pair = self.pair
            section, rows = pair.section, rows_from(inputs["rows"])
            weights = [token_weight(row, amounts, section.lambda_, section) for row in rows]
            loss: Tensor = pair.distiller.weighted_loss(pair.encode(rows), weights)
        if self.model.training:
            self._total_train_tokens += int(inputs["attention_mask"].sum())
        self._metrics["train" if self.model.training else "eval"]["num_tokens"] = [
            self._total_train_tokens
        ]
        if not return_outputs:
            return loss
        with torch.no_grad():
            return loss, model(**{name: inputs[name] for name in ("input_ids", "attention_mask")})

    def _collate(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Return rows with what the trainer looks at: their tokens, and which are the response's.

        Our own pass is over the rows alone.
        """
        samples = self.pair.encode(rows_from(rows))
        longest = max(sample.length for sample in samples)
        ids_BT = torch.zeros(len(samples), longest, dtype=torch.long)
        mask_BT = torch.zeros_like(ids_BT)
        labels_BT = torch.full_like(ids_BT, _IGNORED)
        for at, sample in enumerate(samples):
            tokens = torch.tensor(sample.tokens.ids)
            ids_BT[at, : len(tokens)], mask_BT[at, : len(tokens)] = tokens, 1
            response = slice(sample.tokens.prompt_length, len(tokens))
            labels_BT[at, response] = tokens[response]
        return {"input_ids": ids_BT, "attention_mask": mask_BT, "labels": labels_BT, "rows": rows}

    def _within_cutoff(self, dataset: Dataset) -> Dataset:
        pair = self.pair
        rows = rows_from(dataset)
        _, left_out = pair.sort_out(rows)
        for line, first in left_out_text(left_out, len(rows)):
            say(f"{line}: left out (first: {first})")
        gone = {id(item.row) for item in left_out}
        return dataset.select([at for at, row in enumerate(rows) if id(row) not in gone])


def _amounts(batches: Iterable[Mapping[str, Any]]) -> Amounts:
    """Return the response tokens of some batches of one step."""
    return Amounts.of(
        pair
        for batch in batches
        for pair in zip(
            rows_from(batch["rows"]),
            (batch["labels"] != _IGNORED).sum(dim=1).tolist(),
            strict=True,
        )
    )


def _dataset(rows: Iterable[Any]) -> Dataset:
    """Return rows as a data set with the columns that they all have."""
    return Dataset.from_list([_plain(row) for row in rows_from(rows)])


def _plain(row: TrainingExample) -> dict[str, Any]:
    return {
        "question": row.content,
        "response": row.response,
        "response_prefix": row.response_prefix,
        "changed": row.counterfactual,
        "problem_id": row.problem_id,
        "teacher_question": row.teacher_content,
        "teacher_prefix": row.teacher_prefix,
        "weight": row.weight,
        "turns": [{"role": turn.role, "content": turn.text} for turn in row.turns],
    }
