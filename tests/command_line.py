"""The command `leaf`, run in the process of a test."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

from leaf.cli.main import main


@dataclass(frozen=True)
class Done:
    """What a command gave back."""

    code: int
    out: str
    err: str


def leaf(*words: str | Path) -> Done:
    """Run the command in this process; anything but an exit code is a traceback and fails."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(word) for word in words])
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return Done(code, out.getvalue(), err.getvalue())


def complaint(*words: str | Path) -> str:
    """Run what must be refused: exit code 2, one line on standard error, no result."""
    done = leaf(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("leaf: ")
    assert done.err.count("\n") == 1
    return done.err.removeprefix("leaf: ").rstrip("\n")
