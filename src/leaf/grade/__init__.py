"""Graders: whether an answer is right, wrong or not gradable. One file each, beside this one."""

import json
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, TypeVar

from leaf.errors import DataError, LeafError
from leaf.grade.final import without_reasoning
from leaf.grade.grader import GRADERS, Grader, Tools, grader
from leaf.grade.judgement import REASONING_CUT, Comparison, Judgement, Program, Unjudged, ungradable
from leaf.grade.pool import ComparisonPool
from leaf.grade.sandbox import SandboxPool
from leaf.recipe import GradeSection, ModelSection
from leaf.records import Answer, Problem, Score, Tests

T = TypeVar("T")

Pair = tuple[Problem, str, str]
"""A problem and two final answers to it, as a grader found them (`Score.extracted`)."""

# What is in the table says which files there are, so that a new grader is its file alone.
for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
# One may import another: the order is that of their names all the same.
_graders = sorted(GRADERS.items())
GRADERS.clear()
GRADERS.update(_graders)

__all__ = [
    "GRADERS",
    "Ask",
    "Grader",
    "Graders",
    "Tools",
    "Unscored",
    "check_sandbox",
    "grader",
    "grader_of",
    "open_graders",
]


Ask = Callable[[ModelSection, Sequence[str], int], "list[Answer | str]"]
"""Asks models, as `Tools.ask`; `leaf.pipeline.grading` has one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unscored(Score):
    """Stands for a score whose request failed: it is never kept, and asked for again."""


@contextmanager
def open_graders(section: GradeSection, ask: Ask | None = None) -> "Iterator[Graders]":
    """Give what judges each problem by its own `Problem.grader`, until the block ends.

    Processes for symbolic comparisons, and sandboxes, start when the first one is needed and end
    with the block.

    Args:
        section: Limits.
        ask: Asks the models behind graders; None: a grader with one is refused.
    """
    with ExitStack() as stack:
        yield Graders(section, stack, ask)


def check_sandbox(problems: Sequence[Problem]) -> None:
    """Run a program where problems have tests, so that a missing sandbox shows before long work.

    Raises:
        SandboxError: programs cannot be run safely here; names what to install.
    """
    if any(problem.tests is not None for problem in problems):
        with SandboxPool(time_limit=30.0, memory=2**30, workers=1) as sandboxes:
            sandboxes.run([Program(source="one = 1", tests=Tests(program="assert one == 1"))])


def grader_of(problem: Problem) -> Grader:
    """Return the grader of a problem, with the options that it has for it.

    Raises:
        DataError: there is no such grader.
    """
    if problem.grader not in GRADERS:
        raise DataError(
            f"problem {problem.id}: grader `{problem.grader}` is unknown; "
            f"there are: {', '.join(GRADERS)}"
        )
    kind = GRADERS[problem.grader]
    return kind(kind.Options.model_validate(json.loads(problem.grader_options or "{}")))


class Graders:
    """Every grader, each made once for its options, with what they compute with (`Tools`)."""

    def __init__(self, section: GradeSection, stack: ExitStack, ask: Ask | None = None) -> None:
        self._stack = stack
        self._ask = ask
        self._kept: dict[object, Any] = {}
        self._made: dict[tuple[str, str], Grader] = {}
        self._pool = stack.enter_context(
            ComparisonPool(time_limit=section.time_limit, workers=section.workers)
        )
        self._sandboxes = stack.enter_context(
            SandboxPool(
                time_limit=section.code_time_limit,
                memory=section.code_memory * 2**20,
                workers=section.workers,
            )
        )

    def grade(self, problems: Sequence[Problem], answers: Sequence[Answer]) -> list[Score]:
        """Judge `answers[i]` against `problems[i]`; answers to one grader are judged together.

        Raises:
            DataError: a problem names a grader that there is not.
        """
        answers = [_after_reasoning(answer) for answer in answers]
        judgements = [_unsaid(answer) for answer in answers]
        by_grader: dict[Grader, list[int]] = {}
        for index, problem in enumerate(problems):
            grader = self._grader(problem)
            if judgements[index] is None:
                by_grader.setdefault(grader, []).append(index)
        for grader, indices in by_grader.items():
            judged = grader.grade_many(
                [problems[index] for index in indices], [answers[index] for index in indices], self
            )
            _check(grader, judged, len(indices))
            for index, judgement in zip(indices, judged, strict=True):
                judgements[index] = judgement
        return [
            (Unscored if isinstance(judgement, Unjudged) else Score)(
                problem_id=problem.id,
                outcome=judgement.outcome,
                extracted=judgement.extracted,
                reason=judgement.reason,
                measures=judgement.measures,
            )
            for problem, judgement in zip(problems, judgements, strict=True)
            if judgement is not None
        ]

    def alike(self, pairs: Sequence[Pair]) -> list[bool]:
        """Say of each pair whether its two answers are the same, be they right or wrong.

        They are when each of them is right where the other is the gold answer: `1,000` and `1000.0`
        for `numbers`; not `Paris` and `Paris, Texas` for `qa`, which finds the one in the other.
        """
        same = [one == other for _, one, other in pairs]
        unequal = [at for at, is_same in enumerate(same) if not is_same]
        there = self._meets([pairs[at] for at in unequal])
        half = [at for at, right in zip(unequal, there, strict=True) if right]
        turned = [(problem, other, one) for problem, one, other in (pairs[at] for at in half)]
        for at, right in zip(half, self._meets(turned), strict=True):
            same[at] = right
        return same

    def _meets(self, pairs: Sequence[Pair]) -> list[bool]:
        """Say whether the first of each pair is right where the second is the gold answer."""
        golds, answers = [], []
        for problem, said, gold in pairs:
            grader = self._grader(problem)
            text = grader.gold_text(grader.as_gold(problem, said))
            golds.append(grader.as_gold(problem, gold))
            answers.append(
                Answer(
                    problem_id=problem.id,
                    text=text,
                    prompt_tokens=0,
                    response_tokens=0,
                    truncated=False,
                )
            )
        return [score.right for score in self.grade(golds, answers)]

    def settle(self, verdicts: Sequence[Judgement | Comparison | Program]) -> list[Judgement]:
        """Compare and run what needs other processes, side by side; the order is kept."""
        compared = iter(self._pool.run([v for v in verdicts if isinstance(v, Comparison)]))
        ran = iter(self._sandboxes.run([v for v in verdicts if isinstance(v, Program)]))
        return [
            next(compared)
            if isinstance(verdict, Comparison)
            else next(ran)
            if isinstance(verdict, Program)
            else verdict
            for verdict in verdicts
        ]

    def keep(self, key: object, open_it: Callable[[], AbstractContextManager[T]]) -> T:
        """Return what was opened under a key; it stays open until the block ends."""
        if key not in self._kept:
            self._kept[key] = self._stack.enter_context(open_it())
        kept: T = self._kept[key]
        return kept

    def ask(
        self, model: ModelSection, prompts: Sequence[str], max_new_tokens: int
    ) -> list[Answer | str]:
        """Ask a model behind a grader.

        Raises:
            LeafError: these graders were opened without a way to ask one.
        """
        if self._ask is None:
            raise LeafError(
                f"{model.model}: open graders by `leaf.pipeline.grading` to ask a model"
            )
        return self._ask(model, prompts, max_new_tokens)

    def _grader(self, problem: Problem) -> Grader:
        made = problem.grader, problem.grader_options
        if made not in self._made:
            self._made[made] = grader_of(problem)
        return self._made[made]


def _check(grader: Grader, judged: Any, wanted: int) -> None:
    """Refuse what is not one judgement an answer: a grader may be anybody's own."""
    fault = ""
    if not isinstance(judged, Sequence) or len(judged) != wanted:
        count = len(judged) if isinstance(judged, Sequence) else f"{judged!r:.60}"
        fault = f"must return one judgement an answer, {wanted} here, but returned {count}"
    elif wrong := [one for one in judged if not isinstance(one, Judgement)]:
        fault = f"must return a `Judgement` (as `decided` makes it), but returned {wrong[0]!r:.60}"
    if fault:
        raise LeafError(f"grader `{grader.name}`: {fault}")


def _after_reasoning(answer: Answer) -> Answer:
    """Return an answer without what its model thought; one that is nothing else has failed."""
    said = without_reasoning(answer.text)
    if said == answer.text:
        return answer
    nothing = REASONING_CUT if answer.truncated else "nothing said after its reasoning"
    return replace(answer, text=said, failure=answer.failure or (None if said else nothing))


def _unsaid(answer: Answer) -> Judgement | None:
    """Return the judgement of an answer that says nothing, else None."""
    if answer.failure is not None:
        return ungradable(answer.failure)
    return None if answer.text.strip() else ungradable("empty answer")
