"""How much memory a device has, and how sizes are said."""

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
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
