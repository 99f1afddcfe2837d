"""Graders: whether an answer is right, wrong or not gradable. One file a scorer, one line below."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from leaf.errors import DataError
from leaf.grade import code, math, numbers, olympiad, qa
from leaf.grade.judgement import Comparison, Judgement, Program, Scorer, ungradable
from leaf.grade.pool import ComparisonPool
from leaf.grade.sandbox import SandboxPool
from leaf.recipe import GradeSection
from leaf.records import Answer, Problem, Score, Tests

if TYPE_CHECKING:  # it imports torch, which the comparing processes must not load
    from leaf.grade.grader import Grader

GRADERS: dict[str, Scorer] = {
    "numbers": numbers.judge,
    "math": math.judge,
    "olympiad": olympiad.judge,
    "qa": qa.judge,
    "qa_exact": qa.judge_exact,
    "code": code.judge,
}


@contextmanager
def open_graders(section: GradeSection) -> "Iterator[Grader]":
    """Give a grader that judges each problem by its own `Problem.grader`, until the block ends.

    Processes for symbolic comparisons, and sandboxes, start when the first one is needed and end
    with the block.
    """
    with (
        ComparisonPool(time_limit=section.time_limit, workers=section.workers) as pool,
        SandboxPool(
            time_limit=section.code_time_limit,
            memory=section.code_memory * 2**20,
            workers=section.workers,
        ) as sandboxes,
    ):
        yield _Graders(pool, sandboxes)


def check_sandbox(problems: Sequence[Problem]) -> None:
    """Run a program where problems have tests, so that a missing sandbox shows before long work.

    Raises:
        SandboxError: programs cannot be run safely here; names what to install.
    """
    if any(problem.tests is not None for problem in problems):
        with SandboxPool(time_limit=30.0, memory=2**30, workers=1) as sandboxes:
            sandboxes.run([Program(source="one = 1", tests=Tests(program="assert one == 1"))])


class _Graders:
    def __init__(self, pool: ComparisonPool, sandboxes: SandboxPool) -> None:
        self._pool = pool
        self._sandboxes = sandboxes

    def grade(self, problems: Sequence[Problem], answers: Sequence[Answer]) -> list[Score]:
        """Judge `answers[i]` against `problems[i]`, what needs other processes side by side."""
        first = [_judge(problem, answer) for problem, answer in zip(problems, answers, strict=True)]
        compared = iter(self._pool.compare([one for one in first if isinstance(one, Comparison)]))
        ran = iter(self._sandboxes.run([one for one in first if isinstance(one, Program)]))
        judgements = [
            next(compared)
            if isinstance(one, Comparison)
            else next(ran)
            if isinstance(one, Program)
            else one
            for one in first
        ]
        return [
            Score(
                problem_id=problem.id,
                outcome=judgement.outcome,
                extracted=judgement.extracted,
                reason=judgement.reason,
                measures=judgement.measures,
            )
            for problem, judgement in zip(problems, judgements, strict=True)
        ]


def _judge(problem: Problem, answer: Answer) -> Judgement | Comparison | Program:
    if problem.grader not in GRADERS:
        raise DataError(
            f"problem {problem.id}: grader `{problem.grader}` is unknown; "
            f"there are: {', '.join(GRADERS)}"
        )
    if answer.failure is not None:
        return ungradable(answer.failure)
    if not answer.text.strip():
        return ungradable("empty answer")
    return GRADERS[problem.grader](problem, answer)
