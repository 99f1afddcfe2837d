"""Which benchmarks of a recipe are clean and which distracted."""

from collections.abc import Mapping, Sequence

from leaf.errors import StudyError, nearest
from leaf.recipe import EvaluateSection
from leaf.study.lab import Lab

Axes = Mapping[str, Sequence[str]]
"""`clean` and `distracted`, in this order, to benchmarks, or to these with their measures."""

_MISLEAD = ("conflict", "numeric", "both")
"""Splits of the demo world in which something misleads; in `agree` a cue helps."""


def axes_of(lab: Lab) -> Axes:
    """Return the benchmarks of both axes: those that are named, or else as the recipe tells.

    A benchmark `against` another one is distracted and that one clean, unless it is a paraphrase.

    Raises:
        StudyError: an axis has none, there is no such benchmark, or it is named for both.
    """
    benchmarks, choices = lab.recipe.evaluate.benchmarks, lab.choices
    for option, names in (("clean", choices.clean), ("distracted", choices.distracted)):
        for name in names or ():
            if name not in benchmarks:
                raise StudyError(
                    f"--{option} {name}: recipe {lab.recipe.name} has no such benchmark"
                    f"{nearest(name, benchmarks) or ';'} it has {', '.join(benchmarks) or 'none'}"
                )
    worlds = {name: one.split for name, one in benchmarks.items() if one.task == "playground"}
    distracted = choices.distracted or [
        name
        for name, one in benchmarks.items()
        if (one.against and not one.paraphrase) or worlds.get(name) in _MISLEAD
    ]
    varied = {benchmarks[name].against for name in distracted}
    if any(name in worlds for name in distracted):
        varied |= {name for name, split in worlds.items() if split == "clean"}
    clean = choices.clean or [name for name in benchmarks if name in varied]
    if not distracted or not clean:
        raise StudyError(
            f"recipe {lab.recipe.name} does not tell which benchmarks are clean and which "
            "distracted; name them, as in --clean gsm8k --distracted gsm_ic, or say in the recipe "
            "what one is made of, as in evaluate.benchmarks.gsm_ic.against: gsm8k"
        )
    if both := [name for name in clean if name in distracted]:
        raise StudyError(f"benchmark {both[0]} must be clean or distracted, and is named for both")
    return {"clean": list(dict.fromkeys(clean)), "distracted": list(dict.fromkeys(distracted))}


def with_measures(axes: Axes, labels: Sequence[str], section: EvaluateSection) -> Axes:
    """Return of each axis which labels (a benchmark, and perhaps a measure) are its own."""

    def benchmark(label: str) -> str:
        return max(
            (one for one in section.benchmarks if f"{label} ".startswith(f"{one} ")), key=len
        )

    return {
        axis: [label for label in labels if benchmark(label) in names]
        for axis, names in axes.items()
    }


def axes_in_words(axes: Axes, section: EvaluateSection) -> str:
    """Say what stands on each axis, and what on none."""
    used = {name for names in axes.values() for name in names}
    rest = ", ".join(name for name in section.benchmarks if name not in used)
    told = [f"{axis.capitalize()}: {', '.join(names)}." for axis, names in axes.items()]
    if len(used) > len(axes):
        told.append("On an axis each benchmark weighs the same.")
    return " ".join([*told, *([f"On no axis: {rest}."] if rest else [])])
