"""The process in which answers are compared: it reads comparisons and writes judgements.

Its standard input is a socket to `leaf.grade.pool`; when the other side closes it, it ends.
"""

import math
import os
import resource
import signal
from multiprocessing.connection import Connection

import psutil

from leaf.grade.judgement import Comparison, Judgement, ungradable
from leaf.grade.symbolic import compare, warm_up

_MEMORY = 2 * 1024**3
"""Bytes of address space that a comparison may take beyond what its imports hold."""


def main(time_limit: float) -> None:
    """Compare until nobody asks any more; `time_limit` is the other side's, in seconds."""
    line = Connection(os.dup(0))
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    # Whoever interrupts the run is heard by the process that started us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        prepare()
    except Exception as error:
        line.send(f"{type(error).__name__}: {error}")
        return
    line.send("ready")
    while True:
        try:
            comparison = line.recv()
        except EOFError:
            return
        # The other side keeps the time; the alarm ends us where it was killed, even inside C code.
        signal.alarm(math.ceil(time_limit) + 10)
        line.send(_judged(comparison))
        signal.alarm(0)


def prepare() -> None:
    """Be warm, and limited in memory from here on."""
    warm_up()
    limit = psutil.Process().memory_info().vms + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _judged(comparison: Comparison) -> Judgement:
    try:
        return compare(comparison)
    except MemoryError:
        reason = f"symbolic comparison needs more than {_MEMORY // 1024**3} GiB"
    except Exception as error:  # any fault of a parser on a model's text, named in the record
        reason = f"symbolic comparison failed: {type(error).__name__}: {error!s:.80}"
    return ungradable(reason, comparison.answer if comparison.whole else None)
