"""The Hugging Face hub where it does not answer: its libraries then look into the cache alone."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_ANSWERS_IN = 3.0
"""Seconds that the hub has for an answer; HF_HUB_ETAG_TIMEOUT, the hub's own setting, wins."""


_YES = {"1", "ON", "YES", "TRUE"}
"""What switches a variable of the hub's libraries on."""


@contextmanager
def hub_or_cache(*, data: bool = False) -> Iterator[bool]:
    """Say whether the hub answers in time; if not, what is read within comes from the cache alone.

    The hub's own look-ups of a repository, of models and of data sets, wait for ever.

    Args:
        data: Whether a data set is read, which has a variable of its own to be offline.
    """
    from huggingface_hub import constants

    if not _offline_by(data=data) and _answers(_seconds()):
        yield True
        return
    offline, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield False
    finally:
        constants.HF_HUB_OFFLINE = offline


def unreached(local: str, *, data: bool = False) -> str:
    """Say why what is not in the cache cannot be had, and the way out; `local` would do instead."""
    if variable := _offline_by(data=data):
        why = f"{variable} is set and it is not in the cache; unset {variable}"
    else:
        other = "HF_HUB_ETAG_TIMEOUT sets another time"
        why = f"the hub cannot be reached (in {_seconds():g} s; {other}); connect once to cache it"
    return f"{why}, or give {local}"


def _offline_by(*, data: bool) -> str:
    """Return the variable that keeps the hub's libraries to the cache, or ""."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", *(["HF_DATASETS_OFFLINE"] if data else ()))
    return next((name for name in names if os.environ.get(name, "").upper() in _YES), "")


def _seconds() -> float:
    return float(os.environ.get("HF_HUB_ETAG_TIMEOUT") or _ANSWERS_IN)


def _answers(seconds: float) -> bool:
    """Ask the hub for anything, once; a sign in time, were it a refusal, is an answer.

    What looks up names and tries one address after another knows no limit for all of it: hence the
    thread.
    """
    from huggingface_hub import constants, get_session

    answered = threading.Event()

    def ask() -> None:
        # Of httpx or httpx2, as the hub's version has it; or offline mode.
        with suppress(Exception):
            get_session().head(constants.ENDPOINT, timeout=seconds)
            answered.set()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()
