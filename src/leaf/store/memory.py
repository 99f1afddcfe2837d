"""How much memory a device has, how much was used, and how sizes are said."""

import contextlib
from pathlib import Path

import psutil
import torch


def memory_of(device: torch.device) -> tuple[int, int]:
    """Return total and free bytes where models on `device` live."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return total, free
    memory = psutil.virtual_memory()
    return memory.total, memory.available


def size_of(count: int) -> str:
    """Say a number of bytes."""
    if count < 2**20:
        return f"{count / 2**10:.0f} KiB"
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def forget_peak() -> None:
    """Let `peak_bytes` count from now on; where that cannot be had it counts from the start."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    # Linux: 5 sets the highest resident memory back to what there is now.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int | None:
    """Return the most bytes used since `forget_peak`; None where nobody counts them.

    With CUDA that is what PyTorch allocated on the GPU, else the resident memory of this process.
    """
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    found = [line for line in lines if line.startswith("VmHWM:")]
    return int(found[0].split()[1]) * 1024 if found else None
