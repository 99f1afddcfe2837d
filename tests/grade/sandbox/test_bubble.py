"""One sandbox from its start to its end, whenever that comes."""

import contextlib
import secrets
import time

from leaf.grade.sandbox.bubble import Layout
from tests.grade.sandbox.processes import left
from tests.marks import needs_bwrap

pytestmark = needs_bwrap

_EARLY = 0.01
"""Seconds in which bubblewrap makes its namespaces and lets the first process in."""


def test_a_sandbox_that_is_closed_while_it_starts_leaves_no_process() -> None:
    memory, starts = 2**28 + secrets.randbelow(10**6), 150
    with contextlib.closing(Layout()) as layout:
        for number in range(starts):
            sandbox = layout.start("solver", memory=memory, seconds=1)
            time.sleep(_EARLY * number / starts)
            sandbox.close()
    orphans = left(memory)
    for process in orphans:
        process.kill()
    assert orphans == []
