"""A student that somebody trains and its teacher, with what is found out about them once."""

import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from leaf.api.arguments import check_models, check_whole
from leaf.api.model import Model, section_of, source_of
from leaf.distill import Distiller, TrainingExample, encode_rows
from leaf.distill.align import Aligner
from leaf.distill.aligned import AlignedTeacher
from leaf.distill.lora import has_adapters
from leaf.distill.own import OwnTeacher
from leaf.distill.sample import LeftOut, Sample
from leaf.distill.teacher import HiddenTeacher, OnlineStates, Teacher
from leaf.errors import DataError, RecipeError, UsageError, nearest
from leaf.models.lent import lent
from leaf.models.load import Loaded
from leaf.models.output_head import output_head
from leaf.models.prompt_format import PromptFormat, prompt_format_of
from leaf.models.vocabulary import check_tokenizers, common_tokens, same_tokenizer
from leaf.recipe import DistillSection
from leaf.recipe.reading import check_section

LOSS_OPTIONS = (
    "lambda",
    "loss",
    "loss_options",
    "jsd_beta",
    "skew",
    "temperature",
    "cross_entropy",
    "cross_entropy_changed",
    "changed_weight",
    "cutoff",
    "chunk_tokens",
)
"""The keys of a recipe's `distill` that decide what a loss is, not how somebody trains by it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A student that somebody trains and its teacher, with what is found out about them once."""

    distiller: Distiller
    prompt_format: PromptFormat
    aligner: Aligner | None
    section: DistillSection

    @property
    def limit(self) -> int:
        """Most tokens of a row: `cutoff`, or what the student was made for."""
        return min(self.section.cutoff, self.distiller.student.context)

    def encode(self, rows: list[TrainingExample]) -> list[Sample]:
        """Tokenise rows; raises `DataError` for one that is longer than `limit`, or no use."""
        samples, left_out = self.sort_out(rows)
        for what, first in left_out_text(left_out, len(rows)):
            more = self.limit == self.section.cutoff and "longer" in what
            way_out = f"leave them out{' or raise cutoff' if more else ''}"
            raise DataError(f"{what}, the first is {first}; {way_out}")
        return samples

    def sort_out(self, rows: list[TrainingExample]) -> tuple[list[Sample], list[LeftOut]]:
        """Tokenise rows; return those that can be trained on, and the others with their reasons."""
        what = limit_text(self.section.cutoff, self.limit)
        return encode_rows(self.prompt_format, rows, self.limit, self.aligner, limit=what)


def limit_text(cutoff: int, limit: int) -> str:
    """Return what says how long a row may be."""
    return f"cutoff ({cutoff} tokens)" if limit == cutoff else f"the student's {limit} tokens"


def left_out_text(left_out: Sequence[LeftOut], rows: int) -> list[tuple[str, str]]:
    """Return, for each reason why some of so many rows are left out, what to say and the first."""
    first = {item.reason: f"{item.row.content!r:.60}" for item in reversed(left_out)}
    counts = Counter(item.reason for item in left_out)
    return [
        (f"{count} of {rows} rows are {reason}", first[reason]) for reason, count in counts.items()
    ]


_PAIRS: WeakKeyDictionary[Model, dict[str, tuple[list[Any], Pair]]] = WeakKeyDictionary()
"""Student to its newest pairs, each with the objects whose ids name it, so that none is given
again. No `Model` is among them: a student that teaches itself would keep itself alive."""

_MOST_PAIRS = 4
"""Of one student: training and evaluation, in two dtypes."""


Itself = Literal["self"]
"""The student without its adapters, in place of a teacher."""


def pair_of(student: Model, teacher: Model | Itself | None, options: dict[str, Any]) -> Pair:
    """Return what is known of a student and its teacher under some options, found out once."""
    itself = isinstance(teacher, str) and teacher == "self"
    check_models(student, None if itself else teacher)
    check_whole(student)
    for name in options:
        if name.rstrip("_") not in LOSS_OPTIONS:
            raise RecipeError(
                f"leaf.distillation_loss: `{name}` does not decide a loss"
                f"{nearest(name, LOSS_OPTIONS) or '; known here: ' + ', '.join(LOSS_OPTIONS)}"
            )
    section = checked_section(options, teacher, "leaf.distillation_loss")
    loaded: Loaded = source_of(student).held
    kind = loaded.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else loaded.dtype
    checkpointing = loaded.model.is_activation_checkpointing
    of_student, held = _as_it_is(student, loaded)
    of_teacher: list[Any] = ["self"] if itself else []
    if itself and not has_adapters(loaded.model):
        raise UsageError(
            f"teacher: {student.name} has no adapters to leave out, so it cannot be its own "
            "teacher here; pass a copy: leaf.Model(copy.deepcopy(model), tokenizer)"
        )
    if isinstance(teacher, Model):
        other: Loaded = source_of(teacher).held
        of_teacher, held_of_teacher = _as_it_is(teacher, other)
        held = held + held_of_teacher
        weight = other.model.get_output_embeddings().weight
        if other.device != loaded.device and not weight.is_inference():
            # The student's device has a copy of it.
            of_teacher.append(weight._version)
    name = repr((of_student, of_teacher, dtype, checkpointing, section))
    pairs = _PAIRS.setdefault(student, {})
    if name not in pairs:
        while len(pairs) >= _MOST_PAIRS:
            del pairs[next(iter(pairs))]
        pairs[name] = (held, _pair(student, loaded, teacher, section, dtype))
        if isinstance(teacher, Model):
            held.append(weakref.ref(teacher, _forget(weakref.ref(student), name)))
    return pairs[name][1]


def _forget(student: weakref.ref[Model], name: str) -> Callable[[Any], None]:
    """Return what drops a pair as soon as its teacher is gone: who drops one wants its memory."""

    def forget(_: Any) -> None:
        owner = student()
        if owner is not None:
            _PAIRS.get(owner, {}).pop(name, None)

    return forget


def _as_it_is(model: Model, loaded: Loaded) -> tuple[list[Any], list[Any]]:
    """Return what of a model its owner may replace, for a name, and the objects named by ids."""
    head = loaded.model.get_output_embeddings()
    held = [model.tokenizer, head.weight, getattr(head, "bias", None)]
    ids = [id(each) for each in held]
    template = getattr(model.tokenizer, "chat_template", None)
    shape = tuple(head.weight.shape)
    own = sorted(model.template.items())
    state = [model._number, model.system, own, template, loaded.device, loaded.dtype, shape]
    return [*state, *ids], held


def _pair(
    student: Model,
    loaded: Loaded,
    teacher: Model | Itself | None,
    section: DistillSection,
    dtype: torch.dtype,
) -> Pair:
    own = prompt_format_of(student.tokenizer, section_of(student))
    aligner: Aligner | None = None
    source: Teacher | type[OwnTeacher] | None = None
    if isinstance(teacher, str):
        source = OwnTeacher
    elif teacher is not None and section.needs_teacher:
        other = prompt_format_of(teacher.tokenizer, section_of(teacher))
        source = theirs = _teacher(source_of(teacher).held, loaded.device)
        if not same_tokenizer(own.tokenizer, other.tokenizer):
            check_tokenizers(own, other, section)
            aligner = Aligner(own, other, common_tokens(own, other))
            entries = len(loaded.model.get_output_embeddings().weight)
            source = AlignedTeacher.of(theirs, aligner.common, entries, section.chunk_tokens)
    distiller = Distiller(loaded, source, section, compute_dtype=dtype, learn=False)
    return Pair(distiller=distiller, prompt_format=own, aligner=aligner, section=section)


def _teacher(loaded: Loaded, device: torch.device) -> HiddenTeacher:
    """Return a teacher that is lent for each forward; its head works on the student's device."""
    with lent(loaded.model):
        head = output_head(loaded.model)
    states = OnlineStates(loaded)

    def lent_states(items: Any) -> Tensor:
        with lent(loaded.model), torch.autocast(loaded.device.type, enabled=False):
            return states(items)

    return HiddenTeacher(states=lent_states, head=head.to(device))


def checked_section(
    options: dict[str, Any], teacher: Model | Itself | None, what: str
) -> DistillSection:
    """Return a recipe's `distill` with a call's options; `what` is the call's name."""
    values = {
        name.rstrip("_") if name == "lambda_" else name: each for name, each in options.items()
    }
    if teacher is None:
        values |= {"cross_entropy": 1.0, "cross_entropy_changed": None}
    return check_section(DistillSection, values, source=what)
