"""The models that a run holds against each other, in one list. A new arm is a line here."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One of the models that a run holds against each other on its benchmarks."""

    name: str
    """In files, keys and code."""
    title: str
    """For people."""
    folder: str = ""
    """Of the trained student in the run folder; "" of a model that is not trained."""


ARMS = {
    arm.name: arm
    for arm in (
        Arm(name="before", title="before"),
        Arm(name="kd", title="KD", folder="student-kd"),
        Arm(name="rft", title="RFT", folder="student-rft"),
        Arm(name="leaf", title="LeaF", folder="student"),
        Arm(name="self", title="LeaF-self", folder="student-self"),
        Arm(name="teacher", title="teacher"),
    )
}
"""Every arm by name, in the order shown: the student before, the students trained (`rft` on its own
right answers, the baseline without a teacher), the teacher."""


def arm_of(name: str) -> Arm:
    """Return an arm by its name: one of `ARMS`, or one that a recipe names under `arms`."""
    return ARMS.get(name) or Arm(name=name, title=name, folder=f"student-{name}")


def in_order(names: Iterable[str]) -> list[str]:
    """Return the names of arms in the order shown, each once; a recipe's own before the teacher."""
    given = list(dict.fromkeys(names))
    own = [name for name in given if name not in ARMS]
    order = [*(name for name in ARMS if name != "teacher"), *own, "teacher"]
    return [name for name in order if name in given]
