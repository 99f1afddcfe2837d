"""Metrics to other places than metrics.jsonl, through accelerate's trackers.

Nothing here logs in or sends by itself: all write to this machine, unless the tool's own variables
(`WANDB_MODE` or `WANDB_API_KEY`, `TRACKIO_SPACE_ID`) say that its user wants more.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import yaml
from accelerate import PartialState
from accelerate.tracking import (
    GeneralTracker,
    TensorBoardTracker,
    TrackioTracker,
    WandBTracker,
)

from leaf.errors import UsageError
from leaf.recipe import DistillSection

PROJECT = "leaf"
"""Under which name Trackio and W&B keep the trainings together."""


class Trackers:
    """Where a training's metrics go besides metrics.jsonl; with no names it does nothing."""

    def __init__(
        self,
        names: Sequence[str],
        folder: Path,
        label: str,
        section: DistillSection,
        *,
        done: int = 0,
    ) -> None:
        """Open what `distill.tracking` names.

        Args:
            names: Keys of `TRACKERS`.
            folder: The training's own, whose name no other training has.
            label: What is trained, for people.
            section: How, shown beside the curves.
            done: Steps before this process; those after it are shown once where the tool can.

        Raises:
            UsageError: one of them is not installed.
        """
        missing = missing_trackers(names)
        if missing:
            raise UsageError(missing)
        if names:
            PartialState()  # accelerate's trackers write their own log through it
        training = _Training(folder=folder, label=label, section=section, done=done)
        self._trackers = [TRACKERS[name](training) for name in names]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def log(self, values: Mapping[str, float | str | None], step: int) -> None:
        """Add a point to each curve; what is None has none."""
        for tracker in self._trackers:
            # `lambda: rows` is no point of a curve.
            numbers = {name: each for name, each in values.items() if not isinstance(each, str)}
            tracker.log(numbers, step=step)

    def close(self) -> None:
        """Write what is left to write."""
        for tracker in self._trackers:
            tracker.finish()
        self._trackers = []


def missing_trackers(names: Sequence[str]) -> str | None:
    """Return the line that says which tracker is not installed and how to install it, else None."""
    for name in names:
        if find_spec(name) is None:
            return (
                f"distill.tracking: {name} is not installed: "
                f'pip install "leaf-distill[{name}]", or take it off the list'
            )
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Training:
    folder: Path
    label: str
    section: DistillSection
    done: int

    @property
    def name(self) -> str:
        """Its label, and enough of its key to be told from others."""
        return f"{self.label} {self.folder.name[:8]}"

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the training; where it runs is nobody else's business."""
        return self.section.model_dump(mode="json", by_alias=True, exclude={"served", "tracking"})


def _tensorboard(training: _Training) -> GeneralTracker:
    # Steps that are done again after a kill are shown once: `purge_step` hides the former points.
    tracker = TensorBoardTracker(
        training.name, training.folder / "tensorboard", purge_step=training.done + 1
    )
    tracker.start()
    if not training.done:
        text = yaml.safe_dump(training.settings, sort_keys=False)
        tracker.writer.add_text("settings", f"```yaml\n{text}```", global_step=0)
    return tracker


def _trackio(training: _Training) -> GeneralTracker:
    tracker = TrackioTracker(
        PROJECT, name=training.name, config=training.settings, resume="allow", embed=False
    )
    tracker.start()
    return tracker


def _wandb(training: _Training) -> GeneralTracker:
    wanted = "WANDB_MODE" in os.environ or "WANDB_API_KEY" in os.environ
    tracker = WandBTracker(
        PROJECT,
        name=training.name,
        id=training.folder.name,
        # It drops steps before the last one that it knows, so none is there twice.
        resume="allow",
        dir=str(training.folder),
        config=training.settings,
        mode=None if wanted else "offline",
    )
    tracker.start()
    return tracker


TRACKERS: dict[str, Callable[[_Training], GeneralTracker]] = {
    "tensorboard": _tensorboard,
    "trackio": _trackio,
    "wandb": _wandb,
}
