"""Runs the tests of a data set against a program that runs elsewhere: a warm, forking server.

Our own process sends, with two sockets, `["judge", job]`: the first socket leads to the sandbox of
the model's program, on the second the verdict `[nonce, outcome, reason]` is told. Each job has a
process of its own; no code of a data set runs in the server.
"""

import builtins
import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import traceback
import types
from typing import Any

from . import close, frames, limits
from .standins import Fault, Link, UnsentError

RIGHT, WRONG, BROKEN = "right", "wrong", "broken"
"""Outcomes: the last one is a fault of the tests."""

_REASON = 160
"""Characters of a reason."""


def main(memory: int, seconds: int) -> None:
    """Say that this sandbox is ready, then serve until the other side closes the socket."""
    control = socket.socket(fileno=os.dup(0))
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)
    limits.confine(memory=memory, seconds=None)
    with contextlib.suppress(ImportError):  # half of all tests need it, and it is slow to import
        import numpy

        close.strict(numpy)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    gc.collect()
    gc.freeze()
    frames.send(control, ["ready"])
    while True:
        _byte, sockets, _flags, _address = socket.recv_fds(control, 1, 2)
        if len(sockets) != 2:
            return
        solver, verdict = (socket.socket(fileno=number) for number in sockets)
        if os.fork() == 0:
            control.close()
            solver.setblocking(True)  # the other side may have had time limits on it
            _serve(solver, verdict)
        solver.close()
        verdict.close()


def _serve(solver: socket.socket, verdict: socket.socket) -> None:
    """Judge one program; never returns."""
    try:
        job = frames.receive(verdict)
        outcome, reason = judge(job, Link(solver))
        text = "".join(c if c.isprintable() else " " for c in reason)
        text = text.encode("utf-8", "replace").decode()
        frames.send(verdict, [job["nonce"], outcome, text[:_REASON]])
    finally:
        os._exit(0)


def judge(job: dict[str, Any], link: Link) -> tuple[str, str]:
    """Return the outcome and its reason, "" where it is right.

    Args:
        job: The fields of `leaf.records.Tests`, `source` (after its preamble), `memory` in MiB.
        link: To the process that runs the program.
    """
    tests = types.ModuleType("tests")
    sys.modules["tests"] = tests
    space = vars(tests)
    try:
        program = _prepared(job, space)
    except Exception as error:
        return BROKEN, f"its tests cannot be run: {_described(error)}"
    try:
        _bind(job, space, link, program)
        if job["cases"]:
            return _judge_cases(job["cases"], space["candidate"])
        exec(program, space)  # noqa: S102
    except BaseException as error:
        return _failure(error, link, job["memory"])
    if link.fault is not None:
        return WRONG, link.fault
    if not link.uses:
        return BROKEN, "its tests never use the program"
    return RIGHT, ""


def _prepared(job: dict[str, Any], space: dict[str, Any]) -> types.CodeType:
    """Define what the tests need besides the model's program, and return their own code."""
    with contextlib.suppress(Exception):  # it may be the beginning of a function
        exec(compile(job["preamble"], "<preamble>", "exec"), space)  # noqa: S102
    exec(compile(job["helpers"], "<helpers>", "exec"), space)  # noqa: S102
    return compile(job["program"], "<tests>", "exec")


def _bind(job: dict[str, Any], space: dict[str, Any], link: Link, program: types.CodeType) -> None:
    """Run the model's program and put stand-ins for what the tests use of it.

    Raises:
        Fault: it does not define what the tests call.
    """
    shared = {
        name: kind
        for name, kind in space.items()
        if isinstance(kind, type) and kind.__module__ == "tests"
    }
    link.run(job["source"], shared)
    entry = compile(job["entry_point"] or "None", "<entry point>", "eval")
    called = entry.co_names[:1]  # of `Solution().f` the class alone is a name of the program
    used = [n for n in _names(program) if n not in {*space, *dir(builtins), *called}]
    for name in sys.stdlib_module_names.intersection(used):
        # A module that the tests forgot to import is the real one, never the program's.
        space[name] = importlib.import_module(name)
    asked = [*called, *(name for name in used if name not in space)]
    found = link.names(asked)
    for name in called:
        if name not in found:
            link.fault = f"does not define `{name}`"
            raise Fault(link.fault)
    # Whatever else it offers would stand for names of the tests themselves, or for `abs`.
    space.update({name: found[name] for name in asked if name in found})
    space["candidate"] = eval(entry, space)  # noqa: S307


def _names(code: types.CodeType) -> list[str]:
    """Return all global names that code may use; names of attributes are among them."""
    inner = [one for one in code.co_consts if isinstance(one, types.CodeType)]
    return sorted({*code.co_names, *(name for one in inner for name in _names(one))})


def _judge_cases(cases: list[list[str]], candidate: Any) -> tuple[str, str]:
    for number, (given, expected) in enumerate(cases, start=1):
        try:
            arguments = [json.loads(line) for line in given.splitlines() if line.strip()]
            wanted = json.loads(expected)
        except ValueError as error:
            return BROKEN, f"case {number} is not JSON: {_described(error)}"
        if _listed(candidate(*arguments)) != wanted:
            return WRONG, f"wrong result of case {number}"
    return RIGHT, ""


def _listed(value: Any) -> Any:
    """Return a value as JSON would give it back: tuples as lists, also inside."""
    if isinstance(value, list | tuple):
        return [_listed(one) for one in value]
    if type(value) is dict:
        return {str(key) if type(key) is int else key: _listed(one) for key, one in value.items()}
    return value


def _failure(error: BaseException, link: Link, memory: int) -> tuple[str, str]:
    """Return the outcome where the tests raised."""
    if link.fault is not None:
        return WRONG, link.fault
    if error is link.raised:
        too_much = isinstance(error, MemoryError)
        return WRONG, f"needs more than {memory} MiB" if too_much else link.said
    if not link.uses or isinstance(error, UnsentError):
        return BROKEN, f"its tests cannot be run: {_described(error)}"
    if isinstance(error, AssertionError):
        text = " ".join(str(error)[:_REASON].split())
        return WRONG, f"assertion failed{f': {text}' if text else ''}"
    return WRONG, f"assertion failed: {_described(error)}"


def _described(error: BaseException) -> str:
    return " ".join("".join(traceback.format_exception_only(error))[:_REASON].split())
