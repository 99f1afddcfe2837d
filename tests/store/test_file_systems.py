"""File systems that can neither flush a file nor lock one keep results all the same."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from leaf.distill.checkpoint import flush
from leaf.errors import StoreError
from leaf.store.disk import write_whole
from leaf.store.store import Store


def refuse(number: int) -> Any:
    def call(*arguments: Any) -> None:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_without_fsync_files_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "fsync", refuse(number))
    write_whole(tmp_path / "file", b"data")
    assert (tmp_path / "file").read_bytes() == b"data"
    flush(tmp_path)


def test_a_disk_that_fails_while_it_flushes_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", refuse(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        write_whole(tmp_path / "file", b"data")
    monkeypatch.setattr(os, "fsync", refuse(errno.ENOSPC))
    with pytest.raises(StoreError, match="no space left to write"):
        write_whole(tmp_path / "file", b"data")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_without_locks_results_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse(number))
    with Store(tmp_path).building("students", "key") as folder:
        (folder / "file").write_text("data")
    assert (tmp_path / "students" / "key" / "file").read_text() == "data"


def test_a_lock_that_another_holds_is_still_an_error(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with (
        store.building("students", "key"),
        pytest.raises(StoreError, match="another leaf process"),
        store.building("students", "key"),
    ):
        pass
