"""What to prune: the instruction, or the response cut into 2 or 3 segments (Fig. 8)."""

from leaf.errors import StudyError
from leaf.study.finding import Finding
from leaf.study.lab import Lab
from leaf.study.sweep import sweep

_RESPONSE = {"prune.levels": ["response"]}


def splits(lab: Lab) -> Finding:
    """Train LeaF at instruction level, and at response level with 2 and with 3 segments.

    Raises:
        StudyError: no reference has steps to split.
    """
    for seed in lab.seeds:
        tried = lab.run(_RESPONSE, until="attribute", seed=seed, label="response")
        if not tried.results.segments:
            raise StudyError(
                f"recipe {lab.recipe.name}: no reference response of the "
                f"{len(tried.pipeline.detection.chosen)} problems that enter detection can be "
                "split; it needs data with worked solutions of at least two lines or sentences"
            )
    return sweep(
        lab,
        study="splits",
        heading="split",
        settings={
            "none (instruction)": {"prune.levels": ["instruction"]},
            "2 segments": {**_RESPONSE, "prune.segments": 2},
            "3 segments": {**_RESPONSE, "prune.segments": 3},
        },
        table="1 math",
        says=("The paper shows this as a picture (Fig. 8) that prints no values.",),
    )
