"""The three ways of `benchmarks.ablation` read the same losses, and its figures say so."""

import pytest

from benchmarks.ablation import UNITS, batched, measure, single
from leaf.attribute.trials import Trial, plan_trial
from leaf.models.load import load
from leaf.models.prompt_format import PromptFormat
from leaf.recipe import DataSection, ModelSection, WorldSection
from leaf.tasks import load_problems

PROBLEMS = load_problems(DataSection(task="playground", split="both", world=WorldSection(size=6)))


def test_every_way_reads_the_losses_of_plain_passes() -> None:
    loaded = load(ModelSection(model="package:playground/models/student", dtype="float32"))
    chat = PromptFormat(loaded.tokenizer, name="student")
    planned = [plan_trial(problem, problem.solution, chat, UNITS) for problem in PROBLEMS]
    groups = [(one.whole, *one.cut) for one in planned if isinstance(one, Trial)]
    plain = single(loaded, groups)
    for share in (True, False):
        assert batched(loaded, 512, groups, share=share) == pytest.approx(plain, rel=1e-4)
    figures = measure(loaded, chat, PROBLEMS, UNITS, 512, label="test")
    assert figures["same_losses"] < 1e-4
    assert figures["n"] == len(groups)
    assert 1 < figures["forward_equivalents"] < 1 + figures["pieces"]
    assert 1 < figures["hide.forward_equivalents"] < figures["forward_equivalents"]
