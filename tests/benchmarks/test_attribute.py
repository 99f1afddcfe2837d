"""The two ways of `benchmarks.attribute` compute the same, and its count of operations is right."""

import pytest
import torch

from benchmarks._compiled import compiled
from benchmarks.attribute import cosine, operations, score_ours, score_published
from leaf.attribute import MeasuredModel
from leaf.models.load import load
from leaf.models.prompt_format import PromptFormat
from leaf.recipe import DataSection, ModelSection, WorldSection
from leaf.tasks import load_problems

STUDENT = ModelSection(model="package:playground/models/student", dtype="float32")
PROBLEMS = load_problems(DataSection(task="playground", split="both", world=WorldSection(size=5)))


@pytest.fixture(scope="module")
def opened():
    loaded = load(STUDENT)
    return loaded, PromptFormat(loaded.tokenizer, name="student")


def test_both_ways_give_the_same_scores_and_leave_no_gradient(opened):
    ours = score_ours(MeasuredModel(loaded=opened[0], chat=opened[1]), PROBLEMS)
    theirs = score_published(*opened, PROBLEMS)
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, rel=1e-3)
    parameters = list(opened[0].model.parameters())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in parameters)


def test_what_is_compiled_computes_the_same_and_is_taken_back(opened, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: function)  # no compiler here
    here = MeasuredModel(loaded=opened[0], chat=opened[1])
    plain = score_ours(here, PROBLEMS)
    with compiled(opened[0].model) as count:
        layers = opened[0].model.config.num_hidden_layers
        assert count >= 3 * layers + 1
        for one, other in zip(plain, score_ours(here, PROBLEMS), strict=True):
            assert one == pytest.approx(other, rel=1e-5)
    assert not any("forward" in vars(module) for module in opened[0].model.modules())


def test_operations_are_four_a_parameter_and_token_and_the_head_counts_for_the_response(opened):
    loaded, chat = opened
    conversation = chat.encode(PROBLEMS[0].content, PROBLEMS[0].solution)
    table = loaded.model.get_input_embeddings().weight.numel()  # tied: it is the head as well
    body = sum(parameter.numel() for parameter in loaded.model.parameters()) - table
    response = len(conversation.ids) - conversation.prompt_length
    expected = 4 * (body * len(conversation.ids) + table * response)
    assert operations(loaded, chat, PROBLEMS)[0] == expected


def test_the_cosine_is_one_for_scores_of_another_scale_and_zero_at_a_right_angle():
    assert cosine((1.0, 2.0, 2.0), (3.0, 6.0, 6.0)) == pytest.approx(1.0)
    assert cosine((1.0, 0.0), (0.0, 5.0)) == 0.0
