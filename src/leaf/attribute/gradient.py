"""Gradient sensitivity (Eq. 2): how strongly a unit of the question moves the reference's loss.

Axes: B problems of a batch, T tokens (right-padded), D width, R response positions of the batch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from leaf.batching import plan_batches, run_halving
from leaf.chat import Chat, Conversation, Prompt
from leaf.config import AttributeSection
from leaf.errors import NonFiniteError
from leaf.heads import Head, backbone, output_head
from leaf.linear_loss import linear_loss
from leaf.models import Loaded
from leaf.padding import pad
from leaf.progress import Ticker
from leaf.records import Problem, Sensitivity

_CHUNK = 256
"""Response positions whose logits exist at the same time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Item:
    prompt: Prompt
    conversation: Conversation


class GradientAttributor:
    """Scores units by the L2 norm of d loss / d embedding, one backward for a whole batch.

    The loss is the mean cross-entropy of the reference and its end-of-turn token given the prompt
    (Eq. 2, nats per token). A batch's loss is the sum of its problems' means, so each problem's
    gradient is what it is alone. No parameter gradient is computed. A unit of several tokens has
    the norm over all their embeddings.
    """

    def __init__(
        self, loaded: Loaded, chat: Chat, section: AttributeSection, tick: Ticker | None = None
    ) -> None:
        self._loaded = loaded
        self._chat = chat
        self._section = section
        self._tick = tick
        self._head = output_head(loaded.model)

    def attribute(
        self, problems: Sequence[Problem], references: Sequence[str]
    ) -> list[Sensitivity]:
        """Score `problems[i]` with `references[i]` as the response y.

        Raises:
            NonFiniteError: a gradient is NaN or infinite; names the model, problem and dtype.
        """
        results: dict[int, Sensitivity] = {}
        items: dict[int, _Item] = {}
        for at, (problem, reference) in enumerate(zip(problems, references, strict=True)):
            prepared = self._prepare(problem, reference)
            if isinstance(prepared, str):
                results[at] = _skipped(problem, prepared)
            else:
                items[at] = prepared
        if self._tick and results:
            self._tick(len(results))
        numbers = list(items)
        lengths = [len(items[at].conversation.ids) for at in numbers]
        for batch in plan_batches(
            lengths, token_budget=self._section.token_budget, max_items=len(numbers) or 1
        ):
            run_halving(
                [numbers[at] for at in batch],
                lambda part: self._score_batch(part, problems, items, results),
                what=f"sensitivity of {self._loaded.source.name}",
            )
        return [results[at] for at in range(len(problems))]

    def _prepare(self, problem: Problem, reference: str) -> _Item | str:
        """Tokenise a problem with its reference, or say why it cannot be scored."""
        if not reference.strip():
            return "no reference response"
        prompt = self._chat.prompt(problem)
        if not prompt.units:
            return "no token of the question lies whole inside it"
        conversation = self._chat.conversation(problem.content, reference)
        if len(conversation.ids) > self._loaded.context:
            return f"prompt and reference longer than the context of {self._loaded.context} tokens"
        return _Item(prompt=prompt, conversation=conversation)

    def _score_batch(
        self,
        part: Sequence[int],
        problems: Sequence[Problem],
        items: dict[int, _Item],
        results: dict[int, Sensitivity],
    ) -> None:
        conversations = [items[at].conversation for at in part]
        norms_BT, losses_B = sensitivity(self._loaded.model, self._head, conversations)
        for row, at in enumerate(part):
            units = items[at].prompt.units
            scores = tuple(_unit_norm(norms_BT[row], unit.tokens) for unit in units)
            loss = float(losses_B[row])
            if not all(map(math.isfinite, (*scores, loss))):
                raise NonFiniteError(
                    f"{self._loaded.source.name}: NaN or infinite sensitivity in problem "
                    f"{problems[at].id} ({self._loaded.dtype}); try dtype: float32"
                )
            results[at] = Sensitivity(
                problem_id=problems[at].id,
                starts=tuple(unit.start for unit in units),
                ends=tuple(unit.end for unit in units),
                scores=scores,
                loss=loss,
            )
        if self._tick:
            self._tick(len(part))


def sensitivity(
    model: torch.nn.Module, head: Head, conversations: Sequence[Conversation]
) -> tuple[Tensor, Tensor]:
    """Return the embedding-gradient norms [B, T] and the mean losses [B] of a batch (Eq. 2).

    Both are float32 on the CPU (float64 for a float64 model). Padding and response positions have
    norms too; only those of the prompt mean something. Parameters must be frozen.
    """
    device = head.weight.device
    batch = pad(conversations)
    rows_R, positions_R = batch.rows_R, batch.positions_R
    targets_R = batch.ids_BT[rows_R, positions_R + 1].to(device)
    wide = torch.float64 if head.weight.dtype is torch.float64 else torch.float32
    weights_R = (1 / torch.tensor(batch.lengths, dtype=wide))[rows_R].to(device)

    embed = model.get_input_embeddings()  # type: ignore[operator]
    embeddings_BTD = embed(batch.ids_BT.to(device)).detach().requires_grad_()
    with torch.enable_grad():
        hidden_BTD = backbone(model)(
            inputs_embeds=embeddings_BTD, attention_mask=batch.mask_BT.to(device), use_cache=False
        ).last_hidden_state
        hidden_RD = hidden_BTD[rows_R.to(device), positions_R.to(device)]
        loss, losses_R = linear_loss(
            hidden_RD,
            head,
            lambda logits, part: F.cross_entropy(logits, targets_R[part], reduction="none"),
            weights_R,
            chunk=_CHUNK,
        )
        (gradient_BTD,) = torch.autograd.grad(loss, embeddings_BTD)
    norms_BT = gradient_BTD.to(wide).norm(dim=-1).cpu()
    losses_B = torch.zeros(len(conversations), dtype=wide)
    losses_B.index_add_(0, rows_R, (losses_R * weights_R).cpu())
    return norms_BT, losses_B


def _unit_norm(norms_T: Tensor, tokens: Sequence[int]) -> float:
    return float(norms_T[list(tokens)].norm())


def _skipped(problem: Problem, reason: str) -> Sensitivity:
    return Sensitivity(
        problem_id=problem.id, starts=(), ends=(), scores=(), loss=0.0, skipped=reason
    )
