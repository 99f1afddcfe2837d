"""One sandbox: an interpreter in namespaces of its own, with nothing of this machine but itself.

What it sees: the interpreter under /python, numpy under /packages, the code of `inside`, the
system's libraries, all read-only, four device nodes, and a small /tmp of its own. No /proc, no
/home, no /etc, no network, no program to start. It runs as `nobody` where we are root, else as the
user that we are, in a user namespace without any right.
"""

import contextlib
import importlib.machinery
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import IO, Self

from leaf.errors import SandboxError
from leaf.grade.sandbox import inside, usage
from leaf.grade.sandbox.filters import filter_program
from leaf.grade.sandbox.inside import frames, limits
from leaf.grade.sandbox.stage import reachable, stage

_NOBODY = 65534
_START = 60.0
"""Seconds that a sandbox may take to start, on a busy machine."""

_ENVIRONMENT = {
    "HOME": "/tmp",  # noqa: S108  (the sandbox's own)
    "TMPDIR": "/tmp",  # noqa: S108
    "PATH": "/python/bin",
    "LANG": "C.UTF-8",
    "LD_LIBRARY_PATH": "/python/lib",
    "PYTHONPATH": "/packages",
    "PYTHONUTF8": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    # One order of sets in every run, so that a verdict can be had again.
    "PYTHONHASHSEED": "0",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}

_BOOT = (
    "import sys; sys.path.insert(0, '/code'); from inside import {module} as module; "
    "sys.path.remove('/code'); module.main({memory}, {seconds})"
)


class Layout:
    """What every sandbox of a pool sees."""

    def __init__(self) -> None:
        self._command = _command()
        self._filter = filter_program()
        self._files: list[int] = []
        bound = _bound()
        sources = list(bound)
        if os.geteuid() == 0 and not all(reachable(Path(source)) for source in sources):
            namespace, sources = stage(sources)
            self._files.append(namespace)
            # By our own table of files: what a sandbox is handed stays open inside it.
            place = f"/proc/{os.getpid()}/fd/{namespace}"
            self._command = ["nsenter", f"--mount={place}", *self._command]
        pairs = zip(sources, bound.values(), strict=True)
        self._words = [word for pair in pairs for word in ("--ro-bind", *pair)]
        self._words += _links() + _without_site()

    def close(self) -> None:
        """Close what was opened; running sandboxes keep theirs."""
        while self._files:
            os.close(self._files.pop())

    def start(self, module: str, *, memory: int, seconds: float) -> "Sandbox":
        """Start a sandbox that runs `main` of a module of `inside`; wait for it with `ready`.

        Args:
            module: Its name.
            memory: Bytes that a program may take.
            seconds: Processor time of a process, rounded up, where the module limits it.
        """
        near, far = socket.socketpair()
        read, write = os.pipe()
        try:
            os.write(write, self._filter)
            os.close(write)
            boot = _BOOT.format(module=module, memory=memory, seconds=math.ceil(seconds) + 1)
            words = [*self._command, *_isolation(read), *self._words, *_LAST]
            process = subprocess.Popen(  # noqa: S603
                [*words, f"/python/bin/{_executable().name}", "-s", "-S", "-P", "-c", boot],
                stdin=far.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[read],
                env={"PATH": os.defpath},  # the first process inside keeps what it was started with
                cwd="/",
                process_group=0,
            )
        except OSError as error:
            near.close()
            raise SandboxError(f"bubblewrap cannot be started: {error}") from error
        finally:
            os.close(read)
            far.close()
        return Sandbox(process, near)


class Sandbox:
    """A started sandbox and the socket that is its standard input."""

    def __init__(self, process: subprocess.Popen[bytes], line: socket.socket) -> None:
        self._process = process
        self.line = line

    def ready(self) -> Self:
        """Wait until it is ready for a program.

        Raises:
            SandboxError: it could not be started.
        """
        self.line.settimeout(_START)
        try:
            said = frames.receive(self.line)
        except frames.FrameError:
            said = None
        if said != ["ready"]:
            self.stop()
            errors = _tail(self._process.stderr)
            self.close()
            raise SandboxError(_refusal(errors))
        return self

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def excess(self, memory: int) -> str | None:
        """Return what its processes hold too much of, in words.

        Args:
            memory: Bytes that they may hold together.
        """
        pids = usage.processes(self._process.pid)
        if usage.memory(pids) > memory:
            return too_large(memory)
        if any(usage.files(pids, folder) > limits.INODES for folder in _WRITABLE):
            return f"makes more than {limits.INODES:,} files"
        return None

    def stop(self) -> None:
        """End all its processes at once; from any thread."""
        # The first process inside waits to be let in, for ever if bubblewrap is killed before it
        # lets it: until then it belongs to the same group.
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End it, and give back what it held here."""
        self.stop()
        self._process.wait()
        self.line.close()
        if self._process.stderr is not None:
            self._process.stderr.close()


def too_large(memory: int) -> str:
    """Return what is said of a program that needs too much memory."""
    return f"needs more than {memory // 2**20} MiB"


def _command() -> list[str]:
    """Return the words before bubblewrap's own options, itself included."""
    if sys.platform != "linux":
        raise SandboxError(f"programs are run on Linux only (bubblewrap); this is {sys.platform}")
    bwrap, setpriv = shutil.which("bwrap"), shutil.which("setpriv")
    if bwrap is None:
        raise SandboxError(
            "programs are only run in bubblewrap, which is not installed; "
            "`apt-get install bubblewrap` installs it"
        )
    if os.geteuid() != 0:
        return [bwrap]
    if setpriv is None:
        raise SandboxError(
            "programs are not run as root, and setpriv is not installed; "
            "`apt-get install util-linux` installs it"
        )
    # No limit of processes holds for root, and root reads everything.
    return [setpriv, f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", bwrap]


def _isolation(filter_file: int) -> list[str]:
    return [
        *("--unshare-user", "--unshare-all", "--new-session", "--die-with-parent"),
        *("--cap-drop", "ALL", "--uid", str(_NOBODY), "--gid", str(_NOBODY)),
        *("--hostname", "sandbox", "--clearenv", "--seccomp", str(filter_file)),
        *(word for pair in _ENVIRONMENT.items() for word in ("--setenv", *pair)),
        *(word for node in _DEVICES for word in ("--dev-bind", node, node)),
    ]


_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")

_LIBRARIES = ("/usr/lib", "/usr/lib64", "/lib", "/lib64")
_PACKAGES = ("numpy", "sortedcontainers")

_WRITABLE = ("/tmp", "/dev/shm", "/std")  # noqa: S108
"""File systems of a sandbox's own: for its files, for semaphores, for its standard streams."""

_LAST = (
    *(w for place in _WRITABLE for w in ("--size", str(limits.FILE), "--tmpfs", place)),
    *("--symlink", "/std/in", "/dev/stdin", "--symlink", "/std/out", "/dev/stdout"),
    *("--symlink", "/std/err", "/dev/stderr", "--symlink", "/std/in", "/dev/fd/0"),
    *("--symlink", "/std/out", "/dev/fd/1", "--symlink", "/std/err", "/dev/fd/2"),
    *("--remount-ro", "/", "--chdir", "/tmp"),  # noqa: S108
)


def _executable() -> Path:
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def _bound() -> dict[str, str]:
    """Return what is bound read-only: where it is here, where it is inside."""
    base = Path(sys.base_prefix)
    bound = {str(path): str(path) for path in _libraries() if not path.is_symlink()}
    bound[str(_executable())] = f"/python/bin/{_executable().name}"
    if base == Path("/usr"):
        for kind in ("stdlib", "platstdlib"):
            library = Path(sysconfig.get_path(kind, vars=_plain(base)))
            bound[str(library)] = f"/python/{library.relative_to(base)}"
    else:
        bound[str(base / "lib")] = "/python/lib"
    for package in _packages():
        bound[str(package)] = f"/packages/{package.name}"
    bound[str(Path(inside.__file__).parent)] = "/code/inside"
    return bound


def _plain(base: Path) -> dict[str, str]:
    return {
        name: str(base) for name in ("base", "platbase", "installed_base", "installed_platbase")
    }


def _packages() -> list[Path]:
    """Return the folders of what programs and tests of the data sets import besides the library.

    They are looked for where this interpreter would import them from: in its environment, under
    PYTHONPATH, at the user's.
    """
    found = set()
    for name in _PACKAGES:
        spec = importlib.machinery.PathFinder.find_spec(name)
        for place in (spec and spec.submodule_search_locations) or ():
            found |= {Path(place), Path(f"{place}.libs")}  # the libraries that a wheel brings
    return sorted(path for path in found if path.is_dir())


def _libraries() -> list[Path]:
    return [
        path for path in map(Path, ("/usr/lib", "/usr/lib64", "/lib", "/lib64")) if path.exists()
    ]


def _links() -> list[str]:
    links = [path for path in _libraries() if path.is_symlink()]
    return [word for path in links for word in ("--symlink", str(path.readlink()), str(path))]


def _without_site() -> list[str]:
    """Return the words that hide what is installed in the interpreter itself.

    A program starts faster without it, and no file that runs at every start (.pth) is obeyed.
    """
    site = Path("lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    if not Path(sys.base_prefix, site).is_dir() or sys.base_prefix == "/usr":
        return []
    return ["--tmpfs", f"/python/{site}", "--remount-ro", f"/python/{site}"]


def _tail(stream: IO[bytes] | None) -> str:
    return "" if stream is None else stream.read(4096).decode("utf-8", "replace")


def _refusal(errors: str) -> str:
    """Return the line for a sandbox that did not start."""
    said = " ".join(errors.split())[:300] or "it said nothing"
    if "amespace" in said or "uid map" in said or "loopback" in said:
        return (
            f"bubblewrap may not make namespaces here ({said}); as root: "
            "`sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu), "
            "`sysctl -w kernel.unprivileged_userns_clone=1` (Debian), in a container: "
            "`--security-opt seccomp=unconfined`"
        )
    return f"a sandbox cannot be started ({said}); `apt-get install bubblewrap` brings a newer one"
