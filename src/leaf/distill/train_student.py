"""Trains one student: its teacher (in memory, or kept on disk), the loop, the folder it ends in."""

import contextlib
import copy
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.distributed as dist

from leaf.distill import Distiller, Plan, TrainingExample, encode_rows, train
from leaf.distill.align import Aligner, alignment
from leaf.distill.aligned import AlignedTeacher
from leaf.distill.checkpoint import gathered
from leaf.distill.export import card_of, export
from leaf.distill.loop import Trained, finish
from leaf.distill.lora import add_adapters
from leaf.distill.own import OwnTeacher
from leaf.distill.ranks import ALONE, Ranks, ranks_here
from leaf.distill.room import check_room, student_dtype
from leaf.distill.sample import Sample
from leaf.distill.sharding import connect, disconnect, shard_student
from leaf.distill.teacher import HiddenTeacher, Teacher
from leaf.distill.teacher_cache import TeacherCacheSpec, open_teacher
from leaf.errors import LeafError
from leaf.models import load
from leaf.models.adapters import merge
from leaf.models.files import Source
from leaf.models.load import Loaded
from leaf.models.prompt_format import PromptFormat, prompt_format_of
from leaf.models.spread import on_one_device
from leaf.models.vocabulary import CommonTokens, common_tokens, same_tokenizer
from leaf.progress import console, say
from leaf.recipe import DistillSection, ModelSection
from leaf.store.memory import forget_peak
from leaf.store.store import note_cost


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingJob:
    """All that a process needs to take part in one training."""

    label: str
    """What is trained, for people."""
    student: ModelSection
    student_source: Source
    teacher: ModelSection
    teacher_source: Source
    distill: DistillSection
    rows: Sequence[TrainingExample]
    held_out: Sequence[TrainingExample]
    steps: Sequence[Sequence[int]]
    """The rows of each optimiser step, by their places in `rows`."""
    key: str
    """Names the training: all that decides its weights."""
    folder: Path
    """Where checkpoints, metrics and the student go."""
    store: Path
    """Root of the store, where what teachers say is kept."""
    task: str
    """Name of the training data, for the model card."""
    after: str | None = None
    """Key of the training whose weights it begins with; None: the student's own."""


def run_job(job: TrainingJob) -> int:
    """Train a student together with all processes that are connected; return the steps done now."""
    ranks = ranks_here()
    if ranks.world > 1:
        dist.broadcast_object_list([job], device=torch.device("cpu"))
    return _train_and_save(job, ranks)


@contextlib.contextmanager
def together() -> Iterator[bool]:
    """Join the processes that torchrun started; yield whether this one does the command's work.

    The first process alone does stage 1, evaluation and the report. The others take part in each
    training that it hands out, and have nothing more to do when this yields False. Without torchrun
    there is one process, the first.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield True
        return
    connect()
    if ranks_here().first:
        # After an error nobody waits for the others: torchrun ends them.
        yield True
        dist.broadcast_object_list([None], device=torch.device("cpu"))
    else:
        console.quiet = True
        _serve()
        yield False
    disconnect()


def _serve() -> None:
    """Take part in trainings until the first process says that all is done."""
    while True:
        box: list[TrainingJob | None] = [None]
        try:
            dist.broadcast_object_list(box, device=torch.device("cpu"))
        except RuntimeError:
            raise LeafError("the first process has stopped; its message says why") from None
        if box[0] is None:
            return
        _train_and_save(box[0], ranks_here())


def _train_and_save(job: TrainingJob, ranks: Ranks) -> int:
    distiller, samples, trained = train_student(job, ranks)
    _export(job, distiller, ranks, samples, trained)
    del distiller
    load.release_memory()
    return trained.computed


def train_student(
    job: TrainingJob, ranks: Ranks = ALONE
) -> tuple[Distiller, list[Sample], Trained]:
    """Train a student, which stays in memory; return it with what it was shown and how it went."""
    section = job.distill
    tokenizer = load.load_tokenizer(job.student_source)
    chat = prompt_format_of(tokenizer, job.student)
    aligner = _aligner(job, chat)
    samples, _ = encode_rows(chat, job.rows, section.cutoff, aligner)
    held_out, _ = encode_rows(chat, job.held_out, section.cutoff, aligner)
    if aligner and ranks.first:
        say(f"{job.label}: {alignment([item.aligned for item in samples if item.aligned])}")
    common = aligner.common if aligner else None
    since = time.monotonic()
    forget_peak()
    every = [*samples, *held_out]
    with (
        _teacher(job, every, ranks, common) as teacher,
        _anchor(job, every, ranks, teacher) as anchor,
    ):
        if ranks.first and section.teacher != "online":
            # What it took to compute what is kept is part of what this training took.
            note_cost(job.folder, time.monotonic() - since)
        if ranks.world == 1:
            check_room(job.student_source, section, load.best_device())
        # Dropout is random, and not the same in all processes.
        torch.manual_seed(section.seed + ranks.rank)
        student = _student(job)
        distiller = Distiller(student, teacher, section, anchor=anchor, ranks=ranks)
        if ranks.world > 1:
            shard_student(distiller.module, student.model)
        plan = Plan(
            samples=samples,
            steps=job.steps,
            held_out=held_out,
            key=job.key,
            judged=section.rounds > 1,
        )
        trained = train(distiller, plan, job.folder, label=job.label)
    return distiller, samples, trained


def _student(job: TrainingJob) -> Loaded:
    """Load the student with all that learns in float32."""
    section = job.distill
    dtype = student_dtype(section, load.dtype_of(job.student_source), load.best_device())
    held = job.student_source.held
    if held is None:
        student = load.load(on_one_device(job.student), job.student_source, dtype=dtype)
    else:
        # A copy: the model that a user has stays as it is.
        model = copy.deepcopy(held.model).requires_grad_(False)
        if hasattr(model, "peft_config"):
            merge(model)  # what is saved is a model without the user's adapters, as good as with
        student = replace(held, model=load.to_dtype(model, dtype), dtype=dtype)
    if section.tuning == "lora":
        add_adapters(student.model, section.lora, seed=section.seed)
    return student


def _aligner(job: TrainingJob, chat: PromptFormat) -> Aligner | None:
    """Return what aligns responses where the teacher has another tokenizer."""
    if not job.distill.needs_teacher:
        return None
    teacher = prompt_format_of(load.load_tokenizer(job.teacher_source), job.teacher)
    if same_tokenizer(chat.tokenizer, teacher.tokenizer):
        return None
    return Aligner(chat, teacher, common_tokens(chat, teacher))


@contextlib.contextmanager
def _teacher(
    job: TrainingJob, samples: Sequence[Sample], ranks: Ranks, common: CommonTokens | None
) -> Iterator[Teacher | type[OwnTeacher] | None]:
    """Open whom the student learns from; a model in memory leaves it at the end.

    Of rows that learn by cross-entropy alone it is asked nothing. A student with adapters that is
    its own teacher needs no second model.

    `common` is what it shares with the student where it has another tokenizer.
    """
    section = job.distill
    asked = [
        sample.teacher_tokens
        for sample in samples
        if section.cross_entropy_of(changed=sample.row.counterfactual) < 1.0
    ]
    if not asked:
        yield None
        return
    if _teaches_itself(job):
        yield OwnTeacher
        return
    spec = _kept(job, job.teacher, job.teacher_source, section)
    with open_teacher(spec, asked, ranks) as teacher:
        if common is None:
            yield teacher
        else:
            assert isinstance(teacher, HiddenTeacher)  # noqa: S101 - `check_tokenizers` refuses all others
            yield AlignedTeacher.of(teacher, common, spec.vocabulary, section.chunk_tokens)


def _teaches_itself(job: TrainingJob) -> bool:
    """Whether the teacher is the student without its adapters."""
    section = job.distill
    return _is_itself(job) and section.tuning == "lora" and section.teacher == "online"


def _is_itself(job: TrainingJob) -> bool:
    return job.teacher_source.fingerprint == job.student_source.fingerprint


@contextlib.contextmanager
def _anchor(
    job: TrainingJob,
    samples: Sequence[Sample],
    ranks: Ranks,
    teacher: Teacher | type[OwnTeacher] | None,
) -> Iterator[Teacher | type[OwnTeacher] | None]:
    """Open the student as it is before training, for the rows that it is to keep.

    Where it is the teacher of these rows already, it is that.
    """
    section = job.distill
    held = [sample.tokens for sample in samples if sample.row.is_anchored]
    if not (section.anchor and held):
        yield None
        return
    if section.tuning == "lora":
        yield OwnTeacher
        return
    kept = "online" if section.teacher == "online" else "hidden"
    if _is_itself(job) and section.teacher == kept and section.cross_entropy < 1.0:
        yield teacher
        return
    model = on_one_device(job.student)
    spec = _kept(job, model, job.student_source, section.model_copy(update={"teacher": kept}))
    with open_teacher(spec, held, ranks) as frozen:
        yield frozen


def _kept(
    job: TrainingJob, model: ModelSection, source: Source, section: DistillSection
) -> TeacherCacheSpec:
    config = load.load_config(job.student_source).get_text_config()
    return TeacherCacheSpec(
        teacher=model,
        source=source,
        section=section,
        vocabulary=int(config.vocab_size),
        store=job.store,
    )


def export_student(
    job: TrainingJob, student: Loaded, samples: Sequence[Sample], trained: Trained
) -> None:
    """Lay a trained student into its job's folder; it is of no more use for training.

    Adapters stand beside it as well, where their base is a model that others have: those of a
    second round have the student of the first below them.
    """
    alone = job.after is None and job.student_source.adapter is None
    adapter = job.distill.tuning == "lora" and alone
    export(
        job.folder / "model",
        student.model,
        student.tokenizer,
        own=load.dtype_of(job.student_source),
        section=job.distill,
        card=card_of(job.student.model, job.teacher.model, job.task, samples, steps=trained.kept),
        end_of_turn=prompt_format_of(student.tokenizer, job.student).end_of_turn[-1],
        adapter=job.folder / "adapter" if adapter else None,
    )


def _export(
    job: TrainingJob,
    distiller: Distiller,
    ranks: Ranks,
    samples: Sequence[Sample],
    trained: Trained,
) -> None:
    """Lay the student into the job's folder, by one process, and mark the training as done."""
    student = distiller.student
    if ranks.world > 1:
        weights = gathered(student.model)
        if ranks.first:
            student = _student(job)
            student.model.load_state_dict(weights)
    if ranks.first:
        export_student(job, student, samples, trained)
        about = {"steps": trained.steps, "kept_step": trained.kept, "after": job.after}
        finish(job.folder, {name: each for name, each in about.items() if each is not None})
    ranks.wait()
