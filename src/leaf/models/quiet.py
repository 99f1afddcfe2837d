"""The libraries' own warnings and progress bars, switched off for a block and on again after it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import transformers
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars
from huggingface_hub.utils.tqdm import enable_progress_bars as enable_hub_bars

_log = transformers.utils.logging
_accelerate = logging.getLogger("accelerate")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the libraries while we load and run models; LeaF has bars of its own.

    Whoever imports `leaf` into a script keeps the levels and bars that the script has set.
    """
    level, bars = _log.get_verbosity(), _log.is_progress_bar_enabled()
    hub_bars, spreading = not are_progress_bars_disabled(), _accelerate.level
    _log.set_verbosity_error()  # type: ignore[no-untyped-call]
    _accelerate.setLevel(logging.ERROR)
    _log.disable_progress_bar()  # type: ignore[no-untyped-call]
    disable_progress_bars()
    try:
        yield
    finally:
        _log.set_verbosity(level)
        _accelerate.setLevel(spreading)
        if bars:
            _log.enable_progress_bar()  # type: ignore[no-untyped-call]
        if hub_bars:
            enable_hub_bars()
