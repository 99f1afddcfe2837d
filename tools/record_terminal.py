"""Records the terminal of a first run as docs/images/terminal.svg.

    .venv/bin/pip install 'asciinema>=2.4,<3' && npm install --prefix /tmp/svg-term svg-term-cli
    .venv/bin/python tools/record_terminal.py --svg-term /tmp/svg-term/node_modules/.bin/svg-term

The commands really run, in an empty folder, for some minutes, and what is shown is what they
print. Only time is changed: what takes long is played faster. The folder's name becomes `~`.
"""

import json
import math
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cyclopts

ROOT = Path(__file__).resolve().parents[1]
PROMPT = (
    "At first Gina has 2 shells. The room has 3 chairs. Yesterday, Gina gives 1 shells to Jack. "
    "How many shells does Gina have now?"
)
COMMANDS = (
    f"leaf explain --student package:playground/models/student --question '{PROMPT}' "
    "--reference '2 - 1 = 1'",
    "leaf run demo",
    "leaf explain runs/demo playground-train-9",
)
COLUMNS, ROWS = 100, 34

Event = tuple[float, str, str]
"""Seconds since the beginning, kind (`o` for output), text."""

_READING = 4.0
"""Seconds to read what a command printed before the next one comes."""
_PAUSE = 1.0
"""Seconds in which nothing is printed, at most."""
_LINE = 0.12
"""Seconds between two lines that were printed at once, so that they can be followed."""
_LONGEST = 16.0
"""Seconds that a command is shown at most: a longer one is played faster."""
_FRAME = 0.2
"""Seconds between two pictures: what is printed faster is shown at once."""
_PROMPT = "$\033[0m "
_FOLDER = re.compile(re.escape(tempfile.gettempdir()) + r"/\w+(?=/demo)")


def main(
    *,
    svg_term: Path,
    cast: Path | None = None,
    out: Path = ROOT / "docs" / "images" / "terminal.svg",
) -> None:
    """Run the commands, record them and write the picture.

    Args:
        svg_term: The program of the npm package svg-term-cli.
        cast: Where the recording is kept; one that is there is drawn and nothing runs.
        out: The SVG to write.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kept = cast or folder / "run.cast"
        if not kept.is_file():
            record(folder, kept)
        head, *events = [json.loads(line) for line in kept.read_text().splitlines()]
        shown = list(merged(faster(list(without_pauses(events)))))
        write(folder / "short.cast", head, shown)
        draw = [str(svg_term), "--in", str(folder / "short.cast"), "--out", str(out)]
        # Two columns more: the letters of some machines are wider than the program takes them for.
        subprocess.run([*draw, "--window", "--no-cursor", "--width", str(COLUMNS + 2)], check=True)
    print(f"{out}: {out.stat().st_size / 1e3:.0f} kB, {shown[-1][0]:.0f} s")


def record(folder: Path, cast: Path) -> None:
    """Run the commands in `folder`/demo, as a user whose home is `folder`, and record them."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        **{key: os.environ[key] for key in ("OMP_NUM_THREADS", "PYTHONPATH") if key in os.environ},
    }
    (folder / "demo").mkdir()
    words = ["asciinema", "rec", "--quiet", "--cols", str(COLUMNS), "--rows", str(ROWS)]
    words += ["--command", f"bash --norc -c {shlex.quote(script(COMMANDS))}", str(cast.resolve())]
    subprocess.run(words, check=True, cwd=folder / "demo", env=environment)


def script(commands: Sequence[str]) -> str:
    """Return a shell script that shows each command after a prompt, then runs it."""
    lines = []
    for command in commands:
        shown = shlex.quote(f"\033[1;32m{_PROMPT}{command}")
        lines += [f"printf '%s\\n' {shown}", command, f"sleep {_READING / 2}", "echo"]
    return "\n".join([*lines, "sleep 1"])


def without_pauses(events: Sequence[Sequence[Any]]) -> Iterator[Event]:
    """Shorten the time in which nothing is printed; many lines at once come one by one."""
    clock = last = 0.0
    for at, kind, text in events:
        clock += min(at - last, _PAUSE)
        last = at
        for number, line in enumerate(text.splitlines(keepends=True)):
            clock += _LINE if number else 0.0
            yield clock, kind, line


def faster(events: Sequence[Event]) -> Iterator[Event]:
    """Play a command that takes long faster; a prompt waits until the one before is read.

    What the first command prints is there from the beginning: a picture begins with it.
    """
    begun = [at for at, _, text in events if _PROMPT in text]
    ended = [*begun[1:], events[-1][0]]
    clock = 0.0
    for first, last in zip(begun, ended, strict=True):
        speed = max((last - first) / _LONGEST, 1.0) if first > begun[0] else math.inf
        for at, kind, text in events:
            if first <= at < last:
                yield clock + (at - first) / speed, kind, text
        clock += (last - first) / speed + _READING
    yield clock + _READING, "o", ""


def merged(events: Iterator[Event]) -> Iterator[Event]:
    """Join what is printed within one picture's time."""
    begun, texts = 0.0, ""
    for at, _, text in events:
        if texts and at - begun > _FRAME:
            yield begun, "o", texts
            begun, texts = at, ""
        elif not texts:
            begun = at
        texts += text
    yield begun, "o", texts


def write(path: Path, head: dict[str, Any], events: Sequence[Event]) -> None:
    """Write a recording (asciicast 2) that tells nothing of the machine."""
    plain = {key: head[key] for key in ("version", "width", "height")}
    shown = [(at, kind, _FOLDER.sub("~", text)) for at, kind, text in events]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in (plain, *shown)))


if __name__ == "__main__":
    cyclopts.run(main)
