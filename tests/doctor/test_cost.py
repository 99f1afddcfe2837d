"""The doctor's estimates of stage 2 count what the files, the rows and the recipe say."""

import copy
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoTokenizer

from leaf.distill.ranks import ALONE
from leaf.distill.room import Parameters
from leaf.distill.teacher_cache import TeacherCacheSpec, open_teacher
from leaf.doctor import cost, examine
from leaf.doctor.cost import check_cost, count_rows, kept_bytes, product_rate, training_operations
from leaf.doctor.files import ModelFiles, look, open_chat
from leaf.doctor.machine import check_memory
from leaf.recipe import ModelSection, Recipe
from leaf.recipe.reading import check_recipe
from leaf.tasks import load_problems

RATE = 1e9
"""Operations a second, where a test needs to know."""


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cost, "product_rate", lambda device, dtype: RATE)


def recipe_of(pair: Path, attribute: dict[str, Any] | None = None, **distill: Any) -> Recipe:
    values = yaml.safe_load((pair / "recipe.yaml").read_text())
    settings = {"compute_dtype": "float32", **distill}
    return check_recipe(
        {**values, "attribute": attribute or {}, "distill": settings}, source="test"
    )


@pytest.fixture
def pair(cue_pair: Path) -> tuple[ModelFiles, ModelFiles]:
    """Student and teacher as if they had 1 and 3 million parameters, the teacher 2^20 wide."""
    student, teacher = (
        look(ModelSection(model=str(cue_pair / role), dtype="float32"), role)
        for role in ("student", "teacher")
    )
    config = copy.deepcopy(teacher.config)
    config.hidden_size = 2**20
    return (
        replace(student, parameters=10**6),
        replace(teacher, parameters=3 * 10**6, config=config),
    )


def texts(recipe: Recipe, pair: tuple[ModelFiles, ModelFiles]) -> list[str]:
    student, teacher = pair
    problems = load_problems(recipe.data)
    return [
        finding.text
        for finding in check_cost(recipe, student, teacher, problems, open_chat(student))
    ]


def tokens_of(cue_pair: Path) -> tuple[int, int]:
    """Count the tokens of all rows, and of their responses, with the tokenizer alone."""
    tokenizer = AutoTokenizer.from_pretrained(cue_pair / "student")
    total = 0
    problems = load_problems(recipe_of(cue_pair).data)
    for problem in problems:
        prompt = [{"role": "user", "content": problem.question}]
        text = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        total += len(tokenizer(text + "4<|im_end|>", add_special_tokens=False)["input_ids"])
    # "4" and the end of the turn.
    return total, 2 * len(problems)


def test_rows_and_their_tokens_are_counted(
    cue_pair: Path, pair: tuple[ModelFiles, ModelFiles]
) -> None:
    recipe = recipe_of(cue_pair)
    rows = count_rows(recipe, load_problems(recipe.data), open_chat(pair[0]))
    assert (rows.tokens, rows.responses) == tokens_of(cue_pair)
    assert (rows.count, rows.known) == (8, True)


def test_rows_beyond_the_cutoff_are_not_counted(
    cue_pair: Path, pair: tuple[ModelFiles, ModelFiles]
) -> None:
    recipe = recipe_of(cue_pair, cutoff=10)
    assert count_rows(recipe, load_problems(recipe.data), open_chat(pair[0])).count == 0
    assert texts(recipe, pair) == []


def test_hidden_states_take_width_times_bytes_a_response_token(
    cue_pair: Path, pair: tuple[ModelFiles, ModelFiles]
) -> None:
    disk, teaching, training = texts(recipe_of(cue_pair, teacher="hidden"), pair)
    # 16 response tokens of 2^20 float32 numbers; the head has 2^20 for each entry.
    head = pair[1].vocabulary * 4 / 2**10
    assert disk.startswith(
        f"disk, teacher's hidden states: about 64 MiB for 8 original rows, and {head:.1f} GiB for "
        "its head; a changed question adds as much as its original; "
    )
    total, _ = tokens_of(cue_pair)
    # 2 operations a parameter and token.
    assert teaching == f"time, teacher's hidden states: about {6e6 * total / RATE:.1f} s, once"
    # Two students, 6 operations a parameter and token, three epochs; no teacher in memory.
    assert training.startswith(
        f"time, training: about {2 * 6e6 * total * 3 / RATE:.1f} s for two students on 8 original "
        "rows at 0.001 trillion operations a second; longer by their changed questions"
    )


def test_a_tiny_model_is_said_to_take_longer_than_its_products(
    cue_pair: Path, pair: tuple[ModelFiles, ModelFiles]
) -> None:
    recipe, (student, teacher) = recipe_of(cue_pair), pair
    small = replace(student, parameters=4_000_000)
    said = "; a model this small takes several times as long (`--total` measures it)"
    assert texts(recipe, (small, teacher))[-1].endswith(said)
    large = replace(student, parameters=6_000_000)
    assert said not in texts(recipe, (large, teacher))[-1]


def test_likeliest_tokens_take_eight_bytes_each(
    cue_pair: Path, pair: tuple[ModelFiles, ModelFiles]
) -> None:
    recipe = recipe_of(cue_pair, teacher="topk", top_k=2**16)
    # 16 response tokens of 2^16 times 8 bytes.
    assert texts(recipe, pair)[0].startswith(
        "disk, teacher's likeliest tokens: about 8 MiB for 8 original rows; a changed question adds"
    )
    assert kept_bytes(recipe.distill, pair[1], 10) == (10 * 2**16 * 8, 0)


def test_a_server_takes_disk_but_no_time_here(
    cue_pair: Path, pair: tuple[ModelFiles, ModelFiles]
) -> None:
    disk, training = texts(recipe_of(cue_pair, teacher="served", top_k=2**16), pair)
    assert disk.startswith("disk, teacher's likeliest tokens: about 8 MiB")
    assert training.startswith("time, training")


def test_responses_that_the_teacher_writes_are_taken_to_be_the_longest(
    cue_pair: Path, pair: tuple[ModelFiles, ModelFiles]
) -> None:
    recipe = recipe_of(cue_pair, {"reference": "teacher"}, teacher="hidden")
    # 8 rows of at most 8 new tokens and the end of the turn, each 4 MiB.
    assert texts(recipe, pair)[0].startswith("disk, teacher's hidden states: at most 288 MiB")


@pytest.mark.parametrize("kept", ["hidden", "topk"])
def test_the_estimate_is_what_is_then_kept(cue_pair: Path, tmp_path: Path, kept: str) -> None:
    recipe = recipe_of(cue_pair, teacher=kept, top_k=9)
    student, teacher = (look(getattr(recipe, role), role) for role in ("student", "teacher"))
    problems, chat = load_problems(recipe.data), open_chat(student)
    spec = TeacherCacheSpec(
        teacher=recipe.teacher,
        source=teacher.source,
        section=recipe.distill,
        vocabulary=student.vocabulary,
        store=tmp_path,
    )
    items = [chat.encode(problem.content, "4") for problem in problems]
    with open_teacher(spec, items, ALONE):
        pass
    found = {"part": 0, "head": 0}
    for path in spec.folder.glob("*.safetensors"):
        found[path.stem[:4]] += sum(tensor.nbytes for tensor in load_file(path).values())
    rows = count_rows(recipe, problems, chat)
    expected = kept_bytes(recipe.distill, teacher, rows.responses)
    assert (found["part"], found["head"]) == expected


def test_what_does_not_fit_on_the_disk_is_bad_with_the_way_out(
    cue_pair: Path, pair: tuple[ModelFiles, ModelFiles]
) -> None:
    recipe = recipe_of(cue_pair, teacher="hidden")
    pair[1].config.hidden_size = 2**50
    problems = load_problems(recipe.data)
    first, *_ = check_cost(recipe, *pair, problems, open_chat(pair[0]))
    assert first.level == "bad"
    assert first.text.endswith("free: take distill.teacher: online")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # 6 million operations for the student and 6 for the teacher, 3 epochs of 1,000 tokens.
        ({}, 12e6 * 3000),
        ({"epochs": 1}, 12e6 * 1000),
        ({"cross_entropy": 1.0}, 6e6 * 3000),
        ({"teacher": "hidden"}, 6e6 * 3000),
        ({"teacher": "topk"}, 6e6 * 3000),
        # Frozen weights have no gradient.
        ({"tuning": "lora"}, 10e6 * 3000),
        ({"gradient_checkpointing": True}, 14e6 * 3000),
        # 10 rows of 100 tokens, 4 at a time.
        ({"max_steps": 5, "batch_size": 4}, 12e6 * 5 * 4 * 100),
        ({"max_tokens": 7000}, 12e6 * 7000),
    ],
    ids=str,
)
def test_operations_follow_the_recipe(
    cue_pair: Path, pair: tuple[ModelFiles, ModelFiles], changes: dict[str, Any], expected: float
) -> None:
    section = recipe_of(cue_pair, **changes).distill
    rows = cost.RowCounts(count=10, tokens=1000, responses=200, known=True)
    assert training_operations(section, rows, *pair) == expected


def test_a_teacher_on_disk_takes_no_memory_while_the_student_learns(
    cue_pair: Path, pair: tuple[ModelFiles, ModelFiles]
) -> None:
    trained = Parameters(learning=2**20, frozen=0)
    student, teacher = pair
    teacher.config.hidden_size = 2**10
    teacher = replace(teacher, parameters=2**28)
    found = {}
    for name in ("online", "hidden", "topk"):
        *_, training = check_memory(recipe_of(cue_pair, teacher=name), student, teacher, trained)
        found[name] = training.text.partition(", and ")[0]
    # 16 MiB for the student; the teacher's gibibyte, its head of 4 KiB an entry, or nothing.
    head = 16 + teacher.vocabulary * 4 / 2**10
    assert found == {
        "online": "memory, training: about 1.0 GiB",
        "hidden": f"memory, training: about {head:.0f} MiB",
        "topk": "memory, training: about 16 MiB",
    }


def test_the_rate_is_that_of_a_product_here() -> None:
    rate = product_rate(torch.device("cpu"), torch.float32)
    # Slower than a pocket calculator, or faster than any processor, would be a mistake in units.
    assert 1e8 < rate < 1e15


def test_the_estimates_are_part_of_the_examination(cue_pair: Path) -> None:
    found = [finding.text for finding in examine(recipe_of(cue_pair, teacher="hidden"))]
    assert any(
        re.match(r"disk, teacher's hidden states: about \d+ KiB for 8 ", text) for text in found
    )
    assert any(text.startswith("time, training: about ") for text in found)
