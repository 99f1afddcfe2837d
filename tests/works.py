"""Work whose name and worker a test hands in."""

import tarfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaf.progress import Ticker
from leaf.records import Drop
from leaf.store.runner import OpenWorker, Worker
from leaf.store.work import About, Work


def unpack(packed: Path, folder: Path) -> Path:
    """Unpack an archive of ours; Python before 3.11.4 (Debian 12) knows no filters."""
    with tarfile.open(packed) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)  # noqa: S202
    return folder


@dataclass(frozen=True, kw_only=True)
class Given(Work[Any, Any]):
    """Of a kind, key and worker that the test names."""

    kind: str = "stage"
    record: type = Drop
    unit: str = "items"
    about: About = About()  # noqa: RUF009 - frozen
    worker: OpenWorker[Any, Any]
    named: str

    @property
    def title(self) -> str:
        return "work"

    def settings(self, items: Sequence[Any]) -> Mapping[str, Any]:
        return {}

    def inputs(self, items: Sequence[Any]) -> list[str]:
        return []

    def open(self, tick: Ticker) -> AbstractContextManager[Worker[Any, Any]]:
        return self.worker(tick)

    def key(self, items: Sequence[Any], **besides: Any) -> str:
        return self.named


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of all results below a folder: shards and end marks, not the notes beside them."""
    files = [*folder.rglob("part-*"), *folder.rglob("done.json")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def drops(part: Sequence[int], reason: str = "") -> list[Drop]:
    """A record for each item."""
    return [Drop(stage="s", problem_id=f"p{item}", reason=reason) for item in part]
