"""Teachers: in memory beside the student, or as they were kept on disk.

Axes: R response positions, D width of the teacher, K tokens kept a position.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from leaf.distill.cache import TeacherCache
from leaf.distill.sample import Sample
from leaf.distill.targets import HiddenTargets, Targets, TopKTargets
from leaf.losses import Formula
from leaf.models.load import Loaded
from leaf.models.output_head import Head, output_head
from leaf.models.packing import Packer
from leaf.models.padding import pad
from leaf.models.paths import paths_of
from leaf.models.prompt_format import EncodedExample

States = Callable[[Sequence[EncodedExample]], Tensor]
"""Conversations -> the teacher's last hidden states before each response token [R, D]."""


class Teacher(Protocol):
    """Whom the student learns from."""

    @property
    def vocabulary(self) -> int:
        """Entries of its output head."""
        ...

    def targets(
        self,
        samples: Sequence[Sample],
        *,
        loss: Formula,
        temperature: float,
        vocabulary: int,
        device: torch.device,
    ) -> Targets:
        """Say what it thinks of the samples' responses, over the first `vocabulary` entries."""
        ...


@dataclass(frozen=True, kw_only=True)
class HiddenTeacher:
    """A teacher known by its hidden states, computed now (`OnlineStates`) or read from a cache."""

    states: States
    head: Head

    @property
    def vocabulary(self) -> int:
        """Entries of its output head."""
        return len(self.head.weight)

    def targets(
        self,
        samples: Sequence[Sample],
        *,
        loss: Formula,
        temperature: float,
        vocabulary: int,
        device: torch.device,
    ) -> Targets:
        """See `Teacher`."""
        hidden_RD = self.states([sample.teacher_tokens for sample in samples]).to(device)
        head = self.head.first(vocabulary)
        return HiddenTargets(hidden_RD=hidden_RD, head=head, loss=loss, temperature=temperature)


@dataclass(frozen=True, kw_only=True)
class TopKTeacher:
    """A teacher known by its likeliest tokens, as a cache has them."""

    cache: TeacherCache
    entries: int
    """Of the vocabulary that the cache was cut to."""

    @property
    def vocabulary(self) -> int:
        """Entries of its output head that count."""
        return self.entries

    def targets(
        self,
        samples: Sequence[Sample],
        *,
        loss: Formula,
        temperature: float,
        vocabulary: int,
        device: torch.device,
    ) -> Targets:
        """See `Teacher`; the temperature is the one that the cache was made with."""
        ids_RK, log_RK = self.cache.tops([sample.teacher_tokens for sample in samples])
        return TopKTargets(ids_RK=ids_RK.to(device), log_RK=log_RK.to(device), loss=loss)


class OnlineStates:
    """Computes hidden states by a frozen model; what all conversations begin with just once."""

    def __init__(self, teacher: Loaded, shared: int = 0) -> None:
        """Look through `teacher`; all conversations have the same first `shared` tokens."""
        paths = paths_of(teacher.model)
        paths.check("ablation", teacher.source.name)
        self._packer = Packer(teacher.model, paths=paths)
        self._shared = shared

    def __call__(self, items: Sequence[EncodedExample]) -> Tensor:
        """Return the last hidden states before each response token [R, D].

        Rows that share a context share its one forward: a changed question that the teacher sees
        cut back to the original, beside that original.
        """
        return computed_once(items, self._compute)

    def _compute(self, items: Sequence[EncodedExample]) -> Tensor:
        with torch.no_grad():
            return self._packer.hidden_states(pad(items, self._shared))


def computed_once(items: Sequence[EncodedExample], states: States) -> Tensor:
    """Return the states of all conversations [R, D], asking for each different one once."""
    once = list(dict.fromkeys(items))
    hidden_RD = states(once)
    if len(once) == len(items):
        return hidden_RD
    parts = torch.split(hidden_RD, [item.response_length for item in once])
    place = {item: at for at, item in enumerate(once)}
    return torch.cat([parts[place[item]] for item in items])


def online_teacher(teacher: Loaded, shared: int = 0) -> HiddenTeacher:
    """Return a teacher that is in memory; see `OnlineStates` for `shared`."""
    return HiddenTeacher(states=OnlineStates(teacher, shared), head=output_head(teacher.model))


def shared_beginning(items: Sequence[EncodedExample]) -> int:
    """Return how many first tokens all conversations have in common, prompts' last ones left out.

    The last token of a prompt predicts the response, so it is never shared.
    """
    most = min(item.prompt_length for item in items) - 1
    first = items[0].ids
    for at in range(most):
        if any(item.ids[at] != first[at] for item in items):
            return at
    return most
