"""Kill a run in the middle of its work, continue it, and compare with a run left alone.

Example: .venv/bin/python tools/kill_and_resume.py --scratch /tmp/kills -- leaf run demo
"""

import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

app = App(help=__doc__)

_PATIENCE = 0.02
"""Seconds between two looks at the store."""


@app.default
def main(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)],
    scratch: Path,
    kills: int | None = None,
    seed: int = 0,
) -> None:
    """Run `command` twice with its own --out and --store: once left alone, once killed often.

    Args:
        command: A `leaf run ...` command without --out and --store.
        scratch: An empty folder for both runs.
        kills: So many, at moments spread over the whole run. Default: one in each result that is
            begun.
        seed: Of the moments.
    """
    alone, killed = scratch / "alone", scratch / "killed"
    for folder in (alone, killed):
        if folder.exists():
            shutil.rmtree(folder)
    begun = time.monotonic()
    if _start(command, alone).wait() != 0:
        sys.exit("the run left alone failed")
    seconds = time.monotonic() - begun
    print(f"left alone: {seconds:.0f} s")
    if kills is None:
        done = _run_with_kills(command, killed, _in_each_result(killed / "store"))
    else:
        whole = _progress(alone)
        moments = _spread(killed, whole, kills, seconds, random.Random(seed))
        done = _run_with_kills(command, killed, moments)
    print(f"killed {len(done)} times: {', '.join(done)}")
    differences = _compare(alone, killed)
    for difference in differences:
        print(f"DIFFERENT: {difference}")
    if kills is not None and len(done) < kills:
        sys.exit(f"the run ended after {len(done)} of {kills} kills")
    if differences:
        sys.exit(1)
    print("all stage files, students, files of the run and reported numbers are the same")


def _start(command: tuple[str, ...], folder: Path) -> "subprocess.Popen[bytes]":
    words = [*command, "--out", str(folder / "run"), "--store", str(folder / "store")]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


Moments = Iterator[Callable[[], str | None]]
"""For each kill, what says where it hits once its moment has come; None before."""


def _run_with_kills(command: tuple[str, ...], folder: Path, moments: Moments) -> list[str]:
    """Kill the run at each moment; continue it until it ends; return where it was hit."""
    killed: list[str] = []
    due = next(moments, None)
    while True:
        process = _start(command, folder)
        while process.poll() is None:
            hit = due() if due else None
            if hit is not None:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed.append(hit)
                due = next(moments, None)
                break
            time.sleep(_PATIENCE)
        else:
            if process.returncode != 0:
                sys.exit(f"a continued run failed with exit code {process.returncode}")
            return killed


def _in_each_result(store: Path) -> Moments:
    """Hit each result once that is begun and not done."""
    killed: set[Path] = set()

    def due() -> str | None:
        begun = next((at for at in _begun(store) if at not in killed), None)
        if begun is None:
            return None
        killed.add(begun)
        return begun.parent.name

    while True:
        yield due


def _spread(folder: Path, whole: int, kills: int, seconds: float, rng: random.Random) -> Moments:
    """Hit a run at so many shares of its work, each a little later, by chance."""
    for number in range(kills):
        # Not the first and the last step: the run must have begun, and must not have ended.
        wanted = 1 + (whole - 2) * number // kills
        # What one kill lays bare may pass several marks at once: then it dies while it starts.
        yield partial(_hit, folder, wanted, rng.uniform(0.0, seconds / kills), [])


def _hit(folder: Path, wanted: int, late: float, reached: list[float]) -> str | None:
    """Say how far a run is, `late` seconds after it was as far as `wanted`."""
    done = _progress(folder)
    if done < wanted:
        return None
    reached.append(time.monotonic())
    return f"at {done}" if time.monotonic() - reached[0] >= late else None


def _progress(folder: Path) -> int:
    """Count what a run has written: shards, ends of results, steps of trainings, its own files."""
    store, run = folder / "store", folder / "run"
    shards = sum(1 for _ in store.glob("*/*/part-*"))
    ends = sum(1 for _ in store.glob("*/*/done.json"))
    steps = sum(_lines(path) for path in store.glob("students/*/metrics.jsonl"))
    return shards + ends + steps + sum(1 for path in run.glob("*") if path.is_file())


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
    """Return what must be equal: every byte of store and run but times, and the numbers."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name in _TIMED:
            continue
        name = str(path.relative_to(folder))
        if path.name == "metrics.jsonl":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            found[name] = [{**line, "seconds": None} for line in lines]
        elif path.name == "done.json":
            found[name] = _without_times(json.loads(path.read_text()))
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    report = json.loads((folder / "run" / "report.json").read_text())
    found["report: results"] = report["results"]
    found["report: steps"] = report["steps"]
    return found


_TIMED = {"times.jsonl", ".lock", "manifest.json", "report.json", "report.html"}
"""What says when and how long; of the report the numbers are compared."""


def _without_times(done: dict[str, Any]) -> dict[str, Any]:
    """Leave out the hash of metrics, which hold seconds, and the seal over it."""
    kept = [file for file in done.get("files", ()) if file["file"] != "metrics.jsonl"]
    return {**done, "files": kept, "seal": None if "files" in done else done["seal"]}


if __name__ == "__main__":
    app()
