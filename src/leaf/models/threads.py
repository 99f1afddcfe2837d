"""How many threads computing may take here: what affinity and a container's quota allow.

More threads than cores that are free wait for each other at every product: on two busy cores, two
threads were several times slower than one.
"""

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

SETTING = "OMP_NUM_THREADS"
"""The variable by which users decide; libraries read it when they are loaded."""

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")

_LEAST = 0.5
"""Seconds after which a share of busy cores means something."""


def quota(groups: Path = _GROUPS, own: Path = _OWN_GROUPS) -> float | None:
    """Return how many cores the container may use at a time, by its control groups; None: all.

    Args:
        groups: Where the control groups are mounted (version 2, or version 1 with `cpu` below).
        own: The file that names this process's group in each hierarchy.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return None
    found = []
    for line in lines:
        controllers, colon, path = line.partition(":")[2].partition(":")
        if not colon or (controllers and "cpu" not in controllers.split(",")):
            continue
        root = groups if not controllers else groups / controllers
        folder = root / path.lstrip("/")
        # A group is held to its parents' limits, too; in a container the path may lead nowhere.
        for place in (folder, *folder.parents):
            found += _limit(place)
            if place == root:
                break
    return min(found, default=None)


def _limit(folder: Path) -> list[float]:
    """Return the cores of one control group, where it is limited."""
    try:
        if (folder / "cpu.max").is_file():
            most, period = (folder / "cpu.max").read_text().split()
        else:
            most = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        return [int(most) / int(period)] if most not in ("max", "-1") else []
    except (OSError, ValueError, ZeroDivisionError):
        return []


def cores() -> int:
    """Return how many cores this process may be scheduled on."""
    affinity = getattr(psutil.Process(), "cpu_affinity", None)
    return len(affinity()) if affinity else psutil.cpu_count() or 1


def allowed() -> int:
    """Return how many threads are of use: whole cores of affinity and quota, at least one."""
    most = quota()
    return cores() if most is None else max(1, min(cores(), math.floor(most)))


def settle() -> None:
    """Let libraries take no more threads than a quota allows, unless the user has decided.

    They know the affinity by themselves. To be called before they are loaded.
    """
    if SETTING not in os.environ and allowed() < cores():
        os.environ[SETTING] = str(allowed())


@contextmanager
def settled() -> Iterator[None]:
    """Let PyTorch, already loaded, take no more threads than that for a block.

    Where `torch.set_num_threads` was called, the user has decided: it is seen by a number that
    PyTorch would not have taken by itself.
    """
    import torch

    before = torch.get_num_threads()
    by_itself = {cores(), psutil.cpu_count(), psutil.cpu_count(logical=False)}
    if SETTING in os.environ or before not in by_itself or before <= allowed():
        yield
        return
    torch.set_num_threads(allowed())
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Watch:
    """How busy other programs keep the cores that this process may use, since it began."""

    def __init__(self) -> None:
        self._begun = self._times()

    def busy(self) -> float | None:
        """Return how many cores others used on average; None: it is too early to say."""
        (then, total, own), (now, total_now, own_now) = self._begun, self._times()
        if now - then < _LEAST:
            return None
        return max(0.0, (total_now - total - (own_now - own)) / (now - then))

    def advice(self, threads: int) -> str | None:
        """Say what to do where fewer cores are free than threads will be computing."""
        busy, every = self.busy(), cores()
        if busy is None or threads < 2 or every - busy > threads - 0.5:
            return None
        free = max(1, math.floor(every - busy + 0.5))
        return (
            f"{threads} threads compute here, but other programs keep {busy:.1f} of {every} cores "
            f"busy: {SETTING}={free} before the command may be several times faster"
        )

    @staticmethod
    def _times() -> tuple[float, float, float]:
        """Return now, the busy seconds of the cores, and those of this process and its children."""
        own = psutil.Process().cpu_times()
        mine = own.user + own.system + own.children_user + own.children_system
        return time.monotonic(), sum(map(_busy, _times_of_cores())), mine


def _times_of_cores() -> list[Any]:
    """Return the times of each core that this process may be scheduled on."""
    every = psutil.cpu_times(percpu=True)
    affinity = getattr(psutil.Process(), "cpu_affinity", None)
    own = affinity() if affinity else range(len(every))
    # Cores are numbered through where none is switched off.
    return [every[at] for at in own] if max(own) < len(every) else every


def _busy(times: Any) -> float:
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Time of guests stands in `user` and `nice` already.
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return float(sum(times) - idle - guests)


watch = Watch()
"""Since this module was loaded."""
