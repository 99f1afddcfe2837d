"""What keeps a result from being mistaken for another one, or read when it is damaged.

`done.json` of a finished result names its stage, its key and the SHA-256 of every file in it. An
unfinished one has a list of the shards that were written for it: a line each, before the shard
appears. What stands in neither is not of this result.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from leaf.errors import StoreError
from leaf.store.disk import sha256_of, space_guard, to_disk, write_whole
from leaf.store.keys import digest

DONE = "done.json"
"""There when a result is complete."""

_EARLIER = {"stage", "key", "shards", "steps", "kept_step", "after"}
"""What stood there before it had a seal."""

_LIST = ".shards.jsonl"


def damaged(path: Path, how: str = "damaged or missing", folder: Path | None = None) -> StoreError:
    """Return the error of a file that cannot be used; `folder` is its result's, if not its own."""
    return StoreError(
        f"{path}: {how}; delete the folder {folder or path.parent} and run the same command to "
        "compute it again"
    )


def seal(folder: Path, about: Mapping[str, Any]) -> None:
    """Mark a result as complete.

    Args:
        folder: Where it lies: `<stage>/<key>`.
        about: What `done.json` says besides: its shards or its files, each with its hash.
    """
    content = {"stage": folder.parent.name, "key": folder.name, **about}
    content["seal"] = digest(content)
    write_whole(folder / DONE, json.dumps(content, indent=1).encode())


def unsealed(folder: Path) -> dict[str, Any]:
    """Return what `done.json` says.

    That of an earlier version may lack stage, key and seal.

    Raises:
        StoreError: it is damaged, or of another result.
    """
    path = folder / DONE
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        said = content.pop("seal", None)
        if said != digest(content) and (said is not None or content.keys() - _EARLIER):
            raise ValueError("not what was written")
        whose = [content.get("stage", folder.parent.name), content.get("key", folder.name)]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise damaged(path) from error
    if whose != [folder.parent.name, folder.name]:
        raise damaged(path, f"of another result ({'/'.join(map(str, whose))})")
    return content


def listed(content: Mapping[str, Any], what: str, path: Path) -> list[tuple[str, str]]:
    """Return name and SHA-256 of each file that `done.json` lists under `what`."""
    try:
        return [(str(file["file"]), str(file["sha256"])) for file in content[what]]
    except (KeyError, TypeError) as error:
        raise damaged(path) from error


def hashes(folder: Path, paths: Iterable[Path]) -> list[dict[str, str]]:
    """Return what `done.json` says of files: the place in the folder, and the SHA-256."""
    return [
        {"file": path.relative_to(folder).as_posix(), "sha256": sha256_of(path)}
        for path in sorted(paths)
    ]


def check_files(folder: Path) -> dict[str, Any]:
    """Return what `done.json` says, once every file that it lists is as it was written.

    Raises:
        StoreError: names a file that is damaged, missing or of another result.
    """
    content = unsealed(folder)
    # Results of earlier versions list none.
    for name, sha256 in listed({"files": [], **content}, "files", folder / DONE):
        try:
            same = sha256_of(folder / name) == sha256
        except OSError:
            same = False
        if not same:
            raise damaged(folder / name, folder=folder)
    return content


class Written:
    """The list of what was written for an unfinished result."""

    def __init__(self, folder: Path) -> None:
        """Read it, or begin it; an unfinished result of an earlier version has none.

        Raises:
            StoreError: it is of another result.
        """
        self._folder = folder
        self._path = folder / _LIST
        self._known: dict[str, dict[str, Any]] = {}
        """Name of a file to SHA-256 to what else was said; a file may be written again."""
        whose = {"stage": folder.parent.name, "key": folder.name}
        if not self._path.is_file():
            kept = hashes(folder, folder.glob("part-*.parquet"))
            write_whole(self._path, json.dumps(whose).encode())
            for file in kept:
                self._note(file)
            return
        found = None
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                said = json.loads(line)
                if found is None:
                    found = said
                else:
                    self._known.setdefault(said["file"], {})[said["sha256"]] = said
            except (ValueError, KeyError, TypeError):
                continue  # a kill cut it: its shard is not there either
        if found != whose:
            raise damaged(self._path, "of another result")

    def add(self, path: Path, data: bytes, **about: Any) -> None:
        """Write a file of the result; `about` is given back by `of`."""
        sha256 = hashlib.sha256(data).hexdigest()
        self._note({"file": path.name, "sha256": sha256, **about})
        write_whole(path, data)

    def of(self, path: Path) -> dict[str, Any]:
        """Return what was said of a file when it was written.

        Raises:
            StoreError: it is damaged, or was never written for this result.
        """
        known = self._known.get(path.name)
        if known is None:
            raise damaged(path, "of another result")
        try:
            said = known.get(sha256_of(path))
        except OSError:
            said = None
        if said is None:
            raise damaged(path)
        found: dict[str, Any] = said
        return found

    def tidy(self, files: Iterable[Mapping[str, str]]) -> None:
        """Leave one line for each file that stays, whatever kills there were."""
        whose = {"stage": self._folder.parent.name, "key": self._folder.name}
        write_whole(self._path, "\n".join(map(json.dumps, (whose, *files))).encode())

    def _note(self, file: dict[str, Any]) -> None:
        # A line break first: a kill may have cut the line before.
        with space_guard(self._path), self._path.open("a", encoding="utf-8") as lines:
            lines.write("\n" + json.dumps(file))
            lines.flush()
            to_disk(lines)
        self._known.setdefault(file["file"], {})[file["sha256"]] = file
