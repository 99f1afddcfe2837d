"""Seconds, bytes and the machine's own rate, measured alike by the benchmarks of speed."""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from typing import ParamSpec, TypeVar

import torch

from leaf.store.memory import forget_peak, peak_bytes

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
    forget_peak()
    before = torch.cuda.memory_allocated() if device.type == "cuda" else peak_bytes()
    found = work()
    settle()
    highest = peak_bytes()
    assert before is not None and highest is not None, "memory is counted on Linux and CUDA alone"
    return highest - before, found


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
