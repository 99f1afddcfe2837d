"""Where the rivals are: an environment of their own, made on first use by `tools/rivals.py`."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.common import ROOT
from leaf.errors import LeafError


@cache
def rivals_python() -> Path:
    """Return the Python that has the rivals, making its environment if it is not there.

    Raises:
        LeafError: it cannot be made.
    """
    words = [sys.executable, str(ROOT / "tools" / "rivals.py")]
    made = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if made.returncode:
        raise LeafError(f"the rivals cannot be installed; `{' '.join(words)}` says why")
    return Path(made.stdout.strip())


def liger_jsd(python: Path) -> Any:
    """Return Liger's chunked distillation loss, `LigerFusedLinearJSDLoss`, beta = 0 forward KL.

    That file is plain PyTorch, but Liger's packages bring Triton in when they are imported, which
    no CPU build has. So its folders stand for its packages, and nothing else of it is run.
    """
    (folder,) = python.parents[1].glob("lib/python*/site-packages/liger_kernel")
    for name, path in (
        ("liger_kernel", folder),
        ("liger_kernel.chunked_loss", folder / "chunked_loss"),
    ):
        package = ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package
    from liger_kernel.chunked_loss.jsd_loss import (  # type: ignore[import-not-found]
        LigerFusedLinearJSDLoss,
    )

    return LigerFusedLinearJSDLoss
