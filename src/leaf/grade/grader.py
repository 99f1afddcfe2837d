"""What a grader is: one file, one class that `@grader` puts in the table."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar, Protocol, TypeVar

from leaf.grade.judgement import Comparison, Judgement, Program
from leaf.recipe import Section
from leaf.records import Answer, Problem

T = TypeVar("T")


class Tools(Protocol):
    """What graders compute with. All of it ends when grading ends."""

    def settle(self, verdicts: Sequence[Judgement | Comparison | Program]) -> list[Judgement]:
        """Compare and run what needs other processes, side by side; the order is kept."""
        ...

    def keep(self, key: object, open_it: Callable[[], AbstractContextManager[T]]) -> T:
        """Return what was opened under a key; it stays open, such as a model's engine."""
        ...


class Grader:
    """Judges answers against gold answers.

    A grader is made once for a name and its options, and sees only answers that have a text. Write
    `judge` where each answer is judged by itself, else `grade_many`:

        @grader
        class Brief(Grader):
            name = "brief"

            class Options(Section):
                words: int = Field(10, description="most words of a right answer")

            options: Options

            def judge(self, problem, answer):
                return decided(len(answer.text.split()) <= self.options.words, answer.text)
    """

    name: ClassVar[str]
    """What a recipe calls it."""

    Options: ClassVar[type[Section]] = Section
    """Keys that a recipe may give it, as `data.grader.<name>.<key>`."""

    options: Section

    def __init__(self, options: Section | None = None) -> None:
        self.options = self.Options() if options is None else options

    def judge(self, problem: Problem, answer: Answer) -> Judgement | Comparison | Program:
        """Judge one answer, or say what must be compared or run for that."""
        raise NotImplementedError(f"grader `{self.name}` needs `judge` or `grade_many`")

    def grade_many(
        self, problems: Sequence[Problem], answers: Sequence[Answer], tools: Tools
    ) -> list[Judgement]:
        """Judge `answers[i]` against `problems[i]`; the order is kept."""
        pairs = zip(problems, answers, strict=True)
        return tools.settle([self.judge(problem, answer) for problem, answer in pairs])

    @classmethod
    def gold_text(cls, problem: Problem) -> str:
        """Say the gold answer as a model would: `leaf doctor` tries whether it is right."""
        return f"\\boxed{{{problem.answer}}}"


GRADERS: dict[str, type[Grader]] = {}
"""Every grader by its name; those that ship stand in the modules beside this one."""

_G = TypeVar("_G", bound=type[Grader])


def grader(cls: _G) -> _G:
    """Put a grader in the table, as a decorator of its class."""
    GRADERS[cls.name] = cls
    return cls
