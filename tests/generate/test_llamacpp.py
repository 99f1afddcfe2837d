"""What engine llamacpp refuses, and what it needs of a GGUF file; answers: test_conformance."""

from pathlib import Path

import pytest

from leaf.errors import ModelError, UsageError
from leaf.generate import find_for, llamacpp, open_engine
from leaf.models import files, load
from leaf.models.files import Source
from leaf.recipe import GenerateSection, ModelSection
from leaf.records import Problem
from tests.marks import SMOL, needs_smol

NOWHERE = Source(name="small", fingerprint="small")
GENERATE = GenerateSection(engine="llamacpp", max_new_tokens=2)


def opened(section: ModelSection, source: Source = NOWHERE) -> None:
    with open_engine(section, source, GENERATE) as engine:
        engine.answer([Problem(id="a", question="Hi", answer="", solution="")])


def test_a_model_that_is_no_gguf_file_is_refused_with_the_way_out() -> None:
    with pytest.raises(UsageError, match=r"reads GGUF files alone; give the path of one, or set"):
        opened(ModelSection(model="org/model"))


def test_a_missing_package_is_said_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leaf.generate.llamacpp.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'pip install "leaf-distill\[llamacpp\]"'):
        opened(ModelSection(model="small.gguf"))


def test_a_file_that_is_damaged_is_one_line(talker: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.gguf"
    path.write_bytes(b"GGUF" + bytes(1000))
    source = Source(name="small", files=talker, fingerprint="small")
    with pytest.raises(ModelError, match=r"small\.gguf: llama\.cpp cannot load it"):
        opened(ModelSection(model=str(path)), source)


def test_a_file_on_which_llama_cpp_ends_its_process_ends_not_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On some absurd counts it calls abort()."""
    path = tmp_path / "small.gguf"
    for count in (2**62, 2**31, 5):
        header = b"GGUF" + (3).to_bytes(4, "little") + count.to_bytes(8, "little") * 2
        path.write_bytes(header + bytes(100))
        with pytest.raises(ModelError, match=r"small\.gguf: llama\.cpp cannot load it \("):
            llamacpp._open_first(path)
    monkeypatch.setattr(llamacpp, "_FIRST", "import os; os.abort()")
    with pytest.raises(ModelError, match=r"cannot load it \(it ends by SIGABRT\)"):
        llamacpp._open_first(path)
    monkeypatch.setattr(llamacpp, "_FIRST", "import time; time.sleep(60)")
    monkeypatch.setattr(llamacpp, "_PATIENCE", 0.5)
    with pytest.raises(ModelError, match=r"cannot load it \(no end after [01] s\)"):
        llamacpp._open_first(path)


@pytest.mark.real
@needs_smol
@pytest.mark.long
def test_a_model_that_only_answers_has_its_tokenizer_converted_and_no_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "cache_folder", lambda: tmp_path)
    section = ModelSection(model=str(SMOL))
    found = find_for(section, GENERATE)
    assert found.folder.parent.name == "tokenizers"
    assert not list(found.folder.glob("*.safetensors"))
    assert load.context_of(load.load_config(found)) == 8192
    opened(section, found)
    # Who scores it needs the weights, and they name the same content.
    assert find_for(section, GENERATE) == found
    monkeypatch.undo()
    assert files.find(section).fingerprint == found.fingerprint
