"""What an engine is, what its answers took, and what engines have in common."""

import hashlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from leaf.errors import ChatError, MissingError
from leaf.models.prompt_format import PromptFormat
from leaf.progress import Ticker
from leaf.recipe import GenerateSection
from leaf.records import Answer, Problem


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """What answers took; adds up with `+`."""

    answers: int = 0
    tokens: int = 0
    """Tokens said, end-of-turn tokens included."""
    passes: int = 0
    """Forward passes of the model."""
    row_passes: int = 0
    """Passes that an answer waited for, over all answers: their mean is passes a text."""
    proposed: int = 0
    """Draft tokens that a pass checked."""

    def __add__(self, other: "Effort") -> "Effort":
        return Effort(
            answers=self.answers + other.answers,
            tokens=self.tokens + other.tokens,
            passes=self.passes + other.passes,
            row_passes=self.row_passes + other.row_passes,
            proposed=self.proposed + other.proposed,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Unanswered(Answer):
    """Stands for an answer whose request failed: it is never kept, and asked for again."""


class Engine(Protocol):
    """Something that answers problems with one model, greedily, under its own chat template.

    A request that failed gives an `Unanswered`. An answer with a `failure` is another thing: the
    model cannot answer that problem, however often it is asked (its prompt is too long).
    """

    @property
    def effort(self) -> Effort:
        """What all its answers so far took."""
        ...

    def answer(
        self, problems: Sequence[Problem], drafts: Sequence[str] | None = None
    ) -> list[Answer]:
        """Answer each problem; the result has the order and length of `problems`.

        A response that is begun (`Problem.response_prefix`) is continued; the answer's text is the
        whole of it. `drafts` are likely answers ("" for none), which may only make it faster.
        """
        ...

    def stream(self, asked: Iterable[tuple[Problem, str]]) -> Iterator[tuple[int, Answer]]:
        """Answer problems, each with its draft, that are asked for as there is room for them.

        Yields the number of the problem (the first is 0) and its answer, in any order.
        """
        ...


class WholeAnswers:
    """An engine for those who need every answer that they ask for, such as a judge."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def effort(self) -> Effort:
        """What all answers so far took."""
        return self._engine.effort

    def answer(
        self, problems: Sequence[Problem], drafts: Sequence[str] | None = None
    ) -> list[Answer]:
        """Answer each problem.

        Raises:
            MissingError: requests failed; nothing else is returned, or it would become a verdict.
        """
        answers = self._engine.answer(problems, drafts)
        failures = [answer.failure for answer in answers if isinstance(answer, Unanswered)]
        if failures:
            are = "request" if len(failures) == 1 else "requests"
            raise MissingError(
                f"{len(failures)} of {len(answers)} {are} failed, the last: {failures[-1]}; run "
                "the same command again"
            )
        return answers

    def stream(self, asked: Iterable[tuple[Problem, str]]) -> Iterator[tuple[int, Answer]]:
        """Answer problems; what failed is `Unanswered`."""
        return self._engine.stream(asked)


class PromptEngine(ABC):
    """An engine in this process that is fed prompt tokens, many prompts in a call, and no drafts.

    Prompts are tokenised here, by the chat template that all stages share.
    """

    part: ClassVar[int]
    """Problems that a stream takes in one call."""

    def __init__(
        self,
        prompt_format: PromptFormat,
        section: GenerateSection,
        *,
        context: int,
        tick: Ticker | None = None,
    ) -> None:
        """Prepare answers.

        Args:
            prompt_format: The model's template.
            section: How it answers.
            context: Most tokens, prompt and answer together.
            tick: Told of finished answers.
        """
        self.effort = Effort()
        """What all answers so far took."""
        self._prompt_format = prompt_format
        self._section = section
        self._context = context
        self._tick = tick

    def answer(
        self, problems: Sequence[Problem], drafts: Sequence[str] | None = None
    ) -> list[Answer]:
        """Answer each problem; drafts are passed over.

        A prompt without room in the model's context fails by itself, and so does one that the
        template changes. A response that is begun is continued, and the answer's text is the whole
        of it.
        """
        prompts = [prompt_of(problem, self._prompt_format, self._context) for problem in problems]
        pairs = zip(problems, prompts, strict=True)
        fitting = [(problem, ids) for problem, ids in pairs if not isinstance(ids, Answer)]
        completed = iter(self._complete(fitting) if fitting else ())
        answers = [ids if isinstance(ids, Answer) else next(completed) for ids in prompts]
        if self._tick:
            self._tick(len(answers))
        tokens = sum(answer.response_tokens for answer in answers)
        self.effort += Effort(answers=len(answers), tokens=tokens)
        return answers

    def stream(self, asked: Iterable[tuple[Problem, str]]) -> Iterator[tuple[int, Answer]]:
        """Answer problems as `answer` does, `part` of them in one call."""
        return by_parts(self.answer, asked, self.part)

    @abstractmethod
    def _complete(self, prompts: Sequence[tuple[Problem, list[int]]]) -> Iterable[Answer]:
        """Answer prompts that fit, in their order; there is at least one."""

    def _limit(self, prompt: Sequence[int]) -> int:
        """Return the most tokens of the answer to a prompt."""
        return min(self._section.max_new_tokens, self._context - len(prompt))


def by_parts(
    answer: Callable[[Sequence[Problem]], list[Answer]],
    asked: Iterable[tuple[Problem, str]],
    size: int,
) -> Iterator[tuple[int, Answer]]:
    """Stream the answers of an engine without drafts that takes `size` problems at a time."""
    problems = (problem for problem, _ in asked)
    numbers = itertools.count()
    while part := list(itertools.islice(problems, size)):
        yield from ((next(numbers), each) for each in answer(part))


def in_order(answers: Iterable[tuple[int, Answer]]) -> list[Answer]:
    """Return numbered answers by their numbers."""
    return [answer for _, answer in sorted(answers, key=lambda pair: pair[0])]


def until_stop(answer: Answer, stops: Sequence[str], begun: str = "") -> Answer:
    """Return an answer up to the first of some texts behind what was `begun`: there it is whole."""
    places = [answer.text.find(stop, len(begun)) for stop in stops]
    first = min((place for place in places if place >= 0), default=None)
    if first is None:
        return answer
    return replace(answer, text=answer.text[:first], truncated=False)


def failed(problem_id: str, reason: str, *, prompt_tokens: int = 0) -> Answer:
    """Return what stands for an answer that the model cannot give; the reason is one line."""
    return Answer(
        problem_id=problem_id,
        text="",
        prompt_tokens=prompt_tokens,
        response_tokens=0,
        truncated=False,
        failure=reason,
    )


def unanswered(problem_id: str, reason: str) -> Unanswered:
    """Return what stands for an answer whose request failed, with a reason of one line."""
    return Unanswered(
        problem_id=problem_id,
        text="",
        prompt_tokens=0,
        response_tokens=0,
        truncated=False,
        failure=reason,
    )


def prompt_of(problem: Problem, prompt_format: PromptFormat, context: int) -> list[int] | Answer:
    """Return a prompt's tokens, or what stands for an answer where it cannot be asked."""
    try:
        ids = prompt_format.prompt_ids(problem.content, problem.response_prefix, problem.turns)
    except ChatError as error:
        return failed(problem.id, str(error))
    return ids if len(ids) < context else too_long(problem, ids, context)


def too_long(problem: Problem, prompt: Sequence[int], context: int) -> Answer:
    """Return the answer to a prompt that leaves no room for one token in `context` tokens."""
    reason = f"prompt longer than the model's context of {context} tokens"
    return failed(problem.id, reason, prompt_tokens=len(prompt))


def seed_of(seed: int, problem_id: str) -> int:
    """Return the seed of one problem's sampled answer, in [0, 2^31), from the recipe's seed.

    It is the same in every process and on every machine, whatever else is asked and in which order;
    31 bits are what every engine takes.
    """
    digest = hashlib.sha256(f"{seed}\n{problem_id}".encode()).digest()
    return int.from_bytes(digest[:4]) >> 1
