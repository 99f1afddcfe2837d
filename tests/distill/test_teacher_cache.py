"""What a teacher says is kept under a name that holds all that decides it, and nothing else."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from leaf.distill.ranks import ALONE
from leaf.distill.sample import content_key
from leaf.distill.teacher_cache import TeacherCacheSpec, open_teacher
from leaf.errors import StoreError
from leaf.models.files import Source, find
from leaf.models.load import load_tokenizer
from leaf.models.prompt_format import prompt_format_of
from leaf.recipe import DistillSection, ModelSection


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))


def spec(
    *, dtype: Any = "float32", source: str = "a", vocabulary: int = 61, **distill: Any
) -> TeacherCacheSpec:
    return TeacherCacheSpec(
        teacher=ModelSection(model="teacher", dtype=dtype),
        source=Source(name="teacher", fingerprint=source),
        section=DistillSection(**distill),
        vocabulary=vocabulary,
        store=Path("store"),
    )


def served(**changes: Any) -> dict[str, Any]:
    return {"teacher": "served", "served": changes}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"teacher": "topk"}, {"teacher": "topk", "temperature": 2.0}),
        ({"teacher": "topk"}, {"teacher": "topk", "top_k": 65}),
        ({"teacher": "topk"}, {"teacher": "topk", "vocabulary": 60}),
        ({"teacher": "topk"}, {"teacher": "topk", "source": "b"}),
        ({"teacher": "topk"}, {"teacher": "hidden"}),
        ({"teacher": "topk"}, {"teacher": "served"}),
        ({"teacher": "hidden"}, {"teacher": "hidden", "dtype": "bfloat16"}),
        ({"teacher": "hidden"}, {"teacher": "hidden", "source": "b"}),
        (served(), served(url="http://other/v1")),
        (served(), served(model="other")),
        (served(), {**served(), "top_k": 65}),
    ],
    ids=str,
)
def test_what_decides_the_entries_is_in_the_key(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    assert spec(**first).key != spec(**second).key


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # Hidden states are those of any temperature, loss and number of kept tokens.
        ({"teacher": "hidden"}, {"teacher": "hidden", "temperature": 2.0, "top_k": 3}),
        ({"teacher": "hidden"}, {"teacher": "hidden", "vocabulary": 60, "loss": "jsd"}),
        ({"teacher": "topk"}, {"teacher": "topk", "learning_rate": 1.0, "token_budget": 9}),
        ({"teacher": "topk"}, {"teacher": "topk", "chunk_tokens": 9, "loss": "tv"}),
        # The name on the server is by default that of the recipe; the files here do not matter.
        (served(), served(model="teacher")),
        (served(), {**served(), "source": "b", "dtype": "bfloat16"}),
        (served(), served(workers=2, key_variable="KEY")),
    ],
    ids=str,
)
def test_what_does_not_decide_them_is_not(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert spec(**first).key == spec(**second).key


def real(folder: Path, store: Path, student_vocabulary: int, **distill: Any) -> TeacherCacheSpec:
    section = ModelSection(model=str(folder), dtype="float32")
    return TeacherCacheSpec(
        teacher=section,
        source=find(section),
        section=DistillSection(**distill),
        vocabulary=student_vocabulary,
        store=store,
    )


def items_of(folder: Path) -> list[Any]:
    section = ModelSection(model=str(folder))
    chat = prompt_format_of(load_tokenizer(find(section)), section)
    return [chat.encode(f"How many {thing}?", "4") for thing in ("pens", "cups")]


@pytest.mark.parametrize("student", [-3, 0, 5])
def test_likeliest_tokens_are_compared_over_the_common_vocabulary(
    cue_pair: Path, tmp_path: Path, student: int
) -> None:
    own = AutoModelForCausalLM.from_pretrained(cue_pair / "teacher").config.vocab_size
    taught = real(cue_pair / "teacher", tmp_path, own + student, teacher="topk", top_k=10**6)
    items = items_of(cue_pair / "teacher")
    with open_teacher(taught, items, ALONE) as teacher:
        assert teacher.vocabulary == min(own, own + student)
        ids, log = teacher.cache.tops(items)
    assert ids.shape == (4, teacher.vocabulary)
    torch.testing.assert_close(log.exp().sum(1), torch.ones(4))


def test_hidden_states_lie_in_the_store_under_their_content(cue_pair: Path, tmp_path: Path) -> None:
    taught = real(cue_pair / "teacher", tmp_path, 61, teacher="hidden")
    items = items_of(cue_pair / "teacher")
    with open_teacher(taught, items, ALONE) as teacher:
        assert teacher.head.weight.dtype is torch.float32
    assert taught.folder.parent == tmp_path / "teacher"
    with safe_open(taught.folder / "part-00000.safetensors", framework="pt") as part:
        assert set(part.keys()) == {f"{content_key(item)}.states" for item in items}


def test_damage_is_found_before_training_and_gone_after_the_file_is(
    cue_pair: Path, tmp_path: Path
) -> None:
    taught = real(cue_pair / "teacher", tmp_path, 61, teacher="hidden")
    items = items_of(cue_pair / "teacher")
    with open_teacher(taught, items, ALONE) as teacher:
        expected = teacher.states(items)
    for name in ("part-00000.safetensors", "head.safetensors"):
        path = taught.folder / name
        path.write_bytes(path.read_bytes()[:50])
        with (
            pytest.raises(StoreError, match=f"{name}: damaged"),
            open_teacher(taught, items, ALONE),
        ):
            pass
        path.unlink()
        with open_teacher(taught, items, ALONE) as teacher:
            assert torch.equal(teacher.states(items), expected)
