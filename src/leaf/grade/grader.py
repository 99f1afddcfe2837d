"""What a grader is: one file, one class that `@grader` puts in the table."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import ClassVar, Protocol, TypeVar

from leaf.errors import UsageError
from leaf.grade.judgement import Comparison, Judgement, Program
from leaf.recipe import ModelSection, Section
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

    def ask(
        self, model: ModelSection, prompts: Sequence[str], max_new_tokens: int
    ) -> "list[Answer | str]":
        """Return what a model answers greedily to each prompt, or why its request failed.

        What was answered is kept by model and prompt.
        """
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

    def asks(self) -> tuple[ModelSection, ...]:
        """Return the models that it asks by `Tools.ask`; they are part of what names its scores."""
        return ()

    def unfit(self, gold: str) -> str:
        """Say what a gold answer is that no answer could meet, as in `no number`; else ""."""
        return ""

    def gold_text(self, problem: Problem) -> str:
        """Say the gold answer as a model would: `leaf doctor` tries whether it is right."""
        return f"\\boxed{{{problem.answer}}}"

    def as_gold(self, problem: Problem, said: str) -> Problem:
        """Return a problem whose gold answer is what a model said (`Score.extracted`)."""
        return replace(problem, answer=said, golds=(), solution=said)


GRADERS: dict[str, type[Grader]] = {}
"""Every grader by its name; those that ship stand in the modules beside this one."""

_G = TypeVar("_G", bound=type[Grader])


def grader(cls: _G) -> _G:
    """Put a grader in the table, as a decorator of its class.

    Raises:
        UsageError: it is no grader, or its name is taken or no name; says which.
    """
    fault, name = "", getattr(cls, "name", None)
    if not isinstance(cls, type) or not issubclass(cls, Grader):
        fault = "`@grader` takes a subclass of `leaf.grade.Grader`"
    elif not isinstance(name, str) or not name.isidentifier():
        fault = f"`name` must be a word of letters, digits and _, but is {name!r}"
    elif not isinstance(cls.Options, type) or not issubclass(cls.Options, Section):
        fault = f"`Options` must be a subclass of `leaf.recipe.Section`, but is {cls.Options!r}"
    elif _ships(GRADERS.get(name)) and not _ships(cls):
        fault = f"a grader that ships is called `{name}`; give yours another name"
    if fault:
        what = getattr(cls, "__qualname__", repr(cls))
        raise UsageError(f"{getattr(cls, '__module__', '')}.{what}: {fault}")
    GRADERS[cls.name] = cls
    return cls


def _ships(cls: type[Grader] | None) -> bool:
    return cls is not None and cls.__module__.startswith("leaf.grade.")
