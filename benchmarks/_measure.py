"""Seconds, bytes and the machine's own rate, measured alike by the benchmarks of speed."""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds that something takes, and what it returns."""
    begun = time.perf_counter()
    found = work()
    settle()
    return time.perf_counter() - begun, found


def peak_growth(work: Callable[[], T], device: torch.device) -> tuple[int, T]:
    """Return by how many bytes the highest memory grew over what there was, and the result.

    On CUDA that is memory allocated by PyTorch, elsewhere the process's resident memory (Linux).
    """
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    else:
        # What came before has its own peak; 5 sets the highest memory back to what there is now.
        Path("/proc/self/clear_refs").write_text("5")
    before = torch.cuda.memory_allocated() if cuda else _highest()
    found = work()
    settle()
    return (torch.cuda.max_memory_allocated() if cuda else _highest()) - before, found


def alone(work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Return what a function of a module returns in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(work, *args, **options).result()


def matmul_rate(
    rows: int, inner: int, width: int, *, dtype: torch.dtype, device: torch.device, repeats: int = 7
) -> float:
    """Return the operations a second of a bare product [rows, inner] @ [inner, width]."""
    left = torch.randn(rows, inner, dtype=dtype, device=device)
    right = torch.randn(width, inner, dtype=dtype, device=device)
    seconds = [timed(lambda: torch.nn.functional.linear(left, right))[0] for _ in range(repeats)]
    return 2.0 * rows * inner * width / median(seconds)


def settle() -> None:
    """Wait until the accelerator has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _highest() -> int:
    """Return the most bytes that this process had in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
