"""The likeliest tokens of a teacher that a server has, for a cache to keep.

The server speaks OpenAI's protocol with the extension `prompt_logprobs` of vLLM, which must be
started with `--max-logprobs` of at least `distill.top_k` (vLLM's own limit is 20). A request holds
the token ids that the student sees. The answer has one entry a token, the first one null: a map of
token id to {"logprob", "rank", "decoded_token"}, the likeliest at that place and the token itself,
so that there may be one more than was asked for.

Axes: R response positions, K tokens kept a position, V the student's vocabulary.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from leaf.distill.cache import Produce, RowsMissingError
from leaf.errors import ServerError
from leaf.models import server
from leaf.models.prompt_format import EncodedExample
from leaf.recipe import ServedSection

if TYPE_CHECKING:
    from openai import OpenAI

_RETRIES = 8
"""Of what may pass by itself (no connection, too many requests, a fault of the server): when the
server's Retry-After says, else each after a longer pause, two thirds of a minute in all."""

_TIMEOUT = 600.0
"""Seconds that one request may take; a busy server lets them wait."""

_USE, _EXTRA = "distill.teacher: served", "served"
"""The setting that needs the client, and the extra that brings it."""

_OVER = 1e-3
"""By how much all probabilities of a position may exceed 1: rounding."""


def missing_served(section: ServedSection) -> str | None:
    """Say in one line what a served teacher needs and does not find on this machine."""
    return server.missing(_access(section), use=_USE, extra=_EXTRA)


@contextmanager
def open_client(
    section: ServedSection, *, retries: int = _RETRIES, timeout: float = _TIMEOUT
) -> Iterator["OpenAI"]:
    """Open a connection to a teacher's server for the length of a block; nothing is sent yet.

    Raises:
        UsageError: see `missing_served`.
    """
    access = server.checked(_access(section), use=_USE, extra=_EXTRA)
    with server.connect(access, retries=retries, timeout=timeout) as connection:
        yield connection


def check_model(section: ServedSection, connection: "OpenAI", model: str) -> None:
    """Ask a server whether it has a model.

    Raises:
        ServerError: it has not, or cannot be asked.
    """
    server.check_model(_access(section, model), connection)


def keep_served(
    section: ServedSection, connection: "OpenAI", model: str, *, k: int, vocabulary: int
) -> Produce:
    """Return a `Produce` of the likeliest tokens and their log-probabilities, as the server says.

    Several requests are on their way at a time; the entries come in the conversations' order.

    Args:
        section: Where the server is.
        connection: Open connection to it.
        model: The teacher's name there.
        k: Tokens kept a position; all, where there are fewer.
        vocabulary: Entries of the student's output head.
    """
    access = _access(section, model)
    longer = "start vLLM with a larger --max-model-len, or lower distill.cutoff"
    hints = {
        "context length": longer,
        # A row that fills the context leaves no room for the one token that is asked for.
        "max_tokens must be at least 1, got 0": longer,
        "logprobs": f"start vLLM with --max-logprobs {k}, or lower distill.top_k",
    }

    def ask(item: EncodedExample) -> dict[str, Tensor]:
        with server.explained(access, f"prompt_logprobs of model `{model}`", hints):
            answer = connection.completions.create(
                model=model,
                prompt=list(item.ids),
                # Some servers refuse 0.
                max_tokens=1,
                temperature=0,
                extra_headers=server.headers(access),
                extra_body={"prompt_logprobs": k},
            )
            choices = getattr(answer, "choices", None) or [None]
            entries = getattr(choices[0], "prompt_logprobs", None)
        try:
            return _tops(entries, item, k=min(k, vocabulary), vocabulary=vocabulary)
        except ServerError as error:
            raise ServerError(f"{section.url}, model `{model}`: {error}") from None

    def try_to(item: EncodedExample) -> dict[str, Tensor] | ServerError:
        try:
            return ask(item)
        except ServerError as error:
            return error

    def produce(items: Sequence[EncodedExample]) -> list[dict[str, Tensor]]:
        with ThreadPoolExecutor(section.workers) as pool:
            found = list(pool.map(try_to, items))
        entries = [None if isinstance(entry, ServerError) else entry for entry in found]
        errors = [entry for entry in found if isinstance(entry, ServerError)]
        if errors:
            raise RowsMissingError(str(errors[-1]), entries)
        return [entry for entry in entries if entry is not None]

    return produce


def _access(section: ServedSection, model: str = "") -> server.Access:
    return server.Access(
        url=section.url,
        model=model,
        key_variable=section.key_variable,
        setting="distill.served",
        served="the teacher",
    )


def _tops(entries: Any, item: EncodedExample, *, k: int, vocabulary: int) -> dict[str, Tensor]:
    """Return `ids` [R, K] (int32) and `log` [R, K] (float32), the likeliest first.

    Args:
        entries: The server's `prompt_logprobs`; entry i is what it expected of token i.
        item: What it was shown.
        k: Tokens kept a position.
        vocabulary: Entries of the student's output head.

    Raises:
        ServerError: entries are not there, not of these tokens, too few or no log-probabilities.
    """
    if not isinstance(entries, list):
        raise ServerError(
            "the answer has no prompt_logprobs; distill.teacher: served needs a server that gives "
            "them, such as vLLM"
        )
    if len(entries) != len(item.ids):
        raise ServerError(
            f"answered about {len(entries)} tokens, but was shown {len(item.ids)}; it must take "
            "token ids as they are, and reuse nothing (vLLM: --no-enable-prefix-caching)"
        )
    tops = []
    for at in range(item.prompt_length, len(item.ids)):
        log_probabilities = _read(entries[at], at)
        if item.ids[at] not in log_probabilities:
            raise ServerError(
                f"says nothing of token {item.ids[at]} at place {at} that it was shown; it must "
                "take token ids as they are"
            )
        tops.append(_likeliest(log_probabilities, k=k, vocabulary=vocabulary, at=at))
    ids_RK = torch.tensor([[token for token, _ in top] for top in tops], dtype=torch.int32)
    log_RK = torch.tensor([[log for _, log in top] for top in tops], dtype=torch.float32)
    return {"ids": ids_RK.reshape(len(tops), k), "log": log_RK.reshape(len(tops), k)}


def _read(entry: Any, at: int) -> dict[int, float]:
    """Return log-probability by token id of one entry."""
    try:
        log_probabilities = {int(token): float(about["logprob"]) for token, about in entry.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ServerError(
            f"prompt_logprobs at place {at} are not as vLLM writes them: {entry!r:.80}"
        ) from None
    total = sum(math.exp(min(log, 1.0)) for log in log_probabilities.values())
    if not total <= 1.0 + _OVER:
        raise ServerError(
            f"the probabilities at place {at} come to {total:.3g}, more than 1; start vLLM with "
            "--logprobs-mode raw_logprobs"
        )
    return log_probabilities


def _likeliest(
    log_probabilities: Mapping[int, float], *, k: int, vocabulary: int, at: int
) -> list[tuple[int, float]]:
    """Return the K likeliest tokens of one position, the likeliest first.

    What the student cannot say (a teacher's padded vocabulary) is left out, and the others share
    its probability in proportion: the teacher's softmax over the student's vocabulary, as a teacher
    in memory is cut.
    """
    known = [(token, log) for token, log in log_probabilities.items() if token < vocabulary]
    if len(known) < k:
        foreign = len(log_probabilities) - len(known)
        beyond = ""
        if foreign:
            beyond = f", and {foreign} beyond the student's vocabulary of {vocabulary}"
        raise ServerError(
            f"{len(known)} tokens at place {at}{beyond}, but distill.top_k is {k}; lower it, or "
            f"start vLLM with --max-logprobs {k}"
        )
    lost = sum(math.exp(log) for token, log in log_probabilities.items() if token >= vocabulary)
    left = math.log1p(-lost) if 0.0 < lost < 1.0 else 0.0
    top = sorted(known, key=lambda pair: -pair[1])[:k]
    return [(token, log - left) for token, log in top]
