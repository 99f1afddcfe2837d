"""Drafts on a real model, SmolLM2-135M: brought by tools/offline_models.py."""

from dataclasses import replace
from pathlib import Path

import pytest

from leaf.generate import HuggingFaceEngine
from leaf.models.load import load
from leaf.models.prompt_format import PromptFormat
from leaf.recipe import DataSection, GenerateSection, ModelSection
from leaf.tasks import load_problems
from leaf.text.units import may_go, pieces, without
from tests.marks import OFFLINE

MODEL = OFFLINE / "smollm2-135m.gguf"
SUMS = Path(__file__).parents[1] / "data" / "sums" / "train.jsonl"

pytestmark = [
    pytest.mark.real,
    pytest.mark.long,
    pytest.mark.skipif(
        not MODEL.is_file(), reason="SmolLM2 is not here: tools/offline_models.py smollm2-135m"
    ),
]


def cut_by_each_unit(problem):
    for unit in ("word", "clause", "sentence"):
        found = pieces(problem.question, unit)
        piece = next(((a, b) for a, b in found if may_go(problem.question[a:b])), None)
        if piece and len(found) > 1:
            yield replace(problem, question=without(problem.question, piece))


def test_drafts_save_passes_and_change_no_text_in_float32():
    loaded = load(ModelSection(model=str(MODEL), dtype="float32"))
    chat = PromptFormat(loaded.tokenizer, name="SmolLM2")
    section = GenerateSection(max_new_tokens=48)
    problems = load_problems(DataSection(task="table", path=str(SUMS), limit=6))
    uncut = HuggingFaceEngine(loaded, chat, section).answer(problems)
    pairs = [
        (variant, answer.text)
        for problem, answer in zip(problems, uncut, strict=True)
        for variant in cut_by_each_unit(problem)
    ]
    variants, drafts = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    plain = HuggingFaceEngine(loaded, chat, section).answer(variants)
    engine = HuggingFaceEngine(loaded, chat, section)
    assert engine.answer(variants, drafts) == plain
    assert engine.effort.tokens == sum(answer.response_tokens for answer in plain)
    assert engine.effort.row_passes < 0.9 * engine.effort.tokens
