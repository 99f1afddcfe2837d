"""What every detector by tokens shares: prompts become batches, a value a token a score a unit."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from leaf.attribute.detector import Detector, Evidence, MeasuredModel
from leaf.attribute.ranking import by_gap
from leaf.errors import NonFiniteError
from leaf.progress import Ticker
from leaf.records import Problem, RankedUnits, Sensitivity

if TYPE_CHECKING:
    from torch import Tensor

    from leaf.models.load import Loaded
    from leaf.models.prompt_format import EncodedExample, Prompt, PromptFormat

P = TypeVar("P")

_CPU_TOKENS = 1024
"""Most tokens of a batch on a CPU: the activations of more fall out of its caches (in trials on one
core, SmolLM2 and Qwen 0.5B, 2,048 took 8 to 19% longer)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One problem as tokens."""

    prompt: "Prompt"
    conversation: "EncodedExample"


class BatchedDetector(Detector):
    """Runs a model over batches of like length and scores the tokens of each question."""

    def tokens(
        self, chat: "PromptFormat", problem: Problem, prompt: "Prompt", reference: str
    ) -> "EncodedExample | str":
        """Return what the model is run on, or say why this problem cannot be scored.

        Here the prompt with the reference as its response.
        """
        if not reference.strip():
            return "no reference response"
        return chat.encode(problem.content, reference, problem.response_prefix, problem.turns)

    @abstractmethod
    def values(self, model: MeasuredModel, items: Sequence[Item]) -> tuple["Tensor", "Tensor"]:
        """Return each token's value [B, T] (right-padded) and each problem's loss [B]."""

    def join(self, values_T: "Tensor") -> "Tensor":
        """Make one score (>= 0) of the values of a unit's tokens; here their sum."""
        return values_T.sum()

    def rank(self, evidence: Evidence) -> RankedUnits | str:
        """Rank by Eq. 3 to 5: teacher minus student, both min-maxed."""
        return by_gap(evidence.measured)

    def measure(
        self, model: MeasuredModel, problems: Sequence[Problem], references: Sequence[str]
    ) -> list[Sensitivity]:
        """Score the tokens of `problems[i]` with `references[i]` as the response y.

        Raises:
            NonFiniteError: a value is NaN or infinite; names the model, problem and dtype.
        """
        budget = model.token_budget
        if model.loaded.device.type == "cpu":
            budget = min(budget, _CPU_TOKENS)
        pairs = zip(problems, references, strict=True)
        return score_in_batches(
            problems,
            [self._prepare(model, problem, reference) for problem, reference in pairs],
            lambda part, items: self._score_batch(model, part, items),
            length=lambda item: len(item.conversation.ids),
            token_budget=budget,
            what=f"{self.name} with {model.loaded.source.name}",
            tick=model.tick,
        )

    def _prepare(self, model: MeasuredModel, problem: Problem, reference: str) -> Item | str:
        """Tokenise a problem with its reference, or say why it cannot be scored."""
        prompt = model.chat.prompt(problem)
        if not prompt.units:
            return "no token of the question lies whole inside it"
        conversation = self.tokens(model.chat, problem, prompt, reference)
        if isinstance(conversation, str):
            return conversation
        if len(conversation.ids) > model.loaded.context:
            return too_long(model.loaded)
        return Item(prompt=prompt, conversation=conversation)

    def _score_batch(
        self, model: MeasuredModel, problems: Sequence[Problem], items: Sequence[Item]
    ) -> Iterator[Sensitivity]:
        values_BT, losses_B = self.values(model, items)
        for row, (problem, item) in enumerate(zip(problems, items, strict=True)):
            units = item.prompt.units
            scores = tuple(float(self.join(values_BT[row][list(unit.tokens)])) for unit in units)
            loss = float(losses_B[row])
            check_finite((*scores, loss), problem, model.loaded)
            yield Sensitivity(
                problem_id=problem.id,
                starts=tuple(unit.start for unit in units),
                ends=tuple(unit.end for unit in units),
                scores=scores,
                loss=loss,
                fed=len(item.conversation.ids),
            )


def score_in_batches(
    problems: Sequence[Problem],
    prepared: Sequence[P | str],
    score: Callable[[Sequence[Problem], Sequence[P]], Iterable[Sensitivity]],
    *,
    length: Callable[[P], int],
    token_budget: int,
    what: str,
    tick: Ticker | None,
) -> list[Sensitivity]:
    """Score problems batch by batch, each batch halved when memory runs out; the order is kept.

    Args:
        problems: What is scored.
        prepared: What `score` takes of each, or why it cannot be scored.
        score: Scores the problems of one batch.
        length: Tokens of one.
        token_budget: Most tokens in a batch, padding included.
        what: What is done, for people.
        tick: Told of finished problems.
    """
    from leaf.models.batching import plan_batches, run_halving

    results = {
        at: skipped(problems[at], item) for at, item in enumerate(prepared) if isinstance(item, str)
    }
    if tick and results:
        tick(len(results))
    items = {at: item for at, item in enumerate(prepared) if not isinstance(item, str)}

    def run(part: Sequence[int]) -> None:
        found = score([problems[at] for at in part], [items[at] for at in part])
        results.update(zip(part, found, strict=True))
        if tick:
            tick(len(part))

    numbers = list(items)
    lengths = [length(item) for item in items.values()]
    for batch in plan_batches(lengths, token_budget=token_budget, max_items=len(items) or 1):
        run_halving([numbers[at] for at in batch], run, what=what)
    return [results[at] for at in range(len(problems))]


def skipped(problem: Problem, reason: str) -> Sensitivity:
    """Return what stands for a problem without scores."""
    return Sensitivity(
        problem_id=problem.id, starts=(), ends=(), scores=(), loss=0.0, skipped=reason
    )


def too_long(loaded: "Loaded") -> str:
    """Say that a prompt with its reference is more than a model can read."""
    return f"prompt and reference longer than the context of {loaded.context} tokens"


def check_finite(values: Sequence[float], problem: Problem, loaded: "Loaded") -> None:
    """Raise `NonFiniteError`, naming model, problem and dtype, where a value is NaN or infinite."""
    if not all(map(math.isfinite, values)):
        raise NonFiniteError(
            f"{loaded.source.name}: NaN or infinite sensitivity in problem {problem.id} "
            f"({loaded.dtype}); try dtype: float32"
        )
