"""Kill a run in the middle of every stage, continue it, and compare with a run left alone.

Example: .venv/bin/python tools/kill_and_resume.py --scratch /tmp/kills -- leaf run demo
"""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

app = App(help=__doc__)

_PATIENCE = 0.02
"""Seconds between two looks at the store."""


@app.default
def main(*command: Annotated[str, Parameter(allow_leading_hyphen=True)], scratch: Path) -> None:
    """Run `command` twice with its own --out and --store: once left alone, once killed often.

    Args:
        command: A `leaf run ...` command without --out and --store.
        scratch: An empty folder for both runs.
    """
    alone, killed = scratch / "alone", scratch / "killed"
    for folder in (alone, killed):
        if folder.exists():
            shutil.rmtree(folder)
    begun = time.monotonic()
    if _start(command, alone).wait() != 0:
        sys.exit("the run left alone failed")
    print(f"left alone: {time.monotonic() - begun:.0f} s")
    kills = _run_with_kills(command, killed)
    print(f"killed {len(kills)} times: {', '.join(kills)}")
    differences = _compare(alone, killed)
    for difference in differences:
        print(f"DIFFERENT: {difference}")
    if differences:
        sys.exit(1)
    print("all stage files, students and reported numbers are the same")


def _start(command: tuple[str, ...], folder: Path) -> "subprocess.Popen[bytes]":
    words = [*command, "--out", str(folder / "run"), "--store", str(folder / "store")]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _run_with_kills(command: tuple[str, ...], folder: Path) -> list[str]:
    """Kill the run once in each result that is begun and not done; continue until it ends."""
    killed: dict[Path, str] = {}
    while True:
        process = _start(command, folder)
        while process.poll() is None:
            begun = next((at for at in _begun(folder / "store") if at not in killed), None)
            if begun is not None:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed[begun] = begun.parent.name
                break
            time.sleep(_PATIENCE)
        else:
            if process.returncode != 0:
                sys.exit(f"a continued run failed with exit code {process.returncode}")
            return list(killed.values())


def _begun(store: Path) -> list[Path]:
    """Return the results that have a part and are not complete."""
    return [
        folder
        for folder in sorted(store.glob("*/*"))
        if not (folder / "done.json").is_file()
        and (any(folder.glob("part-*")) or _lines(folder / "metrics.jsonl") >= 2)
    ]


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.is_file() else 0


def _compare(alone: Path, killed: Path) -> list[str]:
    ours, theirs = _contents(alone), _contents(killed)
    return [
        name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)
    ]


def _contents(folder: Path) -> dict[str, Any]:
    """Return what must be equal: every result file's hash, the loss curves, the numbers."""
    store = folder / "store"
    found: dict[str, Any] = {}
    for path in sorted(store.rglob("*")):
        if path.is_file() and path.name not in {"times.jsonl", ".lock", "metrics.jsonl"}:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(store))] = digest
        elif path.name == "metrics.jsonl":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            for line in lines:
                del line["seconds"]
            found[str(path.relative_to(store))] = lines
    report = json.loads((folder / "run" / "report.json").read_text())
    found["report: results"] = report["results"]
    found["report: steps"] = report["steps"]
    return found


if __name__ == "__main__":
    app()
