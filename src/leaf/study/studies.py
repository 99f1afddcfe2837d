"""Every study. To add one: a file with a function from `Lab` to `Finding`, and its line here."""

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from leaf.study.finding import Finding
from leaf.study.lab import Lab


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """One figure or table of the paper, for any recipe."""

    about: str
    """What it shows, and which figure or table of the paper that is."""
    place: str
    """`module:function`; imported when it is run."""
    trains: bool = False
    """Whether students are trained."""
    options: tuple[str, ...] = ("seeds", "first_seed")
    """What of `leaf study` it goes by: `seeds`, `first_seed`, names of `leaf.study.lab.Choices`."""
    example: str = "demo"
    """A shipped recipe that it can be tried on."""

    def run(self, lab: Lab) -> Finding:
        """Compute it, or find it computed."""
        function: Callable[[Lab], Finding] = pkgutil.resolve_name(self.place)
        return function(lab)


STUDIES: dict[str, Study] = {
    "main": Study(
        about="Does it help: before, plain distillation (KD) and LeaF (Tables 1, 2).",
        place="leaf.study.main:main",
        trains=True,
    ),
    "masking": Study(
        about="LeaF with spans marked by gradients, at random or by perplexity (Fig. 7).",
        place="leaf.study.sweep:masking",
        trains=True,
    ),
    "splits": Study(
        about="LeaF pruning the instruction, or responses in 2 or 3 segments (Fig. 8).",
        place="leaf.study.sweep:splits",
        trains=True,
        example="gsm8k",
    ),
    "thresholds": Study(
        about="How much each threshold cuts, and how much of it is verified; no training "
        "(Fig. 9, 10).",
        place="leaf.study.thresholds:thresholds",
        options=("taus", "rules"),
    ),
    "threshold-accuracy": Study(
        about="What each threshold teaches: LeaF against plain distillation (Fig. 9, 10, Table 7).",
        place="leaf.study.threshold_accuracy:threshold_accuracy",
        trains=True,
        options=("seeds", "first_seed", "taus"),
    ),
    "dose": Study(
        about="How many distractors to put in and how they weigh: clean against distracted "
        "questions (not in the paper).",
        place="leaf.study.dose:dose",
        trains=True,
        options=("seeds", "first_seed", "shares", "weights", "clean", "distracted"),
    ),
    "span-vs-collective": Study(
        about="LeaF cutting one span at a time, or all marked at once (Table 3).",
        place="leaf.study.sweep:collective",
        trains=True,
    ),
    "contrastive-pairs": Study(
        about="LeaF with and without the originals that the student got wrong (Table 6).",
        place="leaf.study.sweep:contrastive",
        trains=True,
    ),
    "robustness": Study(
        about="What distracted or paraphrased questions cost each student (Table 5).",
        place="leaf.study.robustness:robustness",
        trains=True,
    ),
    "pruning-gain": Study(
        about="What cutting what a detector marks frees, without training (Fig. 1).",
        place="leaf.study.pruning_gain:pruning_gain",
    ),
    "overhead": Study(
        about="Time and memory of LeaF against plain distillation (Table 4).",
        place="leaf.study.overhead:overhead",
        trains=True,
    ),
    "data-statistics": Study(
        about="How many originals and changed questions there are, and how long (Tables 8, 9).",
        place="leaf.study.data_statistics:data_statistics",
    ),
    "jaccard": Study(
        about="How like the reference the answers are, before and after pruning (Fig. 13).",
        place="leaf.study.jaccard:similarity",
    ),
    "focus-audit": Study(
        about="Do trained students look less at what distracts, and answer better where they do.",
        place="leaf.study.focus_audit:focus_audit",
        trains=True,
    ),
    "case": Study(
        about="A few problems in full: heat maps, attention of KD and LeaF, answers (Fig. 2, 11, "
        "12).",
        place="leaf.study.case:case",
        trains=True,
        options=("first_seed",),
    ),
}
