"""Connections to servers that speak OpenAI's protocol: the key, and faults in one line.

A key goes from its environment variable into the header of requests and nowhere else.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from leaf.errors import ServerError, UsageError, nearest

if TYPE_CHECKING:
    from openai import OpenAI

_LONGEST = 200
"""Characters of a server's own words that are shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Which model is served where, and what people call that."""

    url: str
    model: str
    """The model's name there."""
    key_variable: str | None
    """Environment variable with the API key; None: none is sent, whatever other variables hold."""
    setting: str
    """The section that says all this, with `url`, `model`, `workers`: `distill.served`."""
    served: str
    """What is served: `the teacher`."""


def missing(access: Access, *, use: str, extra: str) -> str | None:
    """Say in one line what is needed and not found on this machine.

    Args:
        access: Which server.
        use: The setting that needs it, such as `distill.teacher: served`.
        extra: The extra that brings the client.
    """
    if find_spec("openai") is None:
        return (
            f"{use} needs the openai client, which is not installed: "
            f'pip install "leaf-distill[{extra}]"'
        )
    variable = access.key_variable
    if variable and not os.environ.get(variable):
        return (
            f"{access.setting}.key_variable: the environment variable {variable} is not "
            "set; put the server's API key there, or null where it needs none"
        )
    return None


@contextmanager
def connect(access: Access, *, retries: int, timeout: float) -> Iterator["OpenAI"]:
    """Open a connection for the length of a block; nothing is sent yet.

    Args:
        access: Which server; nothing is `missing`.
        retries: How often a request is sent again after what may pass by itself (no connection, too
            many requests, a fault of the server): when the server's Retry-After says, within two
            minutes, else each time after a longer pause of random length, 8 seconds at most.
        timeout: Seconds that one request may take.
    """
    from openai import Omit, OpenAI

    unsent = dict.fromkeys(("OpenAI-Organization", "OpenAI-Project"), Omit())
    with OpenAI(
        base_url=access.url,
        api_key=os.environ[access.key_variable] if access.key_variable else "none",
        default_headers=unsent,  # type: ignore[arg-type]  # as its own documentation has it
        timeout=timeout,
        max_retries=retries,
    ) as client:
        yield client


def checked(access: Access, *, use: str, extra: str) -> Access:
    """Return `access` where nothing is missing.

    Raises:
        UsageError: see `missing`.
    """
    line = missing(access, use=use, extra=extra)
    if line:
        raise UsageError(line)
    return access


def headers(access: Access) -> Mapping[str, Any]:
    """Return what a request without a key must say to be sent at all."""
    from openai import Omit

    return {} if access.key_variable else {"Authorization": Omit()}


def models_of(access: Access, client: "OpenAI") -> list[str]:
    """Return the names of the models that a server has.

    Raises:
        ServerError: it cannot be reached, refuses the key, or does not say.
    """
    with explained(access, "its list of models"):
        return [model.id for model in client.models.list(extra_headers=headers(access))]


def check_model(access: Access, client: "OpenAI") -> None:
    """Ask a server whether it has the model.

    Raises:
        ServerError: it has not, or cannot be asked.
    """
    known = models_of(access, client)
    if access.model not in known:
        raise ServerError(
            f"{access.url}: has no model `{access.model}`{nearest(access.model, known)} (there are "
            f"{', '.join(known) or 'none'}); set {access.setting}.model"
        )


@contextmanager
def explained(access: Access, what: str, hints: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turn the client's errors into one line with the url and the way out.

    Args:
        access: Which server.
        what: What was asked for.
        hints: A word of a refusal to the way out of that.
    """
    import openai

    try:
        yield
    except (openai.APIError, ValueError) as error:
        # A ValueError: the client read JSON that is none.
        raise ServerError(explain(access, error, what, hints)) from None


def explain(access: Access, error: Any, what: str, hints: Mapping[str, str] | None = None) -> str:
    """Return an error of the client as one line; arguments as of `explained`."""
    import openai

    url, setting = access.url, access.setting
    match error:
        case openai.APITimeoutError():
            return (
                f"{url}: no answer in time ({what}); lower {setting}.workers, then run the same "
                "command again: what it answered is kept"
            )
        case openai.APIConnectionError():
            why = one_line(access, str(error.__cause__ or error))
            return (
                f"{url}: cannot be reached ({why}); start {access.served}'s server, or set "
                f"{setting}.url"
            )
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            # What the server says of it may hold the key.
            variable = access.key_variable
            way = f"check the key in {variable}" if variable else f"set {setting}.key_variable"
            return f"{url}: access refused ({error.status_code}); {way}"
        case openai.NotFoundError():
            return (
                f"{url}: there is no such model or place ({_said(access, error)}; {what}); set "
                f"{setting}.model, or {setting}.url, which mostly ends with /v1"
            )
        case openai.APIStatusError():
            said = _said(access, error)
            ways = (way for word, way in (hints or {}).items() if word in said)
            many = isinstance(error, openai.RateLimitError)
            way = next(ways, f"lower {setting}.workers" if many else "see the server's log")
            if again := error.response.headers.get("retry-after"):
                said += f", Retry-After: {one_line(access, again)}"
            return f"{url}: refused {what} ({error.status_code}: {said}); {way}"
        case _:
            return (
                f"{url}: answered what is no answer to {what} ({one_line(access, str(error))}); "
                f"set {setting}.url, which mostly ends with /v1"
            )


def one_line(access: Access, text: str) -> str:
    """Return text of the server as one short line, without the key."""
    key = os.environ.get(access.key_variable or "")
    if key:
        text = text.replace(key, "***")
    return " ".join(text.split())[:_LONGEST]


def _said(access: Access, error: Any) -> str:
    """Return a server's own words over a refusal."""
    body = error.body
    inner = body.get("error", body) if isinstance(body, dict) else body
    words = inner.get("message") or inner.get("detail") if isinstance(inner, dict) else inner
    return one_line(access, str(words or f"status {error.status_code}"))
