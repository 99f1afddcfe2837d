"""LeaF's rows and loss in TRL's `SFTTrainer`: `leaf.trl.LeafTrainer` (extra `trl`)."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from leaf.errors import UsageError

if TYPE_CHECKING:  # it imports TRL, which takes seconds
    from leaf.trl.trainer import LeafTrainer

__all__ = ["LeafTrainer"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module `leaf.trl` has no attribute `{name}`")
    if find_spec("trl") is None:
        raise UsageError(
            'leaf.trl needs TRL, which is not installed: pip install "leaf-distill[trl]"'
        )
    from leaf.trl.trainer import LeafTrainer

    return LeafTrainer


def __dir__() -> list[str]:
    return __all__
