"""The kinds of results that models, graders and detectors make: what decides each, who makes it.

All are plain data that can be pickled: they say what to load, and `open` loads it, here or
elsewhere.
"""

import itertools
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from leaf.attribute import Detector, MeasuredModel
from leaf.attribute.checks import check_measured
from leaf.generate import ENGINES, Unanswered, open_engine
from leaf.generate.engine import Engine, in_order
from leaf.grade import GRADERS
from leaf.models import load
from leaf.models.files import Source
from leaf.models.prompt_format import prompt_format_of
from leaf.progress import Ticker, say
from leaf.recipe import GenerateSection, ModelSection
from leaf.records import Answer, Counterfactual, Problem, Sensitivity
from leaf.store.keys import digest, digest_of, plain, stage_key, user_code_digest
from leaf.store.runner import Shards, Worker
from leaf.store.work import About, Tokens, Work

T = TypeVar("T")

_LONGEST = 8192
"""Other limits up to which answers of the same question are looked for; names are cheap to make."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerWorker(Work[Problem, Answer]):
    """Answers problems by one model."""

    kind = "answers"
    record = Answer

    about: About
    section: ModelSection
    source: Source
    generate: GenerateSection
    drafts: Mapping[str, str] | None = None
    """Likely answers by problem id; they make it faster and change nothing."""

    @property
    def title(self) -> str:
        """What is asked, of whom."""
        return in_words(self.about)

    def settings(self, items: Sequence[Problem]) -> dict[str, Any]:
        """Return what decides a model's answers, besides the model and the problems."""
        section, generate = self.section, self.generate
        settings: dict[str, Any] = {
            "engine": section.engine or generate.engine,
            "max_new_tokens": generate.max_new_tokens,
            **spoken_to(section),
        }
        if generate.stop:
            settings["stop"] = generate.stop
        if generate.temperature > 0:
            settings |= generate.model_dump(include={"temperature", "top_p", "seed"})
        settings |= user_code_digest(ENGINES[settings["engine"]])
        if settings["engine"] == "openai" and section.server:
            settings["served"] = section.server.model_dump(include={"url", "model"})
            settings["served"] |= section.server.model_dump(
                include={"sampling"}, exclude_defaults=True
            )
        return settings

    def inputs(self, items: Sequence[Problem]) -> list[str]:
        """Return the model and what it is asked."""
        return [self.source.fingerprint, digest([asked(item, UNSEEN) for item in items])]

    def earlier_inputs(self, items: Sequence[Problem]) -> Iterator[list[str]]:
        """Yield the model and the whole problems, with whichever grader they had."""
        return ([self.source.fingerprint, digest(plain(each))] for each in _by_any_grader(items))

    def kindred_keys(self, items: Sequence[Problem], **besides: Any) -> Iterator[str]:
        """Yield what names the same answers within other limits, if these are but longer or cut.

        A sampled answer is where each has a stream of random numbers of its own.
        """
        settings = self._decided_by(items, besides)
        if self.generate.temperature > 0 and settings["engine"] != "hf":
            return
        inputs = self.inputs(items)
        for limit in range(_LONGEST, 0, -1):
            if limit != self.generate.max_new_tokens:
                within = settings | {"max_new_tokens": limit}
                yield stage_key(self.kind, self.version, within, inputs)

    def shares(self, record: Answer) -> bool:
        """Whether an answer ended by itself, within the limit here."""
        return not record.truncated and record.response_tokens <= self.generate.max_new_tokens

    def missing(self, record: Answer) -> str:
        """Return why a request failed, if it did."""
        return (record.failure or "") if isinstance(record, Unanswered) else ""

    def tokens(self, records: Sequence[Answer]) -> Tokens:
        """Return the tokens of all prompts and answers."""
        return Tokens(
            read=sum(answer.prompt_tokens for answer in records),
            written=sum(answer.response_tokens for answer in records),
        )

    @contextmanager
    def open(self, tick: Ticker) -> Iterator[Worker[Problem, Answer]]:
        """Load the model and its engine."""
        with open_engine(self.section, self.source, self.generate, tick) as engine:
            yield _Answerer(engine, self.drafts or {})
            spent = engine.effort
            if self.drafts is not None and spent.row_passes:
                say(f"{self.title}: {spent.tokens} tokens in {spent.row_passes} passes")


def spoken_to(section: ModelSection) -> dict[str, Any]:
    """Return how a model is loaded and spoken to, as it names a result."""
    template = {"template": section.template} if section.template else {}
    return {"dtype": section.dtype, "system": section.system, **template}


@contextmanager
def measured_model(
    section: ModelSection,
    source: Source,
    token_budget: int,
    tick: Ticker,
    places: Mapping[str, Sequence[tuple[int, int]]] | None = None,
) -> Iterator[MeasuredModel]:
    """Load a model that is measured, until the block ends; arguments as of `MeasuredModel`."""
    with load.loaded(section, source) as loaded:
        yield MeasuredModel(
            loaded=loaded,
            chat=prompt_format_of(loaded.tokenizer, section),
            token_budget=token_budget,
            tick=tick,
            places=places,
        )


_JUDGED = {"answer", "golds", "grader", "tolerance", "tests"}
"""Fields of a problem that grading alone looks at: with another grader nothing else changes."""

UNSEEN = _JUDGED | {"solution", "base", "distractors", "protected"}
"""Those that no model sees that answers."""


def asked(problem: Problem, without: Collection[str]) -> dict[str, Any]:
    """Return what names a problem in a key, but for some of its fields."""
    return {name: value for name, value in plain(problem).items() if name not in without}


def _by_any_grader(problems: Sequence[Problem]) -> Iterator[list[Problem]]:
    """Yield the problems as they are, then with each other grader: earlier keys held it."""
    yield list(problems)
    for grader in GRADERS:
        if any(problem.grader != grader for problem in problems):
            yield [replace(problem, grader=grader) for problem in problems]


def in_words(about: About) -> str:
    """Say whom what was asked: `student answers`, `gsm8k: kd`, `student on changed questions`."""
    if about.asked:
        return f"{about.asked}: {about.role}" if about.role else about.asked
    if not about.changed:
        return f"{about.role} answers"
    texts = "responses" if about.level == "response" else "questions"
    of = {
        "transplanted": f"{texts} with a transplant",
        "injected": f"{texts} with an injection",
        "placebo": f"placebos of changed {texts}",
        "sampled": f"changed {texts}, sampled",
    }.get(about.changed, f"changed {texts}")
    # The cuts of a prompt of one's own come from the caller, not from a detector of the run.
    whose = f" ({about.detector})" if about.detector else ""
    return f"{about.role} on {of}{whose}"


@dataclass(frozen=True, slots=True)
class _Answerer:
    """An engine at work: those who end in one shard make room for those of the next."""

    engine: Engine
    drafts: Mapping[str, str]

    def __call__(self, problems: Sequence[Problem]) -> list[Answer]:
        return in_order(self.engine.stream(self._asked(problems)))

    def stream(self, shards: Shards[Problem]) -> Generator[tuple[int, list[Answer]], None, None]:
        places: dict[int, tuple[int, int]] = {}
        answers: dict[int, dict[int, Answer]] = {}
        sizes: dict[int, int] = {}

        def asked() -> Iterator[tuple[Problem, str]]:
            numbers = itertools.count()
            for shard, problems in shards:
                answers[shard], sizes[shard] = {}, len(problems)
                for at, problem in enumerate(self._asked(problems)):
                    places[next(numbers)] = shard, at
                    yield problem

        for number, answer in self.engine.stream(asked()):
            shard, at = places.pop(number)
            answers[shard][at] = answer
            if len(answers[shard]) == sizes[shard]:
                yield shard, in_order(answers.pop(shard).items())

    def _asked(self, problems: Sequence[Problem]) -> Iterator[tuple[Problem, str]]:
        return ((problem, self.drafts.get(problem.id, "")) for problem in problems)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreWorker(Work[tuple[Problem, str], Sensitivity]):
    """Scores questions with their references by one detector under one model."""

    kind = "sensitivities"
    record = Sensitivity

    about: About
    section: ModelSection
    source: Source
    detector: Detector
    token_budget: int
    places: Mapping[str, Sequence[tuple[int, int]]] | None = None
    """Problem id to the pieces that the detector chose to measure; None: all."""
    opening: str = ""
    """What the template writes before a response, where it is not what a question ends with."""

    @property
    def title(self) -> str:
        """What is measured in which model."""
        measured = self.detector.measurement or self.detector.name
        return f"{self.about.role} {measured}{self.about.in_response}"

    def settings(self, items: Sequence[tuple[Problem, str]]) -> dict[str, Any]:
        """Return the detector with its options, and how the model is loaded and spoken to."""
        return {
            "detector": self.detector.name,
            **spoken_to(self.section),
            **({"opening": self.opening} if self.opening else {}),
            **self.detector.measure_key(),
            **user_code_digest(type(self.detector)),
        }

    def inputs(self, items: Sequence[tuple[Problem, str]]) -> list[str]:
        """Return the model, the pairs, and the places where only some are measured."""
        return self._inputs([[asked(problem, _JUDGED), reference] for problem, reference in items])

    def earlier_inputs(self, items: Sequence[tuple[Problem, str]]) -> Iterator[list[str]]:
        """Yield the same with whole problems, with whichever grader they had."""
        references = [reference for _, reference in items]
        for problems in _by_any_grader([problem for problem, _ in items]):
            yield self._inputs(
                [list(pair) for pair in zip(plain(problems), references, strict=True)]
            )

    def _inputs(self, pairs: list[list[Any]]) -> list[str]:
        inputs = [self.source.fingerprint, digest(pairs)]
        if self.places is None:
            return inputs
        return [*inputs, digest(plain([self.places[pair[0]["id"]] for pair in pairs]))]

    def tokens(self, records: Sequence[Sensitivity]) -> Tokens | None:
        """Return the tokens of all that was scored; None: not counted, as in older stores."""
        read = sum(one.fed for one in records)
        return Tokens(read=read) if read else None

    @contextmanager
    def open(self, tick: Ticker) -> Iterator[Worker[tuple[Problem, str], Sensitivity]]:
        """Load the model."""
        opened = measured_model(self.section, self.source, self.token_budget, tick, self.places)
        with opened as model:

            def measure(part: Sequence[tuple[Problem, str]]) -> list[Sensitivity]:
                problems = [problem for problem, _ in part]
                references = [reference for _, reference in part]
                measured = self.detector.measure(model, problems, references)
                return check_measured(self.detector.name, problems, measured)

            yield measure


@dataclass(frozen=True, kw_only=True, slots=True)
class CutWorker(Work[T, Counterfactual]):
    """Cuts ranked questions."""

    kind = "counterfactuals"
    record = Counterfactual
    travels = False

    about: About
    decided_by: Mapping[str, Any]
    """What decides the cuts, besides the items."""
    cut: Callable[[Sequence[T]], list[Counterfactual]]

    @property
    def title(self) -> str:
        """By whose ranking is cut."""
        return f"pruning by {self.about.detector}{self.about.in_response}"

    def settings(self, items: Sequence[T]) -> Mapping[str, Any]:
        """Return what decides the cuts."""
        return self.decided_by

    def inputs(self, items: Sequence[T]) -> list[str]:
        """Return the rankings."""
        return [digest_of(plain(item) for item in items)]

    def open(self, tick: Ticker) -> AbstractContextManager[Worker[T, Counterfactual]]:
        """Nothing needs to be loaded."""
        return nullcontext(self.cut)
