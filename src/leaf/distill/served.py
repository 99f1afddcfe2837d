"""The likeliest tokens of a teacher that a server has, for a cache to keep.

The server speaks OpenAI's protocol with the extension `prompt_logprobs` of vLLM, which must be
started with `--max-logprobs` of at least `distill.top_k` (vLLM's own limit is 20). A request holds
the token ids that the student sees. The answer has one entry a token, the first one null: a map of
token id to {"logprob", "rank", "decoded_token"}, the likeliest at that place and the token itself,
so that there may be one more than was asked for.

Axes: R response positions, K tokens kept a position, V the student's vocabulary.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from leaf.chat import Conversation
from leaf.config import ServedSection
from leaf.distill.cache import Produce
from leaf.errors import ServerError, UsageError, nearest

if TYPE_CHECKING:
    from openai import OpenAI

_RETRIES = 5
"""Of what may pass by itself (no connection, too many requests, a fault of the server), each after
a longer pause: half a minute in all."""

_TIMEOUT = 600.0
"""Seconds that one request may take; a busy server lets them wait."""

_OVER = 1e-3
"""By how much all probabilities of a position may exceed 1: rounding."""


def missing_served(section: ServedSection) -> str | None:
    """Say in one line what a served teacher needs and does not find on this machine."""
    if find_spec("openai") is None:
        return (
            "distill.teacher: served needs the openai client, which is not installed: "
            'pip install "leaf-distill[served]"'
        )
    if section.key_variable and not os.environ.get(section.key_variable):
        return (
            f"distill.served.key_variable: the environment variable {section.key_variable} is not "
            "set; put the server's API key there, or null where it needs none"
        )
    return None


@contextmanager
def open_client(
    section: ServedSection, *, retries: int = _RETRIES, timeout: float = _TIMEOUT
) -> Iterator["OpenAI"]:
    """Open a connection to a teacher's server for the length of a block; nothing is sent yet.

    The key goes from its environment variable into the request's header and nowhere else; without
    `key_variable` none is sent, whatever other variables hold.

    Raises:
        UsageError: see `missing_served`.
    """
    missing = missing_served(section)
    if missing:
        raise UsageError(missing)
    from openai import Omit, OpenAI

    variable = section.key_variable
    unsent = dict.fromkeys(("OpenAI-Organization", "OpenAI-Project"), Omit())
    with OpenAI(
        base_url=section.url,
        api_key=os.environ[variable] if variable else "none",
        default_headers=unsent,  # type: ignore[arg-type]  # as its own documentation has it
        timeout=timeout,
        max_retries=retries,
    ) as client:
        yield client


def served_models(section: ServedSection, client: "OpenAI") -> list[str]:
    """Return the names of the models that a server has.

    Raises:
        ServerError: it cannot be reached, refuses the key, or does not say.
    """
    with _explained(section, "its list of models"):
        return [model.id for model in client.models.list(extra_headers=_headers(section))]


def check_model(section: ServedSection, client: "OpenAI", model: str) -> None:
    """Ask a server whether it has a model.

    Raises:
        ServerError: it has not, or cannot be asked.
    """
    known = served_models(section, client)
    if model not in known:
        raise ServerError(
            f"{section.url}: has no model `{model}`{nearest(model, known)} (there are "
            f"{', '.join(known) or 'none'}); set distill.served.model"
        )


def keep_served(
    section: ServedSection, client: "OpenAI", model: str, *, k: int, vocabulary: int
) -> Produce:
    """Return a `Produce` of the likeliest tokens and their log-probabilities, as the server says.

    Several requests are on their way at a time; the entries come in the conversations' order.

    Args:
        section: Where the server is.
        client: Open connection to it.
        model: The teacher's name there.
        k: Tokens kept a position; all, where there are fewer.
        vocabulary: Entries of the student's output head.
    """

    def ask(item: Conversation) -> dict[str, Tensor]:
        with _explained(section, f"prompt_logprobs of model `{model}`", k):
            answer = client.completions.create(
                model=model,
                prompt=list(item.ids),
                # Some servers refuse 0.
                max_tokens=1,
                temperature=0,
                extra_headers=_headers(section),
                extra_body={"prompt_logprobs": k},
            )
            choices = getattr(answer, "choices", None) or [None]
            entries = getattr(choices[0], "prompt_logprobs", None)
        try:
            return _tops(entries, item, k=min(k, vocabulary), vocabulary=vocabulary)
        except ServerError as error:
            raise ServerError(f"{section.url}, model `{model}`: {error}") from None

    def produce(items: Sequence[Conversation]) -> list[dict[str, Tensor]]:
        with ThreadPoolExecutor(section.workers) as pool:
            return list(pool.map(ask, items))

    return produce


def _headers(section: ServedSection) -> Mapping[str, Any]:
    """Return what a request without a key must say to be sent at all."""
    from openai import Omit

    return {} if section.key_variable else {"Authorization": Omit()}


def _tops(entries: Any, item: Conversation, *, k: int, vocabulary: int) -> dict[str, Tensor]:
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
        found = _read(entries[at], at)
        if item.ids[at] not in found:
            raise ServerError(
                f"says nothing of token {item.ids[at]} at place {at} that it was shown; it must "
                "take token ids as they are"
            )
        tops.append(_likeliest(found, k=k, vocabulary=vocabulary, at=at))
    ids_RK = torch.tensor([[token for token, _ in top] for top in tops], dtype=torch.int32)
    log_RK = torch.tensor([[log for _, log in top] for top in tops], dtype=torch.float32)
    return {"ids": ids_RK.reshape(len(tops), k), "log": log_RK.reshape(len(tops), k)}


def _read(entry: Any, at: int) -> dict[int, float]:
    """Return log-probability by token id of one entry."""
    try:
        found = {int(token): float(about["logprob"]) for token, about in entry.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ServerError(
            f"prompt_logprobs at place {at} are not as vLLM writes them: {entry!r:.80}"
        ) from None
    total = sum(math.exp(min(log, 1.0)) for log in found.values())
    if not total <= 1.0 + _OVER:
        raise ServerError(
            f"the probabilities at place {at} come to {total:.3g}, more than 1; start vLLM with "
            "--logprobs-mode raw_logprobs"
        )
    return found


def _likeliest(
    found: Mapping[int, float], *, k: int, vocabulary: int, at: int
) -> list[tuple[int, float]]:
    """Return the K likeliest tokens of one position, the likeliest first.

    What the student cannot say (a teacher's padded vocabulary) is left out, and the others share
    its probability in proportion: the teacher's softmax over the student's vocabulary, as a teacher
    in memory is cut.
    """
    known = [(token, log) for token, log in found.items() if token < vocabulary]
    if len(known) < k:
        foreign = len(found) - len(known)
        beyond = f", and {foreign} beyond the student's vocabulary of {vocabulary}" * bool(foreign)
        raise ServerError(
            f"{len(known)} tokens at place {at}{beyond}, but distill.top_k is {k}; lower it, or "
            f"start vLLM with --max-logprobs {k}"
        )
    lost = sum(math.exp(log) for token, log in found.items() if token >= vocabulary)
    left = math.log1p(-lost) if 0.0 < lost < 1.0 else 0.0
    top = sorted(known, key=lambda one: -one[1])[:k]
    return [(token, log - left) for token, log in top]


@contextmanager
def _explained(section: ServedSection, what: str, k: int | None = None) -> Iterator[None]:
    """Turn the client's errors into one line with the url and the way out.

    Args:
        section: Where the server is.
        what: What was asked for.
        k: Tokens a position that were asked for.
    """
    import openai

    url, variable = section.url, section.key_variable
    try:
        yield
    except openai.APITimeoutError:
        raise ServerError(
            f"{url}: no answer in time ({what}); lower distill.served.workers, then run the same "
            "command again: what it answered is kept"
        ) from None
    except openai.APIConnectionError as error:
        why = error.__cause__ or error
        raise ServerError(
            f"{url}: cannot be reached ({_line(section, str(why))}); start the teacher's server, "
            "or set distill.served.url"
        ) from None
    except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
        # What the server says of it may hold the key.
        way = f"check the key in {variable}" if variable else "set distill.served.key_variable"
        raise ServerError(f"{url}: access refused ({error.status_code}); {way}") from None
    except openai.NotFoundError as error:
        raise ServerError(
            f"{url}: there is no such model or place ({_said(section, error)}; {what}); set "
            "distill.served.model, or distill.served.url, which mostly ends with /v1"
        ) from None
    except openai.APIStatusError as error:
        said = _said(section, error)
        way = "see the server's log"
        if k is not None and "logprobs" in said:
            way = f"start vLLM with --max-logprobs {k}, or lower distill.top_k"
        raise ServerError(f"{url}: refused {what} ({error.status_code}: {said}); {way}") from None
    except openai.APIError as error:
        raise ServerError(
            f"{url}: answered what is no answer to {what} ({_line(section, str(error))}); set "
            "distill.served.url, which mostly ends with /v1"
        ) from None


def _said(section: ServedSection, error: Any) -> str:
    """Return a server's own words over a refusal."""
    body = error.body
    inner = body.get("error", body) if isinstance(body, dict) else body
    words = inner.get("message") if isinstance(inner, dict) else None
    return _line(section, str(words or f"status {error.status_code}"))


def _line(section: ServedSection, text: str) -> str:
    """Return text of the server as one short line, without the key."""
    key = os.environ.get(section.key_variable or "")
    if key:
        text = text.replace(key, "***")
    return " ".join(text.split())[:200]
