"""Models inside the package: each file must be as it was made, and nothing is written there."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from leaf.errors import ModelError
from leaf.models.files import SUMS, Source, find, find_bundled
from leaf.models.load import load
from leaf.recipe import ModelSection

STUDENT, TEACHER = "package:some/models/student", "package:some/models/teacher"
SHIPPED = Path(str(resources.files("leaf"))) / "playground" / "models"

Written = dict[str, tuple[bytes, int]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def package(cue_pair: Path, tmp_path: Path) -> Path:
    """The folder of a package that has two models and their sums in `some/models`."""
    models = tmp_path / "package" / "some" / "models"
    for role in ("student", "teacher"):
        shutil.copytree(cue_pair / role, models / role)
    sums = {
        path.relative_to(models).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in models.glob("*/*")
    }
    (models / SUMS).write_text(json.dumps(sums))
    return tmp_path / "package"


def error_of(work: Callable[[], Source]) -> str:
    with pytest.raises(ModelError) as caught:
        work()
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


def contents(folder: Path) -> Written:
    """Return every file with its bytes and when it was written."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_bundled_model_is_found_and_loads_as_any_other(package: Path) -> None:
    source = find_bundled(STUDENT, package)
    folder = package / "some" / "models" / "student"
    assert (source.name, source.folder) == (STUDENT, folder)
    # The content names it: the same as that of a copy elsewhere.
    assert source.fingerprint == find(ModelSection(model=str(folder))).fingerprint
    assert source.fingerprint != find_bundled(TEACHER, package).fingerprint
    assert load(ModelSection(model=STUDENT, dtype="float32"), source).context == 128


@pytest.mark.parametrize(
    "file", ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"]
)
def test_a_damaged_file_is_named_with_the_sum_that_it_must_have(package: Path, file: str) -> None:
    path = package / "some" / "models" / "student" / file
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    stamp = path.stat()
    path.write_bytes(data)
    # As a damaged disk leaves it: neither size nor time says anything.
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    wrong = hashlib.sha256(data).hexdigest()
    assert error_of(lambda: find_bundled(STUDENT, package)) == (
        f"{STUDENT}: {path} is damaged: its SHA-256 must be {right}, but is {wrong}; "
        "install leaf again"
    )
    # The other model is whole.
    assert find_bundled(TEACHER, package).name == TEACHER


def test_a_file_that_was_whole_once_is_looked_at_again(package: Path) -> None:
    path = package / "some" / "models" / "student" / "model.safetensors"
    find_bundled(STUDENT, package)
    stamp = path.stat()
    path.write_bytes(bytes(stamp.st_size))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert "is damaged" in error_of(lambda: find_bundled(STUDENT, package))


def test_a_missing_file_is_named_with_the_sum_that_it_must_have(package: Path) -> None:
    path = package / "some" / "models" / "teacher" / "model.safetensors"
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    path.unlink()
    assert error_of(lambda: find_bundled(TEACHER, package)) == (
        f"{TEACHER}: {path} is damaged: its SHA-256 must be {right}, but is missing; "
        "install leaf again"
    )


def test_a_model_folder_that_is_gone_is_a_missing_file(package: Path) -> None:
    shutil.rmtree(package / "some" / "models" / "student")
    message = error_of(lambda: find_bundled(STUDENT, package))
    assert message.startswith(f"{STUDENT}: {package / 'some' / 'models' / 'student'}{os.sep}")
    assert message.endswith("but is missing; install leaf again")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("package:some/models/studnet", f"; did you mean `{STUDENT}`?"),
        ("package:some/models/xyzzy/abcdefghijklmnop/qrstuvw", ""),
        ("package:other/models/student", ""),
        ("package:some/models", ""),
        ("package:", ""),
    ],
)
def test_an_unknown_bundled_name_is_one_line(package: Path, name: str, hint: str) -> None:
    message = error_of(lambda: find_bundled(name, package))
    assert message == f"{name}: there is no such bundled model{hint}"


@pytest.mark.parametrize("text", ["{", "[]", "", "\xff"])
def test_sums_that_cannot_be_read_are_one_line_with_their_file(package: Path, text: str) -> None:
    sums = package / "some" / "models" / SUMS
    sums.write_bytes(text.encode("latin-1"))
    message = error_of(lambda: find_bundled(STUDENT, package))
    assert message.startswith(f"{STUDENT}: {sums} cannot be read: ")


def test_finding_a_model_writes_nothing_into_the_package(package: Path, cache: Path) -> None:
    before = contents(package)
    find_bundled(STUDENT, package)
    find_bundled(TEACHER, package)
    assert contents(package) == before
    # What is remembered lies in the cache.
    assert (cache / "fingerprints.json").is_file()


# What is really installed.


def test_a_name_that_starts_with_package_is_looked_for_in_the_installed_one() -> None:
    name = "package:playground/models/no-such-model"
    message = error_of(lambda: find(ModelSection(model=name)))
    assert message.startswith(f"{name}: there is no such bundled model")


@pytest.mark.parametrize("role", ["student", "teacher"])
def test_the_shipped_models_are_whole_and_finding_them_writes_nothing_there(role: str) -> None:
    before = contents(SHIPPED)
    source = find(ModelSection(model=f"package:playground/models/{role}"))
    assert source.folder == SHIPPED / role
    assert contents(SHIPPED) == before
    # Every file beside the sums is guarded by one.
    guarded = json.loads((SHIPPED / SUMS).read_text(encoding="utf-8"))
    assert {Path(name).as_posix() for name in before} - {SUMS} == set(guarded)
