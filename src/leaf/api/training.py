"""Training from Python: the loss for a trainer of one's own, and a whole training in memory."""

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from leaf.api.arguments import check_models, check_whole
from leaf.api.model import Model, section_of, source_of
from leaf.api.pair import Itself, checked_section, left_out_text, limit_text, pair_of
from leaf.api.undisturbed import undisturbed
from leaf.distill import TrainingExample, encode_rows, hold_out, plan_steps, split_rows
from leaf.distill.export import round_weights, stop_at
from leaf.distill.rehearsal import rehearse_training
from leaf.distill.rows import rows_from
from leaf.distill.train_student import TrainingJob, export_student, train_student
from leaf.errors import ModelError, UsageError, check_type
from leaf.models.load import release_memory
from leaf.models.prompt_format import prompt_format_of
from leaf.models.vocabulary import check_tokenizers
from leaf.progress import say
from leaf.recipe import DistillSection
from leaf.store.keys import digest, plain


def distillation_loss(
    student: Model, teacher: Model | Itself | None, rows: Iterable[Any], **options: Any
) -> Tensor:
    """Return the loss of some rows, for a training loop that you have.

    L = lambda D(original rows) + (1 - lambda) D(changed rows), D the mean over the response tokens
    of the rows of that kind (end of the turn included) of the divergence from the teacher, in nats.
    All rows whose loss has the same terms (with `cross_entropy_changed` each kind by itself) go
    through both models in one forward, and no [T, V] tensor ever exists: the memory is that of the
    models' own forward and of `chunk_tokens` positions' logits.

    Args:
        student: Whom you train. Gradients go to its parameters that want some; its mode, its
            dropout and its flags are yours. Keep the object: what is known of it is kept with it.
        teacher: Whom it learns from, never changed; of any tokenizer. "self": the student without
            its PEFT adapters. None: the cross-entropy of the responses.
        rows: Dicts or records with `question` (or `prompt`) and `response`; where there are,
            `teacher_question` (or `teacher_prompt`: what the teacher sees in its place), `changed`
            (whether the question was changed, for lambda; without it, whether the teacher sees
            another one), `response_prefix`, `teacher_prefix` and `weight` (of its tokens).
        **options: Keys of `distill` in a recipe that decide a loss: `lambda_`, `loss`,
            `changed_weight`, `loss_options`, `jsd_beta`, `skew`, `temperature`, `cross_entropy`,
            `cross_entropy_changed`, `cutoff`, `chunk_tokens`.

    Returns:
        A differentiable scalar on the student's device, float32 (float64 of a float64 student). It
        computes in the dtype of `torch.autocast` where that is on, else in the student's own.

    Raises:
        UsageError: no parameter of the student wants a gradient, outside of `torch.no_grad()`; or
            "self" for a student without adapters.
        DataError: no rows, a row that lacks something or is longer than `cutoff` tokens, or than
            the student was made for.
        RecipeError: an unknown option, or one out of the rules.
        ModelError: no token is common to both models.
        NonFiniteError: the loss is not a number.

    Example:
        >>> import leaf
        >>> student = leaf.Model.load("package:playground/models/student", dtype="float32")
        >>> teacher = leaf.Model.load("package:playground/models/teacher", dtype="float32")
        >>> student.model.requires_grad_(True) is student.model
        True
        >>> rows = [{"question": "Ann has 2 pens. How many pens are there?", "response": "2"}]
        >>> loss = leaf.distillation_loss(student, teacher, rows)
        >>> loss.backward()
        >>> loss.ndim, student.model.get_output_embeddings().weight.grad is not None
        (0, True)
    """
    pair = pair_of(student, teacher, options)
    learning = any(each.requires_grad for each in pair.distiller.student.model.parameters())
    if torch.is_grad_enabled() and not learning:
        raise UsageError(
            f"leaf.distillation_loss: nothing in {student.name} learns; call "
            "student.model.requires_grad_(True), or ask under torch.no_grad()"
        )
    return pair.distiller.loss(pair.encode(rows_from(rows)), pair.section.lambda_)


def distill(
    student: Model,
    teacher: Model | Itself | None,
    rows: Iterable[Any],
    *,
    out: str | Path | None = None,
    teacher_as: str = "online",
    **options: Any,
) -> Model:
    """Train a copy of a student on some rows and return it; the student stays as it is.

    The copy learns in float32: 16 bytes of memory a parameter for weights, gradients and AdamW's
    moments beside both models, with `tuning="lora"` a copy in the student's dtype and 16 bytes a
    parameter of the adapters.

    Args:
        student: Where the training starts.
        teacher: Whom it learns from, of any tokenizer; "self": the student as it is now, whose word
            in another context (`teacher_question`) it learns, with `tuning="lora"` without a second
            copy beside the one that learns; None: cross-entropy on the responses.
        rows: As of `distillation_loss`; rows of one problem have the same `problem_id`.
        out: Folder that keeps metrics.jsonl, checkpoints (the same call resumes from the newest)
            and the trained model; None: nothing is kept, and what is needed meanwhile lies in a
            temporary folder.
        teacher_as: `distill.teacher` in a recipe: online; hidden or topk keep what it says of each
            row, so that its forward runs once a row and not once a pass.
        **options: Other keys of `distill` in a recipe, as `learning_rate=1e-4, max_steps=20`;
            nested ones are dicts, and `lambda` is written `lambda_`.

    Returns:
        A model in the student's dtype (`save_dtype`), frozen, with a dict a step in `.metrics`.

    Raises:
        DataError, RecipeError, ModelError: see `distillation_loss`.
        OutOfMemoryError: the training does not fit in memory; says what takes less.
        NonFiniteError: a loss or gradient is not finite.

    Example:
        >>> import leaf
        >>> student = leaf.Model.load("package:playground/models/student", dtype="float32")
        >>> rows = [{"question": "Ann has 2 pens. How many pens are there?", "response": "2"}]
        >>> trained = leaf.distill(student, None, rows, learning_rate=1e-3, max_steps=2)
        >>> [step["step"] for step in trained.metrics]
        [1, 2]
    """
    teacher = student if isinstance(teacher, str) and teacher == "self" else teacher
    check_models(student, teacher)
    check_whole(student)
    section = checked_section({"teacher": teacher_as, **options}, teacher, "leaf.distill")
    if section.rounds > 1:
        raise UsageError("leaf.distill: a second round asks the student for answers; run a recipe")
    if section.teacher == "served":
        raise UsageError("leaf.distill: a served teacher is no model in memory; run a recipe")
    if out is not None:
        check_type("out", out, (str, Path), "a folder's path")
    with undisturbed(), _folder(out) as folder:
        if out is None:
            section = section.model_copy(update={"checkpoint_every": 2**31})
        job = _job(student, teacher, rows_from(rows), section, folder)
        model = _train(job, student, keep=out is not None)
        lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    release_memory()
    name = f"{student.name} (distilled)"
    trained = Model(
        model,
        student.tokenizer,
        system=student.system,
        template=student.template,
        name=name,
    )
    trained.metrics = [json.loads(line) for line in lines]
    return trained


def _train(job: TrainingJob, student: Model, *, keep: bool) -> Any:
    """Do a training job and return the trained model, frozen; `keep` writes it to its folder."""
    attention = student._loaded.model.config._attn_implementation
    held = job.student_source.held
    # What would die at the merge, after training, dies here.
    rehearse_training(held.model.config, job.distill, name=student.name, kind=type(held.model))
    distiller, samples, trained = train_student(job)
    model = distiller.student.model
    if job.distill.gradient_checkpointing:
        model.gradient_checkpointing_disable()
        model.set_attn_implementation(attention)
    model.zero_grad(set_to_none=True)
    if keep:
        export_student(job, distiller.student, samples, trained)
    else:
        round_weights(model, job.distill, student.dtype)
        stop_at(model, prompt_format_of(student.tokenizer, job.student).end_of_turn[-1])
    return model.eval().requires_grad_(False)


def _job(
    student: Model,
    teacher: Model | None,
    rows: list[TrainingExample],
    section: DistillSection,
    folder: Path,
) -> TrainingJob:
    """Return what the training loop of recipes needs, with models that are in memory."""
    if getattr(source_of(student).held.model, "is_quantized", False):
        raise ModelError(
            f"{student.name}: its weights are quantised, and training needs plain ones; load the "
            "model that it was made of, or `model.dequantize()`"
        )
    prompt_format = prompt_format_of(student.tokenizer, section_of(student))
    if teacher is not None:
        other = prompt_format_of(teacher.tokenizer, section_of(teacher))
        met = check_tokenizers(prompt_format, other, section)
        if met:
            say(met)
    limit = min(section.cutoff, source_of(student).held.context)
    what = limit_text(section.cutoff, limit)
    samples, left_out = encode_rows(prompt_format, rows, limit, limit=what)
    for line, first in left_out_text(left_out, len(rows)):
        say(f"{line}: left out (first: {first})")
    problems = list(dict.fromkeys(sample.row.problem_id for sample in samples))
    held_out = hold_out(problems, section.validation.share, section.validation.seed)
    kept, validation = split_rows([sample.row for sample in samples], held_out)
    lengths = [sample.length for sample in samples if sample.row.problem_id not in held_out]
    settings = section.model_dump(mode="json", exclude={"checkpoint_every", "tracking"})
    return TrainingJob(
        label="student",
        student=section_of(student),
        student_source=source_of(student),
        teacher=section_of(teacher or student),
        teacher_source=source_of(teacher or student),
        distill=section,
        rows=kept,
        held_out=validation,
        steps=plan_steps(kept, section, lengths),
        # What is in memory has no files to name it by: the sums of its weights stand for them.
        key=digest([plain(kept), plain(validation), settings, _sum(student), _sum(teacher)]),
        folder=folder,
        store=folder / "store",
        task="rows in memory",
    )


def _sum(model: Model | None) -> str:
    """Return the sum of a model's weights, of a spread one those in memory."""
    every = model.model.parameters() if model else ()
    here = (each for each in every if each.device.type != "meta")
    return repr(sum(float(each.detach().double().sum()) for each in here))


@contextlib.contextmanager
def _folder(out: str | Path | None) -> Iterator[Path]:
    """Make the folder that a training writes to; without `out` it is gone afterwards."""
    if out is None:
        with TemporaryDirectory(prefix="leaf-") as name:
            yield Path(name)
        return
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
