"""Which processes of sandboxes there are, also those that nobody waits for any more."""

import psutil


def processes(memory: int) -> list[psutil.Process]:
    """Return all whose command line names that much memory; a test takes a number of its own."""
    found = []
    for process in psutil.process_iter():
        try:
            if f"main({memory}," in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def left(memory: int) -> list[psutil.Process]:
    """Return those that are still there after five seconds."""
    psutil.wait_procs(processes(memory), timeout=5)
    return processes(memory)
