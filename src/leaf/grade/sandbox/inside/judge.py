"""Runs the tests of a data set against a program that runs elsewhere: a warm, forking server.

Our own process sends two sockets: the first leads to the sandbox of the model's program, on the
second it sends a job and is told the verdict `[nonce, outcome, reason, doubt]`. A verdict is in
doubt where something happened that may differ when the tests and the program are one process. Each
job has a process of its own; no code of a data set runs in the server.
"""

import builtins
import contextlib
import gc
import importlib
import json
import os
import random
import signal
import socket
import sys
import traceback
import types
from typing import Any

from . import close, frames, limits
from .link import Fault, Link, UnsentError

RIGHT, WRONG, BROKEN = "right", "wrong", "broken"
"""Outcomes: the last one is a fault of the tests."""

_SHARED = ("mock", "patch", "warnings", "environ", "getenv", "logging", "sys.argv", "chdir")
"""Words of tests that do something to a whole process."""

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
        link = Link(solver)
        _share_seed(link)
        files = set(os.listdir("/tmp"))  # noqa: S108, PTH208
        outcome, reason = judge(job, link)
        certain = outcome == RIGHT or link.fault is not None or link.lied
        doubt = "" if certain else link.doubt or _shared_by_tests(job["program"], files)
        told = [_printable(reason), _printable(doubt)]
        frames.send(verdict, [job["nonce"], outcome, *told])
    finally:
        os._exit(0)


def _share_seed(link: Link) -> None:
    """Let the program's random numbers start where the tests say."""
    seed = random.seed

    def shared(*words: Any, **named: Any) -> None:
        seed(*words, **named)
        link.seed(*words, **named)

    random.seed = shared


def _shared_by_tests(program: str, files: set[str]) -> str:
    """Return what tests may do that a program would see in one process, "" where it is nothing."""
    for word in _SHARED:
        if word in program:
            return f"its tests use `{word}`"
    if set(os.listdir("/tmp")) - files:  # noqa: S108, PTH208
        return "its tests write files"
    return ""


def _printable(text: str) -> str:
    text = "".join(c if c.isprintable() else " " for c in text)
    return text.encode("utf-8", "replace").decode()[:_REASON]


def judge(job: dict[str, Any], link: Link) -> tuple[str, str]:
    """Return the outcome and its reason, "" where it is right.

    Args:
        job: The fields of `leaf.records.Tests`, `source` (after its preamble), `memory` in MiB.
        link: To the process that runs the program.
    """
    space = _Space(link)
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
    return _passed(link)


def _passed(link: Link) -> tuple[str, str]:
    """Return the outcome where the tests did not raise."""
    if link.fault is not None:
        return WRONG, link.fault
    if link.lied:
        return WRONG, "gave an object that equals everything"
    if not link.uses:
        return BROKEN, "its tests never use the program"
    return RIGHT, ""


class _Space(dict[str, Any]):
    """The names of the tests. What they do not define themselves, the program may.

    It is asked each time, since a program may change what it has under a name; of functions and
    classes one answer is enough.
    """

    def __init__(self, link: Link) -> None:
        tests = types.ModuleType("tests")
        sys.modules["tests"] = tests
        super().__init__(vars(tests))
        self._link = link
        self.asked: frozenset[str] = frozenset()
        """Names that the program may define for the tests."""

    def __missing__(self, name: str) -> Any:
        if name not in self.asked:
            raise KeyError(name)
        found, called, value = self._link.find("name", name)
        if not found:
            raise KeyError(name)
        if called:
            self[name] = value
        return value


def _prepared(job: dict[str, Any], space: _Space) -> types.CodeType:
    """Define what the tests need besides the model's program, and return their own code."""
    with contextlib.suppress(Exception):  # it may be the beginning of a function
        exec(compile(job["preamble"], "<preamble>", "exec"), space)  # noqa: S102
    exec(compile(job["helpers"], "<helpers>", "exec"), space)  # noqa: S102
    return compile(job["program"], "<tests>", "exec")


def _bind(job: dict[str, Any], space: _Space, link: Link, program: types.CodeType) -> None:
    """Run the model's program, and let the tests find what they use of it.

    Raises:
        Fault: it does not define what the tests call.
    """
    shared = {
        name: kind
        for name, kind in space.items()
        if isinstance(kind, type) and kind.__module__ == "tests"
    }
    link.run(job["source"], shared)
    entry = job["entry_point"]
    called = entry.partition("(")[0].partition(".")[0]  # `Solution().f` has the name `Solution`
    used = [n for n in _names(program) if n not in {*space, *dir(builtins), called}]
    for name in sys.stdlib_module_names.intersection(used):
        # A module that the tests forgot to import is the real one, never the program's.
        space[name] = importlib.import_module(name)
    # Whatever else it offers would stand for names of the tests themselves, or for `abs`.
    space.asked = frozenset(name for name in used if name not in space)
    if not entry:
        return
    found, callable_, candidate = link.find("entry", entry)
    if not found or not callable_:
        link.fault = f"does not define `{called}`" if not found else f"`{entry}` is no function"
        raise Fault(link.fault)
    space["candidate"] = candidate
    space[called] = candidate if called == entry else link.find("name", called)[2]


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
    if link.doubt is not None and isinstance(error, UnsentError):
        return BROKEN, f"cannot be judged from outside: {link.doubt}"
    if not link.uses:
        return BROKEN, f"its tests cannot be run: {_described(error)}"
    if isinstance(error, FileNotFoundError):
        link.doubt = link.doubt or "its tests read files"
    if isinstance(error, AssertionError):
        text = " ".join(str(error)[:_REASON].split())
        return WRONG, f"assertion failed{f': {text}' if text else ''}"
    return WRONG, f"assertion failed: {_described(error)}"


def _described(error: BaseException) -> str:
    return " ".join("".join(traceback.format_exception_only(error))[:_REASON].split())
