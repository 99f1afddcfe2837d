"""What a model computes by its own forward, one row at a time, and how far a path of ours is off.

Axes: R response positions of one row, T tokens of one row, D width, N new tokens, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor
from transformers import GenerationConfig

from leaf.models.fused_loss import cross_entropy, linear_loss
from leaf.models.kv_cache import RaggedCache
from leaf.models.output_head import Head
from leaf.models.packing import Packer
from leaf.models.padding import Batch, pad, pad_ids
from leaf.models.paths import Paths
from leaf.models.prompt_format import EncodedExample

_NEW = 6
"""Tokens that are added to a row, the likeliest each time."""

_SHARED = 4
"""First tokens that all rows have in common."""


@dataclass(frozen=True, slots=True)
class Own:
    """What the plain forward of one row gives."""

    losses_R: Tensor
    gradient_TD: Tensor
    """Of the mean loss, by the embeddings."""
    logits_TV: Tensor


def rows_of(config: Any, lengths: Sequence[int]) -> list[EncodedExample]:
    """Return rows of random tokens that begin alike; a half or so of each is its response.

    Tokens that the configuration gives a meaning (padding, pictures) are left out.
    """
    config = config.get_text_config()
    meant = {
        value
        for name, value in config.to_dict().items()
        if name.endswith(("token_id", "_index")) and isinstance(value, int)
    }
    generator = torch.Generator().manual_seed(0)
    most = int(config.vocab_size * 0.9)
    drawn = torch.randint(
        min(4, most - 1), most, (len(lengths), 4 * max(lengths)), generator=generator
    )
    plain = [[token for token in row if token not in meant] for row in drawn.tolist()]
    return [
        EncodedExample(
            ids=(*plain[0][:_SHARED], *row[_SHARED:length]), prompt_length=_SHARED + length // 3
        )
        for row, length in zip(plain, lengths, strict=True)
    ]


def own_of(model: Any, item: EncodedExample) -> Own:
    """Return losses and gradient of a row by the model's own forward of it alone."""
    seen: list[Tensor] = []

    def look(_module: Any, _inputs: Any, output: Tensor) -> Tensor:
        if not seen:
            seen.append(output.detach().requires_grad_())
        return seen[0]

    hook = model.get_input_embeddings().register_forward_hook(look)
    try:
        with torch.enable_grad():
            logits_TV = own_logits(model, item.ids)
            losses_R = _own_losses(logits_TV, item)
            (gradient_1TD,) = torch.autograd.grad(losses_R.mean(), seen)
    finally:
        hook.remove()
    return Own(losses_R.detach().cpu(), gradient_1TD[0].float().cpu(), logits_TV.detach().cpu())


def _own_losses(logits_TV: Tensor, item: EncodedExample) -> Tensor:
    return F.cross_entropy(
        logits_TV[item.prompt_length - 1 : -1].float(),
        torch.tensor(item.ids[item.prompt_length :], device=logits_TV.device),
        reduction="none",
    )


def own_logits(model: Any, ids: Sequence[int]) -> Tensor:
    """Return the logits [T, V] of a row alone."""
    inputs = torch.tensor([list(ids)], device=model.device)
    # Of the class: a trainer may have put a forward in 16 bits into the instance's place.
    logits: Tensor = type(model).forward(model, input_ids=inputs, use_cache=False).logits[0]
    return logits


def relative(found: Tensor, own: Tensor) -> float:
    """Return how far a tensor is from the right one, relative to that one's norm."""
    size = float(own.float().norm())
    gap = float((found.float().cpu() - own.float().cpu()).norm())
    return gap / size if size else gap


def causal_gap(model: Any, item: EncodedExample) -> float:
    """Return how far the logits of a beginning move when more tokens follow."""
    with torch.no_grad():
        half = len(item.ids) // 2
        return relative(own_logits(model, item.ids)[:half], own_logits(model, item.ids[:half]))


def path_gap(
    model: Any,
    head: Head,
    paths: Paths,
    items: Sequence[EncodedExample],
    own: Sequence[Own],
    *,
    free: bool = False,
) -> float:
    """Return the most that losses or gradients of a row in a batch differ from the row alone.

    Args:
        model: Frozen, without dropout.
        head: Its output head.
        paths: By which it runs.
        items: The rows.
        own: What each is by itself.
        free: Whether what the rows begin with is computed once.
    """
    batch = pad(items, _SHARED if free else 0)
    embed = model.get_input_embeddings()
    embeddings_BTD = embed(batch.ids_BT.to(model.device)).detach().requires_grad_()
    with torch.enable_grad():
        hidden_RD = Packer(model, paths=paths).hidden_states(batch, embeddings_BTD)
        total, losses_R = _loss(hidden_RD, head, batch)
        (gradient_BTD,) = torch.autograd.grad(total, embeddings_BTD)
    gaps = []
    for row, (losses, mine) in enumerate(
        zip(torch.split(losses_R, batch.lengths), own, strict=True)
    ):
        gaps.append(relative(losses, mine.losses_R))
        found_TD = gradient_BTD[row, batch.shared : len(items[row].ids)]
        gaps.append(relative(found_TD, mine.gradient_TD[batch.shared :]))
    return max(gaps)


def _loss(hidden_RD: Tensor, head: Head, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the sum of the rows' mean losses, and the losses."""
    device = hidden_RD.device
    targets_R = batch.ids_BT[batch.rows_R, batch.positions_R + 1].to(device)
    wide = torch.promote_types(hidden_RD.dtype, torch.float32)
    weights_R = (1 / torch.tensor(batch.lengths, dtype=wide))[batch.rows_R].to(device)
    return linear_loss(hidden_RD, head, cross_entropy(targets_R), weights_R, chunk=16)


def weight_gap(model: Any, head: Head, paths: Paths, items: Sequence[EncodedExample]) -> float:
    """Return how far the gradients of all weights differ from those of the rows alone, added up."""
    batch = pad(items)
    with learning(model), torch.enable_grad():
        total, _ = _loss(Packer(model, paths=paths).hidden_states(batch), head, batch)
        found = _gradients(model, total)
        own = _gradients(model, _own_total(model, items))
    return max(relative(found[name], own[name]) for name in ("all", *LEARNS_APART) if name in own)


def _own_total(model: Any, items: Sequence[EncodedExample]) -> Tensor:
    losses = [_own_losses(own_logits(model, item.ids), item).mean() for item in items]
    return torch.stack(losses).sum()


LEARNS_APART = ("head bias",)
"""Gradients that are small beside all others, so that they are looked at by themselves."""


def _gradients(model: Any, total: Any) -> dict[str, Tensor]:
    named = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
    gradients = torch.autograd.grad(total, [each for _, each in named], allow_unused=True)
    flat = [
        (torch.zeros_like(each) if gradient is None else gradient).flatten()
        for (_, each), gradient in zip(named, gradients, strict=True)
    ]
    found = {"all": torch.cat(flat)}
    bias = getattr(model.get_output_embeddings(), "bias", None)
    for (_, each), gradient in zip(named, flat, strict=True):
        if each is bias:
            found["head bias"] = gradient
    return found


@contextmanager
def learning(model: Any) -> Iterator[None]:
    """Let all weights of a copy learn for a block."""
    model.requires_grad_(True)
    try:
        yield
    finally:
        model.requires_grad_(False)


def train_once(model: Any, paths: Paths, items: Sequence[EncodedExample]) -> float:
    """Run a batch in training mode; raises what our attention says of a dropout, else 0."""
    model.train()
    try:
        Packer(model, paths=paths).hidden_states(pad(items))
    finally:
        model.eval()
    return 0.0


def cache_gap(
    model: Any,
    head: Head,
    items: Sequence[EncodedExample],
    own: Sequence[Own],
    *,
    more: int = 0,
) -> float:
    """Return how far logits by a cache that is cut and forked differ from the plain ones.

    Args:
        model: Frozen, without dropout.
        head: Its output head.
        items: Two rows that begin alike.
        own: What each is by itself.
        more: How many tokens are added to each, the likeliest each time.
    """
    sequences = [list(item.ids) for item in items]
    starts = [len(sequences[0]) - 1, _SHARED]
    rows = RaggedCache(model, 1)
    rows.feed([sequences[0]])
    rows = rows.fork([0, 0], starts)
    wanted = [each.logits_TV for each in own]
    news = [row[start:] for row, start in zip(sequences, starts, strict=True)]
    gaps = []
    for step in range(more + 1):
        for at, hidden_KD in enumerate(rows.feed(news)):
            if step:
                with torch.no_grad():
                    wanted[at] = own_logits(model, sequences[at])
            gaps.append(relative(head.logits(hidden_KD), wanted[at][-len(hidden_KD) :]))
            news[at] = [int(wanted[at][-1].argmax())]
            sequences[at] += news[at]
    return max(gaps)


def continued(model: Any, items: Sequence[EncodedExample]) -> list[Tensor]:
    """Return the logits [N, V] of the tokens that the library's own loop adds to each row."""
    ids, mask = pad_ids([item.ids for item in items], left=True)
    with plain_generation(model), torch.no_grad():
        output: Any = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=_NEW,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
            pad_token_id=0,
        )
    return list(torch.stack(output.logits, dim=1))


@contextmanager
def plain_generation(model: Any) -> Iterator[None]:
    """Let a model generate by what it is asked alone, for a block.

    What its files add (suppressed tokens, repetition, lengths) holds on no path, so that answers
    are the likeliest tokens, or drawn as a recipe says, whichever path a model takes.
    """
    own = model.generation_config
    bare = GenerationConfig()  # type: ignore[no-untyped-call]
    for name in ("bos_token_id", "pad_token_id", "cache_implementation"):
        setattr(bare, name, getattr(own, name, None))
    model.generation_config = bare
    try:
        yield
    finally:
        model.generation_config = own
