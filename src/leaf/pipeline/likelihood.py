"""How likely a model finds answers: the weight of their votes."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from leaf.attribute import MeasuredModel
from leaf.models.batching import plan_batches, run_halving
from leaf.models.files import Source
from leaf.pipeline.workers import UNSEEN, asked, measured_model, spoken_to
from leaf.progress import Ticker
from leaf.recipe import ModelSection
from leaf.records import Problem
from leaf.store.keys import digest
from leaf.store.runner import Worker
from leaf.store.work import About, Work


@dataclass(frozen=True, kw_only=True, slots=True)
class Likelihood:
    """How likely a model finds one answer."""

    problem_id: str
    mean_logprob: float | None
    """Mean log p of its tokens, end of turn included, given all before, in nats; None: the answer
    with its question does not fit the model's context."""

    @property
    def per_token(self) -> float:
        """The geometric mean of its tokens' probabilities, in (0, 1]; 0 where unknown."""
        return 0.0 if self.mean_logprob is None else math.exp(self.mean_logprob)


@dataclass(frozen=True, kw_only=True, slots=True)
class LikelihoodWorker(Work[tuple[Problem, str], Likelihood]):
    """Measures what a model thinks of responses, at temperature 1."""

    kind = "likelihoods"
    record = Likelihood
    unit = "answers"

    about: About
    section: ModelSection
    source: Source
    token_budget: int

    @property
    def title(self) -> str:
        """Whose answers are weighed."""
        about = self.about
        return f"weighing {about.asked}" + (f": {about.role}" if about.role else "")

    def settings(self, items: Sequence[tuple[Problem, str]]) -> dict[str, Any]:
        """Return how the model is loaded and spoken to."""
        return spoken_to(self.section)

    def inputs(self, items: Sequence[tuple[Problem, str]]) -> list[str]:
        """Return the model and the answers."""
        pairs = [[asked(problem, UNSEEN), response] for problem, response in items]
        return [self.source.fingerprint, digest(pairs)]

    @contextmanager
    def open(self, tick: Ticker) -> Iterator[Worker[tuple[Problem, str], Likelihood]]:
        """Load the model."""
        with measured_model(self.section, self.source, self.token_budget, tick) as model:
            yield lambda items: likelihoods(model, items)


def likelihoods(model: MeasuredModel, items: Sequence[tuple[Problem, str]]) -> list[Likelihood]:
    """Return how likely a model finds the response to each problem, in order."""
    from leaf.attribute.surprise import surprisal

    chat = model.chat
    rows = [
        chat.encode(problem.content, response, problem.response_prefix, problem.turns)
        for problem, response in items
    ]
    found: dict[int, float] = {}

    def run(part: Sequence[int]) -> None:
        _, means_B = surprisal(model.loaded.model, model.head, [rows[at] for at in part])
        found.update(zip(part, (-float(mean) for mean in means_B), strict=True))

    fits = [at for at, row in enumerate(rows) if len(row.ids) <= model.loaded.context]
    lengths = [len(rows[at].ids) for at in fits]
    batches = plan_batches(lengths, token_budget=model.token_budget, max_items=len(fits) or 1)
    for batch in batches:
        run_halving([fits[at] for at in batch], run, what="weighing answers")
    if model.tick:
        model.tick(len(items))
    return [
        Likelihood(problem_id=problem.id, mean_logprob=found.get(at))
        for at, (problem, _) in enumerate(items)
    ]
