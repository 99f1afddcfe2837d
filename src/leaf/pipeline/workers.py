"""The work of the stages as plain data, so that a worker can be opened here or elsewhere.

A job can be pickled: it says what to load, and `open` loads it.
"""

import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from leaf.attribute import DETECTORS
from leaf.generate import open_engine
from leaf.generate.engine import Engine, in_order
from leaf.grade import open_graders
from leaf.models import load
from leaf.models.files import Source
from leaf.models.prompt_format import prompt_format_of
from leaf.progress import Ticker, say
from leaf.recipe import AttributeSection, GenerateSection, GradeSection, ModelSection
from leaf.records import Answer, Problem, Score, Sensitivity
from leaf.store.runner import Shards, Worker


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerWorker:
    """Answers problems by one model."""

    section: ModelSection
    source: Source
    generate: GenerateSection
    label: str
    """What is computed, for people."""
    drafts: Mapping[str, str] | None = None
    """Likely answers by problem id; they make it faster and change nothing."""

    @contextmanager
    def open(self, tick: Ticker) -> Iterator[Worker[Problem, Answer]]:
        """Load the model and its engine."""
        with open_engine(self.section, self.source, self.generate, tick) as engine:
            yield _Answerer(engine, self.drafts or {})
            spent = engine.effort
            if self.drafts is not None and spent.row_passes:
                say(f"{self.label}: {spent.tokens} tokens in {spent.row_passes} passes")


@dataclass(frozen=True, slots=True)
class _Answerer:
    """An engine at work: those who end in one shard make room for those of the next."""

    engine: Engine
    drafts: Mapping[str, str]

    def __call__(self, problems: Sequence[Problem]) -> list[Answer]:
        return in_order(self.engine.stream(self._asked(problems)))

    def stream(self, shards: Shards[Problem]) -> Generator[tuple[int, list[Answer]], None, None]:
        places: dict[int, tuple[int, int]] = {}
        found: dict[int, dict[int, Answer]] = {}
        sizes: dict[int, int] = {}

        def asked() -> Iterator[tuple[Problem, str]]:
            numbers = itertools.count()
            for shard, problems in shards:
                found[shard], sizes[shard] = {}, len(problems)
                for at, one in enumerate(self._asked(problems)):
                    places[next(numbers)] = shard, at
                    yield one

        for number, answer in self.engine.stream(asked()):
            shard, at = places.pop(number)
            found[shard][at] = answer
            if len(found[shard]) == sizes[shard]:
                yield shard, in_order(found.pop(shard).items())

    def _asked(self, problems: Sequence[Problem]) -> Iterator[tuple[Problem, str]]:
        return ((problem, self.drafts.get(problem.id, "")) for problem in problems)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreWorker:
    """Scores questions with their references by one detector under one model."""

    section: ModelSection
    source: Source
    attribute: AttributeSection
    detector: str
    """A key of `leaf.attribute.DETECTORS`."""
    places: Mapping[str, Sequence[tuple[int, int]]] | None = None
    """Problem id to the pieces that `ablation` takes away; None: every piece."""

    @contextmanager
    def open(self, tick: Ticker) -> Iterator[Worker[tuple[Problem, str], Sensitivity]]:
        """Load the model and its detector."""
        with load.loaded(self.section, self.source) as loaded:
            chat = prompt_format_of(loaded.tokenizer, self.section)
            seams = () if self.places is None else (self.places,)
            attributor = DETECTORS[self.detector](loaded, chat, self.attribute, tick, *seams)
            yield lambda part: attributor.attribute(
                [problem for problem, _ in part], [reference for _, reference in part]
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class GradeWorker:
    """Judges answers."""

    grade: GradeSection

    @contextmanager
    def open(self, tick: Ticker) -> Iterator[Worker[tuple[Problem, Answer], Score]]:
        """Open the graders."""
        with open_graders(self.grade) as grader:

            def work(pairs: Sequence[tuple[Problem, Answer]]) -> list[Score]:
                scores = grader.grade([pair[0] for pair in pairs], [pair[1] for pair in pairs])
                tick(len(pairs))
                return scores

            yield work
