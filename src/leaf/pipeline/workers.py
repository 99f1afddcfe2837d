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
from leaf.grade import GRADERS, open_graders
from leaf.models import load
from leaf.models.files import Source
from leaf.models.prompt_format import prompt_format_of
from leaf.progress import Ticker, say
from leaf.recipe import GenerateSection, GradeSection, ModelSection
from leaf.records import Answer, Counterfactual, Problem, Score, Sensitivity
from leaf.store.keys import digest, digest_of, plain, user_code_digest
from leaf.store.runner import Shards, Worker
from leaf.store.work import About, Work

T = TypeVar("T")


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
        return _asked(self.about)

    def settings(self, items: Sequence[Problem]) -> dict[str, Any]:
        """Return what decides a model's answers, besides the model and the problems."""
        section, generate = self.section, self.generate
        settings: dict[str, Any] = {
            "engine": section.engine or generate.engine,
            "max_new_tokens": generate.max_new_tokens,
            "dtype": section.dtype,
            "system": section.system,
        }
        if section.template:
            settings["template"] = section.template
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

    def missing(self, record: Answer) -> str:
        """Return why a request failed, if it did."""
        return (record.failure or "") if isinstance(record, Unanswered) else ""

    @contextmanager
    def open(self, tick: Ticker) -> Iterator[Worker[Problem, Answer]]:
        """Load the model and its engine."""
        with open_engine(self.section, self.source, self.generate, tick) as engine:
            yield _Answerer(engine, self.drafts or {})
            spent = engine.effort
            if self.drafts is not None and spent.row_passes:
                say(f"{self.title}: {spent.tokens} tokens in {spent.row_passes} passes")


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


def _asked(about: About) -> str:
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
class GradeWorker(Work[tuple[Problem, Answer], Score]):
    """Judges answers; apart from these, so that a new grader needs no new answers."""

    kind = "scores"
    version = 5
    """2 reads more notations of mathematics than 1 did, 3 a language below its fence, 4 numbers and
    mathematics as people write them in several languages; it passes thoughts and run-ons over. 5 is
    told by no number that an answer denies (`not 5`), marked or not."""
    record = Score
    unit = "answers"
    travels = False

    about: About
    grade: GradeSection
    answers: str
    """Key of the answers."""

    @property
    def title(self) -> str:
        """Whose answers are graded."""
        return f"grading {_asked(self.about)}"

    def settings(self, items: Sequence[tuple[Problem, Answer]]) -> dict[str, Any]:
        """Return the limits that a judgement can run into, and the code of a user's graders."""
        settings: dict[str, Any] = {"time_limit": self.grade.time_limit}
        if any(problem.tests for problem, _ in items):
            settings |= self.grade.model_dump(include={"code_time_limit", "code_memory"})
        for name in {problem.grader for problem, _ in items} & GRADERS.keys():
            code = user_code_digest(GRADERS[name])
            settings |= {f"{key} of {name}": value for key, value in code.items()}
        if any(problem.grader_options for problem, _ in items):
            settings["options"] = digest([problem.grader_options for problem, _ in items])
        return settings

    def inputs(self, items: Sequence[tuple[Problem, Answer]]) -> list[str]:
        """Return the answers and the problems, which hold what is right."""
        return [self.answers, digest(plain([problem for problem, _ in items]))]

    @contextmanager
    def open(self, tick: Ticker) -> Iterator[Worker[tuple[Problem, Answer], Score]]:
        """Open the graders."""
        with open_graders(self.grade) as grader:

            def work(pairs: Sequence[tuple[Problem, Answer]]) -> list[Score]:
                scores = grader.grade([pair[0] for pair in pairs], [pair[1] for pair in pairs])
                tick(len(pairs))
                return scores

            yield work


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
            "dtype": self.section.dtype,
            "system": self.section.system,
            **({"template": self.section.template} if self.section.template else {}),
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

    @contextmanager
    def open(self, tick: Ticker) -> Iterator[Worker[tuple[Problem, str], Sensitivity]]:
        """Load the model."""
        with load.loaded(self.section, self.source) as loaded:
            model = MeasuredModel(
                loaded=loaded,
                chat=prompt_format_of(loaded.tokenizer, self.section),
                token_budget=self.token_budget,
                tick=tick,
                places=self.places,
            )

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
