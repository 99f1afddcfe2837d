"""The rows of a run that another trainer can be given, and how the run weighs them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leaf.errors import UsageError
from leaf.recipe import Recipe
from leaf.recipe.reading import arm_recipes, trained_arms
from leaf.share.weights import token_weights
from leaf.store.run_folder import TrainingRow, read_records, recipe_of, repeat, rows_name

HELD_OUT = "of held-out problems, which serve validation alone"
BEGUN = "in the response: a chat turn that is half context and half answer has no place here"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """What an arm of a run trains on."""

    rows: list[TrainingRow]
    recipe: Recipe | None
    """The arm's own; None: the folder holds none, only rows."""

    @property
    def system(self) -> str | None:
        """The student's system prompt."""
        return self.recipe.student.system if self.recipe else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The rows to write, and those that are not."""

    rows: list[TrainingRow]
    left_out: dict[str, int]
    """Reason to how many rows."""

    @property
    def two_contexts(self) -> int:
        """How many have a prompt of the teacher's own."""
        return sum(bool(row.teacher_prompt or row.teacher_prefix) for row in self.rows)

    @property
    def counted(self) -> bool:
        """Whether the run counted the tokens of every response."""
        return all(row.response_tokens for row in self.rows)

    def weights(self, recipe: Recipe | None) -> list[float]:
        """Return what a response token of each row weighs; by characters without a count."""
        counted = self.counted
        parts = [
            (
                bool(row.strategy),
                row.response_tokens if counted else len(row.response) + 1,
                row.weight,
            )
            for row in self.rows
        ]
        return token_weights(parts, recipe.distill if recipe else None)


def read_rows(run_folder: Path, what: str) -> Rows:
    """Read what an arm trains on.

    Raises:
        UsageError: the run has no such arm, or its rows are not there.
    """
    recipe, until = None, "verify"
    if (run_folder / "recipe.yaml").is_file():
        recipe = recipe_of(run_folder)
        arms = trained_arms(recipe)
        if what not in arms:
            raise UsageError(f"--what {what}: this run trains {', '.join(arms)}")
        until = "verify" if what in (recipe.baseline, "leaf") else "distill"
        recipe = arm_recipes(recipe).get(what, recipe)
    way_out = f"`{repeat(run_folder)} --until {until}` writes it; nothing is computed twice"
    path = run_folder / rows_name(what)
    return Rows(rows=read_records(path, TrainingRow, way_out), recipe=recipe)


def choose(rows: Sequence[TrainingRow], what: str, *, begun: bool = False) -> Chosen:
    """Return the rows of one arm that a format can hold, and why others are left out.

    Of LeaF's rows `kd` has the originals; any other arm has rows of its own.

    Args:
        rows: Of the arm.
        what: Its name.
        begun: Whether the format can hold a response of which only the rest is trained on.

    Raises:
        UsageError: nothing would be left.
    """
    ours = [row for row in rows if what != "kd" or not row.strategy]
    reasons = [
        HELD_OUT if row.held_out else BEGUN if row.response_prefix and not begun else ""
        for row in ours
    ]
    chosen = [row for row, reason in zip(ours, reasons, strict=True) if not reason]
    if not chosen:
        raise UsageError("there is nothing to write: the run has no training row of this kind")
    return Chosen(rows=chosen, left_out=dict(Counter(reason for reason in reasons if reason)))
