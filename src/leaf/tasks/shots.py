r"""Few-shot examples: questions with their solutions that stand before each question.

The same examples come before every question (but for one that is the question itself), drawn by
`data.shots.seed`. As text they stand in `before`:

    <question 1><after>
    <solution 1>

    <question 2><after>
    <solution 2>

    <the question>

As turns they are a conversation: the user asks, the assistant solves; a system turn stays first.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from leaf.errors import DataError
from leaf.recipe import DataSection, ShotsSection
from leaf.records import Problem, Turn


def with_shots(
    problems: Sequence[Problem],
    shots: ShotsSection,
    section: DataSection,
    read: Callable[[DataSection], list[Problem]],
) -> list[Problem]:
    """Put `shots.count` solved examples before each problem.

    Args:
        problems: As they are asked, with `before` and `after`.
        shots: Which examples, and how.
        section: Where the problems come from, and the examples where `shots` names no place.
        read: Reads the problems of a section, as they are asked.

    Raises:
        DataError: there are too few examples with a solution.
    """
    own = {
        name: value
        for name in ("path", "name", "split", "columns")
        if (value := getattr(shots, name)) is not None
    }
    plain = {"shots": None, "paraphrase": None, "limit": None, "shuffle": False}
    solved = [one for one in read(section.model_copy(update=plain | own)) if one.solution.strip()]
    # One more, for the question that is among them.
    drawn = random.Random(shots.seed).sample(solved, min(shots.count + 1, len(solved)))
    return [_before(problem, drawn, shots, section) for problem in problems]


def _before(
    problem: Problem, drawn: Sequence[Problem], shots: ShotsSection, section: DataSection
) -> Problem:
    others = [one for one in drawn if one.content != problem.content]
    if len(others) < shots.count:
        raise DataError(
            f"{shots.path or section.path or section.task}: data.shots.count is {shots.count}, but "
            f"only {len(others)} other records have a solution (columns.solution names it)"
        )
    examples = others[: shots.count]
    if shots.layout == "text":
        text = "".join(f"{one.content}\n{one.solution}\n\n" for one in examples)
        return replace(problem, before=text + problem.before)
    turns = [
        turn
        for one in examples
        for turn in (
            Turn(role="user", text=one.content),
            Turn(role="assistant", text=one.solution),
        )
    ]
    system = [turn for turn in problem.turns[:1] if turn.role == "system"]
    return replace(problem, turns=(*system, *turns, *problem.turns[len(system) :]))
