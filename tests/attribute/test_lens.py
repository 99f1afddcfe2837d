"""Where the models disagree, against plain forward passes of transformers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from leaf.attribute import MeasuredModel, detector_class, gather, ranked_units
from leaf.errors import UsageError
from leaf.models.load import Loaded, load
from leaf.models.prompt_format import PromptFormat
from leaf.recipe import ModelSection
from leaf.records import Problem
from tests.marks import OFFLINE

QUESTION = "Ada has some red pens. How many pens are there?"
PROBLEM = Problem(id="p", question=QUESTION, answer="4", solution="4", after=" Now.")


def opened(path: Path) -> MeasuredModel:
    loaded = load(ModelSection(model=str(path), dtype="float32"))
    return MeasuredModel(loaded=loaded, chat=PromptFormat(loaded.tokenizer, name="a model"))


def log_p_of_characters(loaded: Loaded, chat: PromptFormat) -> np.ndarray:
    """Give each character of the question the log p of its token, from the model's own logits.

    Every character of these questions is one token or a part of one.
    """
    text = chat.render(PROBLEM.content).text
    coded = loaded.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids = torch.tensor(coded["input_ids"])
    with torch.no_grad():
        logits_TV = loaded.model(input_ids=ids[None]).logits[0].double()
    table_TV = logits_TV.log_softmax(dim=-1)
    log_p = np.full(len(text), np.nan)
    for at, (start, end) in enumerate(coded["offset_mapping"]):
        if at:
            log_p[start:end] = float(table_TV[at - 1, ids[at]])
    begin = text.index(QUESTION)
    return log_p[begin : begin + len(QUESTION)]


def by_hand(student: MeasuredModel, teacher: MeasuredModel) -> list[float]:
    """The mean over each student's token of the difference between its characters, min-maxed."""
    tokens = student.chat.prompt(PROBLEM).units
    both = [log_p_of_characters(model.loaded, model.chat) for model in (student, teacher)]
    means = [[log_p[unit.start : unit.end].mean() for unit in tokens] for log_p in both]
    differences = np.abs(np.subtract(*means))
    low, high = differences.min(), differences.max()
    return [float(value) for value in (differences - low) / (high - low)]


def check(student: MeasuredModel, teacher: MeasuredModel) -> None:
    lens = detector_class("lens")()
    (evidence,) = gather(lens, [PROBLEM], ["4"], student, teacher)
    units = ranked_units(lens, evidence)
    assert not isinstance(units, str)
    expected = by_hand(student, teacher)
    assert [unit.score for unit in units] == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert "".join(QUESTION[unit.start : unit.end] for unit in units) == QUESTION


def test_a_token_has_the_difference_of_both_models_log_p(cue_pair: Path) -> None:
    check(opened(cue_pair / "student"), opened(cue_pair / "teacher"))


def test_a_teacher_of_another_tokenizer_is_projected_by_characters(foreign_pair: Path) -> None:
    check(opened(foreign_pair / "student"), opened(foreign_pair / "teacher"))


@pytest.mark.real
@pytest.mark.skipif(
    not (OFFLINE / "smollm2-135m-short").exists(),
    reason="SmolLM2 is not here: tools/offline_models.py smollm2-135m smollm2-135m-short",
)
def test_real_models_differ_where_plain_forward_passes_do() -> None:
    check(opened(OFFLINE / "smollm2-135m-short"), opened(OFFLINE / "smollm2-135m.gguf"))


def test_without_a_teacher_one_line_says_what_to_take(cue_pair: Path) -> None:
    lens = detector_class("lens")()
    with pytest.raises(UsageError) as caught:
        gather(lens, [PROBLEM], ["4"], opened(cue_pair / "student"))
    assert str(caught.value) == (
        "detector `lens` compares two models, and there is no teacher: name one, or take ablation "
        "or perplexity"
    )
