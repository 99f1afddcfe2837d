"""The models that a run holds against each other, in one list. A new arm is a line here."""

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
    changed: bool = False
    """Whether it trains on the verified changed questions, besides the originals."""


ARMS = {
    arm.name: arm
    for arm in (
        Arm(name="before", title="before"),
        Arm(name="kd", title="KD", folder="student-kd"),
        Arm(name="leaf", title="LeaF", folder="student", changed=True),
        Arm(name="teacher", title="teacher"),
    )
}
"""Every arm by name, in the order shown: the student before, the students trained, the teacher."""

TRAINED = [arm for arm in ARMS.values() if arm.folder]
"""The arms that are trained, all from the same start."""
