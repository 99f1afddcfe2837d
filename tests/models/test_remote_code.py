"""No code that comes with a model or data is ever run, nor anybody asked whether it may be."""

import ast
import builtins
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import leaf
from leaf.errors import ModelError
from leaf.models.files import Source, find
from leaf.models.load import fits, load, load_config, load_tokenizer, skeleton
from leaf.recipe import ModelSection

SRC = Path(leaf.__file__).parent

RUNS_CODE = {
    "from_pretrained",
    "from_config",
    "pipeline",
    "LLM",
    "AutoModel",
    "get_class_in_module",
}
"""What runs code of a repository where `trust_remote_code` does not say no, and asks without it."""

NEVER_DO = {"PeftConfig"}
"""Whose `from_pretrained` reads JSON and nothing else."""


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield every call in src of a function of these names, with its place."""
    for path in sorted(SRC.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
            owner = getattr(getattr(node.func, "value", None), "id", None)
            if name in RUNS_CODE and owner not in NEVER_DO:
                yield f"{path.relative_to(SRC)}:{node.lineno}", node


def says_no(call: ast.Call, tree_text: str) -> bool:
    for keyword in call.keywords:
        if keyword.arg == "trust_remote_code":
            return isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        if keyword.arg is None:  # **own, which must be written beside it
            return '"trust_remote_code": False' in tree_text
    return False


def test_every_call_of_transformers_and_vllm_says_no() -> None:
    found = list(calls())
    assert len(found) >= 8, "the walk finds nothing: what it looks for has other names now"
    for place, call in found:
        text = (SRC / place.rpartition(":")[0]).read_text(encoding="utf-8")
        assert says_no(call, text), f"{place}: must say trust_remote_code=False"


def test_no_other_way_to_such_code_is_in_src() -> None:
    """Names that are made into calls: `make = AutoModelForCausalLM.from_config; make(config)`."""
    for path in sorted(SRC.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert "trust_remote_code=True" not in text
        assert "dynamic_module" not in text
        for node in ast.walk(ast.parse(text)):
            taken = isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(
                node.value, ast.Attribute
            )
            assert not (taken and node.value.attr in RUNS_CODE), f"{path}:{node.lineno}"


@pytest.fixture
def with_code(cue_pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder whose files name code of their own; asking anybody is an error."""
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))

    def asked(*words: Any) -> str:
        raise AssertionError(f"somebody was asked: {words}")

    monkeypatch.setattr(builtins, "input", asked)
    folder = Path(shutil.copytree(cue_pair / "student", tmp_path / "model"))
    code = "import pathlib; pathlib.Path(__file__).with_name('ran').touch()\n"
    (folder / "own.py").write_text(code)
    classes = {
        "AutoConfig": "own.C",
        "AutoModelForCausalLM": "own.M",
        "AutoTokenizer": ["own.T", "own.T"],
    }
    for name in ("config.json", "tokenizer_config.json"):
        values = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**values, "auto_map": classes}))
    return folder


@pytest.mark.parametrize("own_kind", [False, True])
def test_code_beside_a_model_is_never_run_nor_asked_about(with_code: Path, own_kind: bool) -> None:
    """Also of a kind that the library has itself, where the code would go before it."""
    if own_kind:
        for name, key, value in (
            ("config.json", "model_type", "own"),
            ("tokenizer_config.json", "tokenizer_class", "OwnTokenizer"),
        ):
            values = json.loads((with_code / name).read_text())
            (with_code / name).write_text(json.dumps({**values, key: value}))
    section = ModelSection(model=str(with_code))
    source = Source(name="it", files=with_code, fingerprint="")
    for work in (
        lambda: find(section),
        lambda: load(section, source),
        lambda: load_config(source),
        lambda: load_tokenizer(source),
        lambda: skeleton(source),
        lambda: fits(source),
    ):
        try:
            work()
        except ModelError as error:
            assert own_kind, error
    assert not (with_code / "ran").exists()
