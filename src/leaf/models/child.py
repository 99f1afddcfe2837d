"""Work on files of strangers, in a process of its own that may hang, swell or die in our place.

The process is a fork: it knows what is loaded and costs next to nothing. It has limits of processor
time and memory, nothing to read from and nowhere to write to but what the work itself opens; nobody
is asked anything. It computes on one thread and must not touch an accelerator.
"""

import faulthandler
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import NoReturn, Protocol

import psutil
import torch

from leaf.errors import LeafError, ModelError


class Step(Protocol):
    """Tells what comes next, such as `its tokenizer`: the error names it where the process dies."""

    def __call__(self, text: str, seconds: float | None = None) -> None:
        """Name it; it may take so many seconds of processor time, never more than are left."""


SECONDS = 10.0
"""Of processor time, for files of no size to speak of: a library's code is read in it as well."""

MEMORY = 2**31
"""Bytes beyond what the process has, for such files."""

_PATIENCE = 120.0
"""Seconds that a process may wait without computing: for a slow disk."""

_OK, _BAD = "ok", "bad: "


def in_child(
    work: Callable[[Step], None], *, what: str, seconds: float = SECONDS, memory: int = MEMORY
) -> None:
    """Do some work in a process of its own, where it can do no harm.

    Where processes cannot be forked safely (macOS, Windows) it is done here.

    Args:
        work: Is given what tells its steps.
        what: Begins an error: the model, and what is done with it.
        seconds: Most processor time.
        memory: Most bytes that it may take.

    Raises:
        ModelError: the work's own error, or one that says in which step the process ended and why.
    """
    if sys.platform != "linux":
        work(lambda text, seconds=None: None)
        return
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # Python warns of threads that a fork leaves behind; ours calls nothing that waits for one.
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        os.close(reader)
        _work_and_leave(work, writer, what, seconds, memory)
    os.close(writer)
    try:
        said, waited = _listen(reader, seconds + _PATIENCE)
        if waited:
            os.kill(child, signal.SIGKILL)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        os.close(reader)
        _, status = os.waitpid(child, 0)
    last = said.rstrip("\n").rpartition("\n")[2]
    if last.startswith(_BAD):
        raise ModelError(last.removeprefix(_BAD))
    if last != _OK:
        step, _, own = last.partition("\t")
        during = f"{what}, {step}: " if step else f"{what}: "
        raise ModelError(during + _why(status, float(own or seconds), waited=waited))


def _listen(reader: int, seconds: float) -> tuple[str, bool]:
    """Read what the process says to its end; return it, and whether there was no end to it."""
    until, said = time.monotonic() + seconds, b""
    while (left := until - time.monotonic()) > 0:
        if select.select([reader], [], [], left)[0]:
            part = os.read(reader, 2**16)
            if not part:
                return said.decode(errors="replace"), False
            said += part
    return said.decode(errors="replace"), True


def _why(status: int, seconds: float, *, waited: bool) -> str:
    """Say why a process ended that said nothing."""
    if waited:
        return f"no end after {seconds + _PATIENCE:.0f} s; run it again when the disk is not busy"
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number == signal.SIGXCPU:
        return (
            f"more than {seconds:.0f} s of processor time, so it is damaged or made to hang; "
            "take the model from where it was published"
        )
    ended = f"ended by {signal.Signals(number).name}" if number else "ended early"
    return (
        f"the process that opened it {ended}, so it is damaged or made to do so; take the model "
        "from where it was published"
    )


def _work_and_leave(
    work: Callable[[Step], None], writer: int, what: str, most: float, memory: int
) -> NoReturn:
    """Be the process: work within limits, say how it went and end without a trace."""
    message, step = _OK, ""

    def tell(text: str, seconds: float | None = None) -> None:
        nonlocal step
        step = f", {text}"
        own = most if seconds is None else min(seconds, most)
        _limit(resource.RLIMIT_CPU, _whole(min(own, most - time.process_time())))
        os.write(writer, f"{text}\t{own}\n".encode())

    try:
        faulthandler.disable()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        torch.set_num_threads(1)
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_CPU, _whole(most))
        _limit(resource.RLIMIT_DATA, psutil.Process().memory_info().data + memory)
        work(tell)
    except LeafError as error:
        message = f"{_BAD}{error}"
    except MemoryError:
        message = (
            f"{_BAD}{what}{step}: more than {memory // 2**20} MiB of memory, so it is damaged or "
            "made to fill it; take the model from where it was published"
        )
    # Whatever else it is, such as a panic of Rust, the other process says it in one line.
    except BaseException as error:
        text = " ".join(str(error).split())[:300]
        message = f"{_BAD}{what}{step}: {text or type(error).__name__}"
    finally:
        os.write(writer, f"{' '.join(message.splitlines())}\n".encode())
        os._exit(0)


def _whole(seconds: float) -> int:
    """Return the processor time at which so many seconds more are over, a whole number."""
    return int(time.process_time() + max(seconds, 0)) + 1


def _limit(kind: int, limit: int) -> None:
    hard = resource.getrlimit(kind)[1]
    soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (soft, hard))
