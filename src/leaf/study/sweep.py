"""Studies of several settings that train: each compares LeaF with the setting's baseline."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from leaf.errors import StudyError
from leaf.study import paper
from leaf.study.arms import data_table, says_gains, settings_table, train
from leaf.study.finding import Finding
from leaf.study.lab import Lab
from leaf.study.plot import draw_pair, size_of_pair


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """A study that trains every setting; LeaF of later ones is compared with that of the first."""

    study: str
    heading: str
    """What the settings are."""
    settings: Mapping[str, Mapping[str, Any]]
    """Name to dotted keys of the recipe and their values."""
    table: str
    """The paper's table, by its name in `paper.yaml`."""
    rows: Mapping[str, str] | None = None
    """Setting to the table's row; None: the table has no values of the settings."""
    says: tuple[str, ...] = ()
    """Sentences besides those of every sweep."""
    check: Callable[[Lab], None] | None = None
    """Raises where the recipe has nothing to compare."""

    def __call__(self, lab: Lab) -> Finding:
        """Train and compare.

        Raises:
            StudyError: the recipe has no benchmark, or nothing that the settings differ in.
        """
        if self.check:
            self.check(lab)
        trained = [train(lab, name, changes) for name, changes in self.settings.items()]
        compared = settings_table(self.heading, trained, partial(self._paper_values, lab))
        plain = trained[0].plain
        swept = [key for changes in self.settings.values() for key in changes]
        return Finding(
            study=self.study,
            says=(*says_gains(lab, trained), *self.says),
            tables=(compared, data_table(self.heading, trained)),
            paper=() if self.rows is None else paper.shown(lab.recipe, self.table),
            differs=paper.differs(lab.recipe, self.table, swept=swept),
            draw=lambda figure: draw_pair(
                figure,
                compared,
                ("LeaF", "share right"),
                (f"LeaF minus {plain}", f"LeaF minus its {plain}"),
            ),
            size=size_of_pair(compared),
        )

    def _paper_values(self, lab: Lab, setting: str, label: str) -> dict[str, float]:
        wanted = {} if self.rows is None else {"LeaF": self.rows[setting], "KD": "kd"}
        values = {
            column: paper.beside(lab.recipe, self.table, row, label)
            for column, row in wanted.items()
        }
        return {column: value for column, value in values.items() if value is not None}


def _check_masks(lab: Lab) -> None:
    lab.check_teacher("the gradient's mask, with which others are compared, needs two models")


def _check_splits(lab: Lab) -> None:
    """Refuse data whose references have no steps to split."""
    for seed in lab.seeds:
        tried = lab.run(_RESPONSE, until="attribute", seed=seed, label="response")
        if not tried.results.segments:
            raise StudyError(
                f"recipe {lab.recipe.name}: no reference response of the "
                f"{len(tried.pipeline.detection.chosen)} problems that enter detection can be "
                "split; it needs data with worked solutions of at least two lines or sentences"
            )


_RESPONSE = {"prune.levels": ["response"]}

masking = Sweep(
    study="masking",
    heading="mask",
    # Random and perplexity mark as many tokens of each problem as the gradient does.
    settings={mask: {"attribute.detector": mask} for mask in ("gradient", "random", "perplexity")},
    table="1 math",
    says=("The paper shows this as a picture (Fig. 7) that prints no values.",),
    check=_check_masks,
)

splits = Sweep(
    study="splits",
    heading="split",
    settings={
        "none (instruction)": {"prune.levels": ["instruction"]},
        "2 segments": {**_RESPONSE, "prune.segments": 2},
        "3 segments": {**_RESPONSE, "prune.segments": 3},
    },
    table="1 math",
    says=("The paper shows this as a picture (Fig. 8) that prints no values.",),
    check=_check_splits,
)

# Nothing is transplanted in either.
collective = Sweep(
    study="span-vs-collective",
    heading="pruning",
    settings={way: {"prune.strategy": way} for way in ("span", "collective")},
    table="3",
    rows={"span": "span", "collective": "collective"},
)

contrastive = Sweep(
    study="contrastive-pairs",
    heading="student-wrong originals",
    settings={
        "with": {"distill.student_wrong_originals": True},
        "without": {"distill.student_wrong_originals": False},
    },
    table="6",
    rows={"with": "with", "without": "without"},
    says=("Without them the baseline, too, trains on none of them.",),
)
