"""Every attack is contained, and scored as failed, by root and by a user without rights.

What an attack may have changed is looked at from outside: files, processes, connections.
"""

import importlib.util
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

from leaf.grade.sandbox import inside
from tests.grade.sandbox.processes import left, processes
from tests.marks import ROOT, needs_bwrap

NOBODY = 65534


def load_attacks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("attacks", Path(__file__).with_name("attacks.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["attacks"] = module
    spec.loader.exec_module(module)
    return module


attacks = load_attacks()
RIGHT = f"def f(x): return {attacks.EXPECTED!r}"
pytestmark = needs_bwrap


@dataclass
class Aftermath:
    """What one identity's run left, seen from outside."""

    folder: Path
    memory: int
    """A number that the command line of each of its sandboxes names."""
    secret: str
    verdicts: dict[str, list[str]] = field(default_factory=dict)
    connections: int = 0
    seen: int = 0
    """Most sandbox processes at one time: shows that looking for them finds them."""


class Listener:
    """Counts who connects to a port, as a stream or by datagram, or to an abstract socket."""

    def __init__(self, name: str) -> None:
        self.stream = socket.create_server(("127.0.0.1", 0))
        self.port = self.stream.getsockname()[1]
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind(("127.0.0.1", self.port))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(b"\0" + name.encode())
        self.abstract.listen()

    def count(self) -> int:
        got = 0
        for line, take in (
            (self.stream, self.stream.accept),
            (self.abstract, self.abstract.accept),
            (self.datagrams, lambda: self.datagrams.recv(9)),
        ):
            line.setblocking(False)
            try:
                take()
                got += 1
            except BlockingIOError:
                pass
            line.close()
        return got


@pytest.fixture(scope="module", params=["root", "user"])
def after(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Aftermath]:
    root = os.geteuid() == 0
    if request.param == "root" and not root:
        pytest.skip("these tests do not run as root")
    folder = Path(tmp_path_factory.mktemp("outside"))
    secret = secrets.token_hex(8)
    (folder / "secret").write_text(secret)
    if root:  # every user may read and write what an attack looks for
        for parent in [folder, *folder.parents][:4]:
            parent.chmod(0o777)
    found = Aftermath(folder=folder, memory=256 * 2**20 + secrets.randbelow(10**6), secret=secret)
    listener = Listener(secret)
    words = {
        "HOME": str(Path.home()),
        "SECRET": str(folder / "secret"),
        "CANARY": str(folder / "canary"),
        "CANARY_FOLDER": str(folder),
        "PID": str(os.getpid()),
        "PROJECT": str(ROOT),
        "PORT": str(listener.port),
        "SOCKET": secret,
    }
    sources = {
        name: re.sub("@([A-Z_]+)@", lambda match: words[match[1]], attack.source)
        for name, attack in attacks.ATTACKS.items()
    }
    sources |= {"right": RIGHT}
    stop = threading.Event()
    looking = threading.Thread(target=look, args=(found, stop))
    looking.start()
    try:
        os.environ["LEAF_SANDBOX_SECRET"] = secret
        if request.param == "user" and root:
            found.verdicts = judge_as_nobody(sources, found.memory)
        else:
            found.verdicts = attacks.judge(sources, found.memory)
    finally:
        del os.environ["LEAF_SANDBOX_SECRET"]
        stop.set()
        looking.join()
    found.connections = listener.count()
    yield found


def look(found: Aftermath, stop: threading.Event) -> None:
    while not stop.wait(2):
        found.seen = max(found.seen, len(processes(found.memory)))


def judge_as_nobody(sources: dict[str, str], memory: int) -> dict[str, list[str]]:
    """Judge in a process of another user, by an interpreter that it can read."""
    python = next((p for p in (sys.executable, "/usr/bin/python3") if readable(p)), None)
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    if python is None or not readable(packages) or not readable(str(ROOT)):
        pytest.skip("an unprivileged user can read no Python here, or not this folder")
    done = subprocess.run(
        [python, str(Path(__file__).with_name("attacks.py"))],
        input=json.dumps([sources, memory]),
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{packages}", "HOME": "/"},
        capture_output=True,
        text=True,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    verdicts: dict[str, list[str]] = json.loads(done.stdout)
    return verdicts


def readable(path: str) -> bool:
    """Whether `nobody` can start or list it, with the version that we run on."""
    test = ["test", "-r", path]
    if Path(path).is_file():
        test = [path, "-c", f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"]
    try:
        done = subprocess.run(
            test, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", check=False
        )
    except PermissionError:
        return False
    return done.returncode == 0


def test_a_right_program_passes_in_the_same_pool(after: Aftermath) -> None:
    assert after.verdicts["right"] == ["right", ""]


@pytest.mark.parametrize("name", attacks.ATTACKS)
def test_an_attack_is_contained_and_fails(after: Aftermath, name: str) -> None:
    outcome, reason = after.verdicts[name]

    assert outcome == "wrong"
    assert re.search(attacks.ATTACKS[name].says, reason), reason
    assert after.secret not in reason
    assert attacks.EXPECTED not in reason


def test_nothing_was_written_outside(after: Aftermath) -> None:
    assert sorted(path.name for path in after.folder.iterdir()) == ["secret"]
    assert (after.folder / "secret").read_text() == after.secret
    places = [Path(sys.base_prefix) / "lib", Path(inside.__file__).parent, Path("/"), Path("/dev")]
    assert [path for place in places for path in place.glob("leaf_pwned*")] == []


def test_nobody_was_called(after: Aftermath) -> None:
    assert after.connections == 0


def test_no_process_is_left(after: Aftermath) -> None:
    assert after.seen > 0
    assert left(after.memory) == []
