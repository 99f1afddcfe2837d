"""Programs that try to get out, or to pass without being right: one line a trick.

`@NAME@` is filled in by whoever runs them: PORT (somebody listens there), SECRET (a file that all
may read), CANARY (a file to write), PID (the process that grades), PROJECT, SOCKET (abstract).

Run as a program, this judges programs given as JSON on standard input, and prints the verdicts.
"""

import json
import sys
from dataclasses import dataclass

EXPECTED = "7f3a91c4d2e8b605"
"""What `f(3)` must return: nobody guesses it, and it stands in the tests alone."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    source: str
    says: str
    """A pattern that the reason of the verdict matches."""
    stdin: bool = False
    """Whether it is a program that reads standard input."""


def calls(body: str, says: str) -> Attack:
    """An attack within the function that is asked for."""
    lines = "\n".join("    " + line for line in body.splitlines())
    return Attack(source=f"import os, sys\ndef f(x):\n{lines}\n", says=says)


def syscall(number: int, *words: object) -> Attack:
    """A call of the kernel that must be refused with EPERM (1)."""
    listed = ", ".join(f"ctypes.c_long({word})" for word in words)
    body = (
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"done = libc.syscall({number}, {listed})\n"
        "raise OSError(f'result {done} errno {ctypes.get_errno()}')"
    )
    return calls(body, "result -1 errno 1$")


def reads(path: str) -> Attack:
    return calls(f"raise ValueError(open({path!r}).read())", "FileNotFoundError")


def writes(path: str) -> Attack:
    body = f"open({path!r}, 'w').write('pwned')\nraise ValueError('wrote')"
    return calls(body, "FileNotFoundError|Read-only|PermissionError")


def connects(family: str, kind: str, address: str) -> Attack:
    body = (
        "import socket\n"
        f"line = socket.socket({family}, {kind})\n"
        f"line.connect({address})\nline.send(b'x')\nraise ValueError('connected')"
    )
    return calls(body, "PermissionError|ConnectionRefusedError|FileNotFoundError")


FORGE = """
def frame(message):
    import json
    body = json.dumps(message).encode()
    return len(body).to_bytes(4, "big") + body
def send(data):
    for fd in range(64):
        try: os.write(fd, data)
        except OSError: pass
"""

_LATE = "took longer"
_GONE = "ended without an answer|took longer"
_WRONG = "assertion failed"
_MEMORY = "needs more than|MemoryError"

ATTACKS = {
    # What it must not read.
    "home": calls("return os.listdir(os.path.expanduser('@HOME@'))", "FileNotFoundError"),
    "keys": reads("@HOME@/.ssh/id_rsa"),
    "secret file": reads("@SECRET@"),
    "passwords": reads("/etc/passwd"),
    "project": reads("@PROJECT@/pyproject.toml"),
    "environment": calls("raise ValueError(str(sorted(os.environ)))", "raised ValueError"),
    "environment key": calls(
        "raise ValueError(os.environ.get('LEAF_SANDBOX_SECRET', 'nothing'))", "nothing"
    ),
    "proc": calls("return os.listdir('/proc')", "FileNotFoundError"),
    "proc of the grader": reads("/proc/@PID@/environ"),
    "proc of the first process": reads("/proc/1/environ"),
    # What it must not write.
    "write a file of ours": writes("@CANARY@"),
    "write into the interpreter": writes("/python/lib/leaf_pwned"),
    "write into our code": writes("/code/inside/leaf_pwned.py"),
    "write at the root": writes("/leaf_pwned"),
    "write among devices": writes("/dev/leaf_pwned"),
    "write through a link": calls(
        "os.symlink('@CANARY_FOLDER@', '/tmp/link')\nopen('/tmp/link/canary', 'w').write('pwned')",
        "FileNotFoundError",
    ),
    "read through a link": calls(
        "os.symlink('/etc/passwd', '/tmp/link')\nraise ValueError(open('/tmp/link').read())",
        "FileNotFoundError",
    ),
    "swap a link in a race": calls(
        "import threading\n"
        "def swap():\n"
        "    while True:\n"
        "        for target in ('@CANARY@', '/tmp/safe'):\n"
        "            os.symlink(target, '/tmp/new'); os.replace('/tmp/new', '/tmp/race')\n"
        "threading.Thread(target=swap, daemon=True).start()\n"
        "for _ in range(2000):\n"
        "    try: open('/tmp/race', 'w').write('pwned')\n"
        "    except OSError: pass\n"
        "return 0",
        _WRONG,
    ),
    "chmod a file of ours": calls("os.chmod('@SECRET@', 0o777)", "FileNotFoundError"),
    # Networks.
    "loopback": connects("socket.AF_INET", "socket.SOCK_STREAM", "('127.0.0.1', @PORT@)"),
    "loopback 6": connects("socket.AF_INET6", "socket.SOCK_STREAM", "('::1', @PORT@)"),
    "datagram": connects("socket.AF_INET", "socket.SOCK_DGRAM", "('127.0.0.1', @PORT@)"),
    "internet": connects("socket.AF_INET", "socket.SOCK_STREAM", "('1.1.1.1', 53)"),
    "abstract socket": connects("socket.AF_UNIX", "socket.SOCK_STREAM", "b'\\0@SOCKET@'"),
    "virtual machine socket": connects("40", "socket.SOCK_STREAM", "(2, 22)"),
    "netlink": connects("16", "socket.SOCK_RAW", "(0, 0)"),
    # Floods.
    "fork bomb": calls("while True:\n    try: os.fork()\n    except OSError: pass", _LATE),
    "thread bomb": calls(
        "import threading, time\n"
        "while True: threading.Thread(target=time.sleep, args=(99,)).start()",
        f"can't start new thread|{_LATE}",
    ),
    "memory": calls("return bytearray(10**11)", _MEMORY),
    "memory step by step": calls("all = []\nwhile True: all.append('x' * 10**6 + str(x))", _MEMORY),
    "memory of children": calls(
        "for _ in range(20):\n"
        "    if os.fork() == 0:\n"
        "        held = bytearray(os.urandom(1)) * (60 * 2**20)\n"
        "        import time; time.sleep(99)\n"
        "import time; time.sleep(99)",
        "needs more than",
    ),
    "shared memory": syscall(29, 0, 10**9, 0o1600),
    "memory files": syscall(319, 0, 0),
    "disk": calls(
        "for n in range(9**9):\n    open(f'/tmp/{n}', 'wb').write(b'x' * 2**20)",
        "OSError",
    ),
    "one large file": calls("os.truncate(os.open('/tmp/x', 66, 0o600), 10**13)", "OSError"),
    "open files": calls("kept = [open('/dev/null') for _ in range(10**6)]", "Too many open files"),
    "a large answer": calls("return 'x' * (100 * 2**20)", f"{_GONE}|needs more"),
    "output": Attack(source="while True: print('x' * 10**6)", says="printed too much", stdin=True),
    "errors": Attack(
        source="import sys\nwhile True: sys.stderr.write('x' * 10**6)", says=_LATE, stdin=True
    ),
    # Signals.
    "signal the grader": calls("os.kill(@PID@, 9)", "ProcessLookupError"),
    "signal its parent": calls("os.kill(os.getppid(), 9)\nreturn 0", f"{_WRONG}|{_GONE}"),
    "signal everyone": calls("os.kill(-1, 9)\nreturn 0", f"{_WRONG}|ProcessLookupError|{_GONE}"),
    "ignore signals": calls(
        "import signal\n"
        "for n in range(1, 65):\n"
        "    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "while True: pass",
        _LATE,
    ),
    # Calls of the kernel (numbers of x86-64).
    "ptrace": syscall(101, 16, 1, 0, 0),
    "mount": syscall(165, 0, 0, 0, 0, 0),
    "unshare": syscall(272, 0x10000000),
    "clone into a namespace": syscall(56, 0x10000000, 0, 0, 0, 0),
    "setns": syscall(308, 0, 0),
    "setuid": syscall(105, 0),
    "device node": syscall(133, 0, 0o20666, 0x0103),
    "chroot": syscall(161, 0),
    "bpf": syscall(321, 0, 0, 0),
    "keyring": syscall(250, 0, 0),
    "perf": syscall(298, 0, 0, 0, 0, 0),
    "userfaultfd": syscall(323, 0),
    "io_uring": syscall(425, 1, 0),
    "memory of another process": syscall(310, 1, 0, 0, 0, 0, 0),
    "personality": syscall(135, 0x0040000),
    "kernel module": syscall(175, 0, 0, 0),
    # Passing without being right.
    "print passed": calls("print('passed', flush=True)\nos._exit(0)", _GONE),
    "exit at the start": Attack(source="import os\nos._exit(0)", says=_GONE),
    "sys.exit": calls("sys.exit(0)", "SystemExit"),
    "sys.exit at the start": Attack(source="raise SystemExit(0)", says="SystemExit"),
    "atexit": Attack(
        source="import atexit, os\natexit.register(os._exit, 0)\ndef f(x): return 0", says=_WRONG
    ),
    "patched builtins": Attack(
        source="import builtins\n"
        "builtins.AssertionError = type('Quiet', (BaseException,), {})\n"
        "builtins.isinstance = lambda *a: True\nbuiltins.abs = lambda x: 0\n"
        "def f(x): return 0",
        says=f"{_WRONG}|{_GONE}",
    ),
    "patched json": Attack(
        source="import json\njson.dumps = lambda *a, **k: '[\"right\"]'\ndef f(x): return 0",
        says="cannot be read|ended",
    ),
    "patched modules": Attack(
        source="import sys\n"
        "for name in list(sys.modules):\n"
        "    if name not in ('sys', 'builtins'): sys.modules[name] = None\n"
        "def f(x): return 0",
        says=_WRONG,
    ),
    "always equal": Attack(
        source="class Liar:\n"
        "    def __eq__(self, other): return True\n"
        "    __ne__ = lambda self, other: False\n"
        "    __hash__ = lambda self: 0\n"
        "def f(x): return Liar()",
        says=_WRONG,
    ),
    "equal text": Attack(
        source="class Liar(str):\n"
        "    def __eq__(self, other): return True\n"
        "    __hash__ = str.__hash__\n"
        "def f(x): return Liar('x')",
        says=_WRONG,
    ),
    "its own tests": Attack(
        source="def f(x): return 0\ncandidate = check = lambda *a: True\n", says=_WRONG
    ),
    # Tampering with the protocol.
    "answer early": Attack(
        source="import os\n" + FORGE + "send(frame(['value', [[], 'x', []], '']) * 9)\n"
        "def f(x): return 0",
        says=f"{_WRONG}|does not define|cannot be read",
    ),
    "answer twice": calls(FORGE + "send(frame(['value', [[], True, []], '']))\nreturn 0", _WRONG),
    "forge a verdict": calls(
        FORGE + "for word in ('right', ['', 'right', '']): send(frame(word))\nreturn 0",
        "cannot be read",
    ),
    "huge length": calls(FORGE + "send(b'\\xff' * 8)\nreturn 0", "ended without"),
    "deep nesting": calls(
        FORGE + "body = b'[' * 10**6\nsend(len(body).to_bytes(4, 'big') + body)\nreturn 0",
        "ended without|cannot be read",
    ),
    "garbage": calls(FORGE + "send(os.urandom(10**6))\nreturn 0", _GONE),
    "hash bomb": calls(
        "return {n * (2**61 - 1) for n in range(1)} | {'a'} and "
        "__import__('sys').modules['inside.wire'].__dict__ and [0] * 10**7",
        f"{_WRONG}|{_LATE}|needs more",
    ),
    "colliding keys": calls(
        FORGE + "keys = [n * (2**61 - 1) for n in range(1, 4)] * 10**6\n"
        "nodes = [['s', 1, None, [[1 + i] for i in range(200000)]]]\n"
        "nodes += [['i', hex((i + 1) * (2**61 - 1))] for i in range(200000)]\n"
        "send(frame(['value', [nodes, [0], []], '']))\n"
        "import time; time.sleep(99)",
        f"{_WRONG}|{_LATE}",
    ),
    "a name of the tests": Attack(
        source="import sys, inspect\n"
        "frame = inspect.currentframe()\n"
        "while frame.f_code.co_name != 'answer': frame = frame.f_back\n"
        "kind = type(frame.f_locals['self'])\n"
        "plain = kind.answer\n"
        "def answer(self, what, rest):\n"
        "    if what != 'names': return plain(self, what, rest)\n"
        "    offered = {n: lambda *a, **k: True for n in ('same', 'all', 'bool')}\n"
        "    return ['value', self._told({'f': f, **offered}), None]\n"
        "kind.answer = answer\n"
        "def f(x): return 0",
        says=_WRONG,
    ),
    "walk the frames": calls(
        "import gc, re\n"
        "frame = sys._getframe()\n"
        "seen = []\n"
        "while frame: seen.append(repr(frame.f_locals)); frame = frame.f_back\n"
        "found = re.findall('[0-9a-f]{16}', ''.join(seen))\n"
        "texts = [one for one in gc.get_objects() if type(one) is str]\n"
        "found += [one for one in texts if re.fullmatch('[0-9a-f]{16}', one)]\n"
        "return found[0] if found else 'nothing'",
        _WRONG,
    ),
    "read every descriptor": calls(
        "said = b''\n"
        "for fd in range(21):\n"
        "    try: os.set_blocking(fd, False); said += os.read(fd, 2**16)\n"
        "    except OSError: pass\n"
        "import re\n"
        "return (re.findall('[0-9a-f]{16}', said.decode('latin-1')) or ['nothing'])[0]",
        _WRONG,
    ),
    # Time, and what stays behind.
    "endless loop": calls("while True: pass", _LATE),
    "sleep": calls("import time\ntime.sleep(10**6)", _LATE),
    "endless number": calls("return 9 ** 9 ** 9", _LATE),
    "endless pattern": calls("import re\nre.match('(a+)+$', 'a' * 60 + 'b')", _LATE),
    "daemon": calls(
        "import time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0: time.sleep(10**6)\n"
        "    os._exit(0)\n"
        "return 0",
        _WRONG,
    ),
    "daemon of a script": Attack(
        source="import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    time.sleep(10**6)\n"
        "print(0)",
        says="wrong output",
        stdin=True,
    ),
    "script kills what watches it": Attack(
        source="import os\nos.kill(os.getppid(), 9)\nprint(0)", says=_GONE, stdin=True
    ),
    "leave a file": calls("open('/tmp/left', 'w').write('x')\nreturn 0", _WRONG),
    "find the file left": calls("raise ValueError(open('/tmp/left').read())", "FileNotFoundError"),
    "start a shell": calls("import subprocess\nsubprocess.run(['sh', '-c', 'id'])", "FileNotFound"),
}


def judge(sources: dict[str, str], memory: int) -> dict[str, list[str]]:
    """Return outcome and reason of each attack, all judged by one pool."""
    from leaf.grade.judgement import Program
    from leaf.grade.sandbox import SandboxPool
    from leaf.records import Case, Tests

    function = Tests(
        entry_point="f",
        program=f"def same(a, b): return all([a == b])\nassert same(candidate(3), {EXPECTED!r})",
    )
    script = Tests(cases=(Case(given="3\n", expected=EXPECTED),))
    programs = [
        Program(
            source=source, tests=script if name in ATTACKS and ATTACKS[name].stdin else function
        )
        for name, source in sources.items()
    ]
    with SandboxPool(time_limit=1.5, memory=memory, workers=2) as pool:
        judgements = pool.run(programs)
    return {
        name: [judgement.outcome.value, judgement.reason or ""]
        for name, judgement in zip(sources, judgements, strict=True)
    }


if __name__ == "__main__":
    print(json.dumps(judge(*json.load(sys.stdin))))
