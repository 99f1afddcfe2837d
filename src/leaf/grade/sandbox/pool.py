"""Judges programs side by side, each in a sandbox that was started ahead of need and dies with it.

Two sandboxes make one check. The solver runs the model's program and knows the calls, not what is
expected; the judge runs the tests and asks the solver. Our own process only hears the judge's
verdict, under a number that the solver never sees. Outputs of programs that read standard input
are compared here.
"""

import re
import secrets
import select
import socket
import time

from leaf.errors import SandboxError
from leaf.grade.judgement import NO_TESTS, Judgement, Program, ungradable
from leaf.grade.sandbox import printed
from leaf.grade.sandbox.bubble import Layout, Sandbox, too_large
from leaf.grade.sandbox.inside import frames, script
from leaf.grade.stations import StationPool
from leaf.records import Outcome

_GLANCE = 0.1
"""Seconds between two looks at what a sandbox holds."""

_GRACE = 1.0
"""Seconds that the tests may take to notice that their program is gone."""

_JUDGE_MEMORY = 2**30
"""Bytes that the tests of a data set may take."""

_REASON = 120
"""Characters of a program's own last words in a reason."""

_FUTURE = re.compile(r"^from[ \t]+__future__[ \t]+import[ \t][^\n(\\]*$", re.MULTILINE)

_OUTCOMES = {"right": Outcome.RIGHT, "wrong": Outcome.WRONG, "broken": Outcome.UNGRADABLE}


class SandboxPool(StationPool[Program]):
    """Runs programs against their tests; no process exists before the first one is needed.

    `run` raises `SandboxError` where sandboxes cannot be started: nothing is ever run without.
    """

    def __init__(self, *, time_limit: float, memory: int, workers: int) -> None:
        """Set the limits of one program: `time_limit` in seconds, `memory` in bytes."""
        super().__init__(workers)
        self._time_limit = time_limit
        self._memory = memory
        self._layout: Layout | None = None

    def close(self) -> None:
        """End the processes; a later run starts them again."""
        super().close()
        if self._layout is not None:
            self._layout.close()
            self._layout = None

    def _open(self) -> None:
        self._layout = Layout()

    def _station(self) -> "_Station":
        assert self._layout is not None  # noqa: S101 - `_open` made it
        return _Station(self._layout, time_limit=self._time_limit, memory=self._memory)


class _OverError(Exception):
    """A program used up its time or its memory."""


class _Station:
    """One thread's judge, and its next solver. The kernel ends both together with the thread."""

    def __init__(self, layout: Layout, *, time_limit: float, memory: int) -> None:
        self._layout = layout
        self._time_limit = time_limit
        self._memory = memory
        self._judge: Sandbox | None = None
        self._next: Sandbox | None = None
        self._live: set[Sandbox] = set()
        self._stopped = False

    def stop(self) -> None:
        """End its processes, from any thread; what waits for them goes on with an error."""
        self._stopped = True
        for sandbox in tuple(self._live):
            sandbox.stop()

    def close(self) -> None:
        """Give back what it holds, after its thread ended."""
        for sandbox in tuple(self._live):
            self._end(sandbox)

    def judge(self, program: Program) -> Judgement:
        """Judge one program in a solver of its own."""
        tests = program.tests
        if not tests.program and not tests.cases:
            return ungradable(NO_TESTS, program.source)
        solver = (self._next or self._start("solver")).ready()
        self._next = self._start("solver")  # it starts while this one works
        try:
            if tests.cases and not tests.entry_point:
                outcome, reason = _printed(program, solver, self._watch(solver), self._memory)
            else:
                outcome, reason = self._tested(program, solver)
        except _OverError as over:
            outcome, reason = Outcome.WRONG, str(over)
        finally:
            self._end(solver)
        if self._stopped:
            raise SandboxError("the sandboxes were closed while a program ran")
        return Judgement(outcome=outcome, extracted=program.source, reason=reason or None)

    def _tested(self, program: Program, solver: Sandbox) -> tuple[Outcome, str]:
        """Let the judge run the tests, which ask the solver."""
        judge = self._ready_judge()
        watch = self._watch(solver)  # not before: the judge's start is not the program's time
        near, far = socket.socketpair()
        nonce = secrets.token_hex(16)
        with near:
            with far:
                socket.send_fds(judge.line, [b"!"], [solver.line.fileno(), far.fileno()])
            try:
                # Only the judge has it from here: the solver's end shows when it is gone.
                solver.line.close()
                frames.send(near, _job(program, nonce, self._memory))
                said, outcome, reason, doubt = frames.receive(near, lambda: watch.wait(near))
            except _OverError:
                solver.stop()
                if not _ended(near):
                    self._end(judge)
                raise
            except frames.FrameError:
                if not judge.alive:
                    return Outcome.UNGRADABLE, "the sandbox of its tests ended"
                return Outcome.WRONG, "gave answers that ended its tests"
        if said != nonce:
            return Outcome.WRONG, "forged a verdict"
        if doubt:
            return self._doubted(program, _OUTCOMES[outcome], reason, doubt)
        return _OUTCOMES[outcome], reason

    def _doubted(
        self, program: Program, outcome: Outcome, reason: str, doubt: str
    ) -> tuple[Outcome, str]:
        """Let one process run the program and its tests, as Python would.

        What fails there is wrong. What passes there may have cheated, so it is not right; but it is
        not called wrong for what cannot cross the border between two processes.
        """
        whole = _one_process(program)
        if whole is None:
            return (Outcome.UNGRADABLE, f"cannot be judged from outside: {doubt}")
        solver = self._start("solver").ready()
        try:
            status = _run_script(solver, self._watch(solver), whole, "")[0]
        except (frames.FrameError, _OverError):
            status = 1
        finally:
            self._end(solver)
        if status == 0:
            return Outcome.UNGRADABLE, f"cannot be judged from outside: {doubt}"
        if outcome is Outcome.UNGRADABLE:
            return Outcome.WRONG, "fails its tests"
        return outcome, reason

    def _watch(self, solver: Sandbox) -> "_Watch":
        return _Watch(solver, time_limit=self._time_limit, memory=self._memory)

    def _ready_judge(self) -> Sandbox:
        if self._judge not in self._live or not self._judge.alive:
            self._judge = self._start("judge").ready()
        return self._judge

    def _start(self, module: str) -> Sandbox:
        memory = self._memory if module == "solver" else _JUDGE_MEMORY
        sandbox = self._layout.start(module, memory=memory, seconds=self._time_limit)
        self._live.add(sandbox)
        if self._stopped:
            sandbox.stop()
        return sandbox

    def _end(self, sandbox: Sandbox) -> None:
        sandbox.close()
        self._live.discard(sandbox)


class _Watch:
    """The limits of one program, kept from outside."""

    def __init__(self, solver: Sandbox, *, time_limit: float, memory: int) -> None:
        self._solver = solver
        self._time_limit = time_limit
        self._memory = memory
        self._deadline = time.monotonic() + time_limit
        self._glance = time.monotonic() + _GLANCE

    def wait(self, line: socket.socket) -> None:
        """Return when there is something to read.

        Raises:
            _OverError: the program used up its time, its memory or its files.
        """
        while True:
            now = time.monotonic()
            if now >= self._deadline:
                raise _OverError(f"took longer than {self._time_limit:g} s")
            if now >= self._glance:
                excess = self._solver.excess(self._memory)
                if excess is not None:
                    raise _OverError(excess)
                self._glance = time.monotonic() + _GLANCE
            if select.select([line], [], [], min(self._deadline - now, _GLANCE))[0]:
                return


def _printed(program: Program, solver: Sandbox, watch: _Watch, memory: int) -> tuple[Outcome, str]:
    """Run the program once a case, and compare what it prints here."""
    source = _source(program)
    for number, case in enumerate(program.tests.cases, start=1):
        try:
            status, output, errors = _run_script(solver, watch, source, case.given)
        except frames.FrameError:
            return Outcome.WRONG, f"ended without an answer in case {number}"
        if status == script.TOO_MUCH:
            return Outcome.WRONG, f"printed too much in case {number}"
        if "MemoryError" in errors and status:
            return Outcome.WRONG, too_large(memory)
        if status:
            last = errors.strip().rsplit("\n", 1)[-1][:_REASON] or f"status {status}"
            return Outcome.WRONG, f"failed in case {number}: {last}"
        if not printed.same(output, case.expected):
            return Outcome.WRONG, f"wrong output of case {number}"
    return Outcome.RIGHT, ""


def _run_script(solver: Sandbox, watch: _Watch, source: str, given: str) -> tuple[int, str, str]:
    """Return status, output and end of the errors of a program that reads standard input."""
    frames.send(solver.line, ["case", source, given])
    match frames.receive(solver.line, lambda: watch.wait(solver.line)):
        case ["ended", int(status), str(output), str(errors)]:
            return status, output, errors
    raise frames.FrameError("no end of a case")


def _source(program: Program) -> str:
    """Return the program after what its author could count on."""
    before = program.tests.preamble
    if not before:
        return program.source
    future = "".join(f"{line}\n" for line in _FUTURE.findall(program.source))  # these come first
    return f"{future}{before}\n{_FUTURE.sub('', program.source)}"


def _one_process(program: Program) -> str | None:
    """Return the program and its tests as one script, None where the tests are cases."""
    tests = program.tests
    if not tests.program:
        return None
    entry = f"candidate = {tests.entry_point}" if tests.entry_point else ""
    return "\n".join((_source(program), tests.helpers, entry, tests.program))


def _job(program: Program, nonce: str, memory: int) -> dict[str, object]:
    tests = program.tests
    return {
        "nonce": nonce,
        "memory": memory // 2**20,
        "source": _source(program),
        "entry_point": tests.entry_point,
        "preamble": tests.preamble,
        "program": tests.program,
        "helpers": tests.helpers,
        "cases": [(case.given, case.expected) for case in tests.cases],
    }


def _ended(line: socket.socket) -> bool:
    """Whether the judge's process ends by itself, now that its solver is gone."""
    until = time.monotonic() + _GRACE
    try:
        while (left := until - time.monotonic()) > 0:
            if select.select([line], [], [], left)[0] and not line.recv(2**16):
                return True
    except OSError:
        return True
    return False
