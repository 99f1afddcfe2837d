"""Training rows, and which rows each optimiser step sees."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import torch

from leaf.errors import DataError, LeafError, check_type
from leaf.recipe import DistillSection
from leaf.records import NEVER_NAMED, STORED_AS, UNNAMED, Counterfactual, Problem, Score


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingExample:
    """One prompt and the response y that both models are compared on."""

    problem_id: str
    """The original problem, also for its counterfactuals: what `paired` batches keep together."""
    content: str
    """The user's message."""
    response: str
    counterfactual: bool
    """Whether the prompt was changed: its tokens then count in L_cd, else in L_kd."""
    response_prefix: str = field(default="", metadata={**UNNAMED, STORED_AS: "begun"})
    """How the response begins, before `response`: context, no part of the loss."""
    id: str = field(default="", metadata=NEVER_NAMED)
    """Of the problem, or of the changed question."""
    strategy: str = field(default="", metadata=NEVER_NAMED)
    """How the changed question was made: `span`, `transplant` ...; "" of an original."""


def rows_from(rows: Iterable[Any]) -> list[TrainingExample]:
    """Return training rows made of a user's dicts or records.

    Each has `question` (or `prompt`, or `content`) and `response`; and, where it has one, `changed`
    (or `kind`: "original" or "changed"), `response_prefix` and `problem_id`, the same for all rows
    made of one problem.

    Raises:
        DataError: no rows, or one without a text where one must be; says which row.
        UsageError: one row, a text or nothing in place of a list.
    """
    if isinstance(rows, str | Mapping) or not isinstance(rows, Iterable):
        check_type("rows", rows, (), "a list of rows; each has `question` and `response`")
    made = [_row_from(row, number) for number, row in enumerate(rows)]
    if not made:
        raise DataError("there is no row to train on")
    return made


def _row_from(row: Any, number: int) -> TrainingExample:
    if isinstance(row, TrainingExample):
        return row
    names = ("content", "question", "prompt", "response", "kind", "changed", "problem_id")
    value: dict[str, Any] = {
        name: row.get(name) if isinstance(row, Mapping) else getattr(row, name, None)
        for name in (*names, "response_prefix")
    }
    contents = [value[name] for name in names[:3] if value[name] is not None]
    texts = {"question": contents[0] if contents else None, "response": value["response"]}
    for name, text in texts.items():
        if not isinstance(text, str):
            has = f" (it has {', '.join(map(str, row))})" if isinstance(row, Mapping) else ""
            raise DataError(f"row {number}: `{name}` must be a text, but is {text!r:.60}{has}")
    kind, problem = value["kind"], value["problem_id"]
    if kind not in (None, "original", "changed"):
        raise DataError(f"row {number}: `kind` must be original or changed, but is {kind!r:.60}")
    return TrainingExample(
        problem_id=str(number if problem is None else problem),
        content=contents[0],
        response=value["response"],
        counterfactual=kind == "changed" or bool(value["changed"]),
        response_prefix=value["response_prefix"] or "",
    )


def original_rows(
    problems: Sequence[Problem],
    references: Mapping[str, str],
    student_scores: Mapping[str, Score],
    section: DistillSection,
) -> list[TrainingExample]:
    """Return a row for each original prompt that has a reference response.

    Without `student_wrong_originals` only what the student got right stays (the ablation).
    """
    return [
        TrainingExample(
            problem_id=problem.id,
            content=problem.content,
            response=references[problem.id],
            counterfactual=False,
            id=problem.id,
        )
        for problem in problems
        if problem.id in references
        and (section.student_wrong_originals or student_scores[problem.id].right)
    ]


def counterfactual_rows(
    problems: Mapping[str, Problem],
    references: Mapping[str, str],
    kept: Sequence[Counterfactual],
    origins: Mapping[str, str] | None = None,
) -> list[TrainingExample]:
    """Return a row for each changed question, with the same response.

    At response level the changed beginning of the response is context, and the rest is trained on.

    Args:
        problems: Those that the counterfactuals name, by id.
        references: Their responses y by problem id; the rest of it at response level.
        kept: What was verified.
        origins: Response-level problem id to the id of the problem whose response it is.
    """
    return [
        TrainingExample(
            problem_id=(origins or {}).get(item.problem_id, item.problem_id),
            content=changed.content,
            response=references[item.problem_id],
            counterfactual=True,
            response_prefix=changed.response_prefix,
            id=item.id,
            strategy=item.strategy,
        )
        for item in kept
        for changed in [replace(problems[item.problem_id], question=item.question)]
    ]


def hold_out(problem_ids: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """Choose problems for validation: a share of them, rounded down, at random.

    What is chosen depends on the problems and the seed alone, so all arms leave out the same.
    """
    order = torch.randperm(len(problem_ids), generator=torch.Generator().manual_seed(seed))
    chosen: list[int] = order[: int(share * len(problem_ids))].tolist()
    return frozenset(problem_ids[at] for at in chosen)


def split_rows(
    rows: Sequence[TrainingExample], held_out: frozenset[str]
) -> tuple[list[TrainingExample], list[TrainingExample]]:
    """Return the rows to train on, and those of held-out problems."""
    kept = [row for row in rows if row.problem_id not in held_out]
    return kept, [row for row in rows if row.problem_id in held_out]


def plan_steps(
    rows: Sequence[TrainingExample], section: DistillSection, lengths: Sequence[int] | None = None
) -> list[list[int]]:
    """Return the row indices of every optimiser step of a whole training.

    Steps are `max_steps`, else as many as `max_tokens` allows, else those of `epochs` passes. Every
    pass is shuffled anew from the seed, and the plan is known before the first step, so a resumed
    training sees the same order.

    Args:
        rows: The training rows.
        section: Batches, passes and limits.
        lengths: Tokens of each row, prompt included; needed for `max_tokens`.

    Raises:
        DataError: there are no rows.
        LeafError: `max_tokens` without `lengths`.
    """
    if not rows:
        raise DataError("there is no row to train on")
    most_steps, most_tokens = section.max_steps, section.max_tokens
    if most_tokens is not None and lengths is None:
        raise LeafError("distill.max_tokens counts tokens, so plan_steps needs `lengths`")
    unbounded = most_steps is None and most_tokens is None
    steps: list[list[int]] = []
    tokens = 0
    passes = _passes(rows, section, section.epochs if unbounded else None)
    for step in chain.from_iterable(passes):
        if most_tokens is not None and lengths is not None:
            tokens += sum(lengths[at] for at in step)
            if steps and tokens > most_tokens:
                break
        steps.append(step)
        if len(steps) == most_steps:
            break
    return steps


def _passes(
    rows: Sequence[TrainingExample], section: DistillSection, passes: int | None
) -> Iterator[list[list[int]]]:
    """Yield the batches of one pass after another; without end when `passes` is None."""
    generator = torch.Generator().manual_seed(section.seed)
    units = _groups(rows) if section.batching == "paired" else [[row] for row in range(len(rows))]
    done = 0
    while passes is None or done < passes:
        order = torch.randperm(len(units), generator=generator).tolist()
        yield _fill([units[at] for at in order], section.batch_size)
        done += 1


def _groups(rows: Sequence[TrainingExample]) -> list[list[int]]:
    """Return the rows of each problem, its original first."""
    groups: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        groups.setdefault(row.problem_id, []).append(at)
    return list(groups.values())


def _fill(units: Sequence[list[int]], batch_size: int) -> list[list[int]]:
    """Put units into batches of at most `batch_size` rows; a larger unit is a batch by itself."""
    batches: list[list[int]] = []
    for unit in units:
        if batches and len(batches[-1]) + len(unit) <= batch_size:
            batches[-1].extend(unit)
        else:
            batches.append(list(unit))
    return batches
