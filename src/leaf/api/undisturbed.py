"""The process that called us, as it was: random states, warnings filters, libraries' bars."""

import random
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from leaf.models import threads
from leaf.models.quiet import quiet

_ALONE = threading.RLock()
"""Held by the call that works: what it sets and puts back belongs to the process, or to a model
that another thread may have handed in as well."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """Work for a block (or, as a decorator, a function) without a trace in the caller's process.

    Gradients can be taken inside, also where the caller has switched them off.

    Whoever looks at a model in the middle of a training script goes on with the same random
    numbers. Libraries that are imported on the way change the filters of warnings, too. PyTorch
    takes no more threads than this container may use. Calls from several threads work one after
    the other.
    """
    with _ALONE, _as_it_was():
        yield


@contextmanager
def _as_it_was() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    with (
        warnings.catch_warnings(),
        quiet(),
        threads.settled(),
        torch.random.fork_rng(devices=devices),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
