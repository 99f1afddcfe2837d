"""The second round of a training: the student learns on answers of its own.

    first training -> its answers -> a few steps on them -> answers of what came out -> ...

A refresh is an ordinary result of answers, and the steps after it are a training of their own that
begins with the weights so far. Both lie in the store, so that killed work resumes with the same
bytes. Each of these trainings measures the loss on held-out problems before its first step: when
none of its steps has a lower one, the weights that it began with are kept, and the round ends.

What is learned there is never mixed with responses that the student did not write: all steps of the
round are on its own answers.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from leaf.distill import TrainingExample, plan_steps
from leaf.models.files import Source, trained
from leaf.progress import say
from leaf.recipe import DistillSection
from leaf.records import Answer, Problem
from leaf.store.seal import unsealed

Ask = Callable[[Source, Sequence[Problem], int], Sequence[Answer]]
"""(whose weights, what is asked, which refresh) -> sampled answers, in order."""

Fits = Callable[[TrainingExample], str]
"""Row -> why it cannot be trained on, else ""."""

Train = Callable[[Source, Sequence[TrainingExample], Sequence[Sequence[int]], DistillSection], Path]
"""(weights to begin with, rows, the rows of each step, how) -> the folder of what came out."""


def second_round(
    arm: str,
    first: Path,
    rows: Sequence[TrainingExample],
    section: DistillSection,
    *,
    ask: Ask,
    fits: Fits,
    train: Train,
) -> Path:
    """Return the folder of the student after the second round; `first` where nothing was better.

    Args:
        arm: Whose student it is.
        first: Its folder after the first training.
        rows: What it was trained on.
        section: How; `round` says how this round goes.
        ask: Lets the student so far answer.
        fits: Says whether an own answer can be trained on.
        train: Trains on.
    """
    place, done, number = first, 0, 0
    while done < section.round.steps:
        count = min(section.round.refresh, section.round.steps - done)
        how = own_section(section, count, number)
        planned = plan_steps(rows, how)
        source = trained(arm, place)
        used = sorted({at for step in planned for at in step})
        answers = ask(source, [as_problem(rows[at], at) for at in used], number)
        own, why = own_rows({at: rows[at] for at in used}, answers, fits)
        if why:
            reasons = ", ".join(f"{reason}: {times}" for reason, times in why.items())
            left = f"{sum(why.values())} of {len(used)} own answers are left out"
            say(f"{arm}, round 2: {left} ({reasons})")
        number_of = {at: new for new, at in enumerate(own)}
        steps = [[number_of[at] for at in step if at in own] for step in planned]
        steps = [step for step in steps if step]
        if not steps:
            say(f"{arm}, round 2: no own answer to learn from; the weights before it are kept")
            break
        folder = train(source, list(own.values()), steps, how)
        if unsealed(folder)["kept_step"] == 0:
            say(f"{arm}, round 2: not better on held-out problems; the weights before it are kept")
            break
        place, done, number = folder, done + count, number + 1
    return place


def own_section(section: DistillSection, steps: int, number: int) -> DistillSection:
    """Return how the steps after a refresh go: against the teacher alone, all else as before.

    Its weights are begun with again, so they are kept in float32.
    """
    own = section.round
    changes: dict[str, Any] = {
        "loss": own.loss,
        "learning_rate": own.learning_rate or section.learning_rate,
        "max_steps": steps,
        "max_tokens": None,
        "seed": section.seed + number,
        "save_dtype": "float32",
        "warmup_steps": 0,
        "lambda_end": None,
        "cross_entropy": 0.0,
        "cross_entropy_changed": None,
        "anchor": 0.0,
        "hidden": {},
    }
    return section.model_copy(update=changes)


def as_problem(row: TrainingExample, number: int) -> Problem:
    """Return what the student is asked: the prompt that it sees in a row."""
    name = f"{row.id or row.problem_id}/own{number}"
    if row.response_prefix:
        return Problem(
            id=name,
            prompt=row.content,
            question=row.response_prefix,
            answer="",
            solution="",
            turns=row.turns,
        )
    return Problem(id=name, question=row.content, answer="", solution="", turns=row.turns)


def own_rows(
    rows: Mapping[int, TrainingExample], answers: Sequence[Answer], fits: Fits
) -> tuple[dict[int, TrainingExample], Counter[str]]:
    """Return the rows with the student's own answers as responses, and why others are left out.

    An answer that was cut at the limit is none: the end of the turn that it would get, it did not
    say.
    """
    own: dict[int, TrainingExample] = {}
    why: Counter[str] = Counter()
    for (at, row), answer in zip(rows.items(), answers, strict=True):
        made = replace(row, response=answer.text[len(row.response_prefix) :])
        reason = answer.failure or ("cut at the limit" if answer.truncated else fits(made))
        if reason:
            why[reason] += 1
        else:
            own[at] = made
    return own, why
