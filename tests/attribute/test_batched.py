"""What all detectors that score tokens do alike: order, batches, reasons, bad numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from leaf.attribute.batched import BatchedDetector
from leaf.errors import NonFiniteError
from leaf.models.load import Loaded, load
from leaf.models.prompt_format import PromptFormat
from leaf.recipe import ModelSection
from leaf.recipe.detectors import SHIPPED, detector_class
from leaf.records import Problem, Sensitivity
from tests.attribute.measured import measured

BY_TOKENS = [name for name in SHIPPED if issubclass(detector_class(name), BatchedDetector)]


def attributor(
    name: str, loaded: Loaded, *, budget: int = 8192, tick: Callable[[int], None] | None = None
) -> Any:
    return measured(name, loaded, token_budget=budget, tick=tick)


def asked(text: str, *, before: str = "", after: str = "") -> Problem:
    return Problem(id=text, question=text, answer="4", solution="4", before=before, after=after)


QUESTIONS = [
    "Ada has some red pens. How many pens are there?",
    "Bo?",
    "Cy has some cups.",
    "Di has some red hats. Ada has some keys. How many hats are there?",
    "Why?",
]


def test_a_gradient_of_several_tokens_is_the_norm_over_all_their_embeddings(
    loaded: Loaded,
) -> None:
    problem = asked("Ada has ☃ pens.")
    chat = PromptFormat(loaded.tokenizer, name="tiny")
    (unit,) = [unit for unit in chat.prompt(problem).units if len(unit.tokens) > 1]
    conversation = chat.encode(problem.content, "4")
    ids = torch.tensor([conversation.ids])
    embeddings = loaded.model.get_input_embeddings()(ids).detach().requires_grad_()
    logits = loaded.model(inputs_embeds=embeddings).logits[0]
    nats = -torch.log_softmax(logits, dim=-1)[range(len(ids[0]) - 1), ids[0, 1:]]
    (gradient,) = torch.autograd.grad(nats[conversation.prompt_length - 1 :].mean(), embeddings)

    (found,) = attributor("gradient", loaded).attribute([problem], ["4"])
    score = found.scores[found.starts.index(unit.start)]
    assert score == pytest.approx(float(gradient[0, list(unit.tokens)].norm()), rel=1e-4)


@pytest.mark.parametrize("name", BY_TOKENS)
@pytest.mark.parametrize("budget", [1, 60, 8192])
def test_problems_come_back_in_order_with_the_same_scores_whatever_the_batches(
    loaded: Loaded, name: str, budget: int
) -> None:
    problems = [asked(text) for text in QUESTIONS]
    found = attributor(name, loaded, budget=budget).attribute(problems, ["4"] * 5)
    assert [item.problem_id for item in found] == QUESTIONS
    for problem, item in zip(problems, found, strict=True):
        (alone,) = attributor(name, loaded).attribute([problem], ["4"])
        assert (item.starts, item.ends) == (alone.starts, alone.ends)
        assert item.scores == pytest.approx(alone.scores, rel=1e-3, abs=1e-6)
        assert item.loss == pytest.approx(alone.loss, rel=1e-4)
        assert len(set(item.scores)) > 1


@pytest.mark.parametrize("name", BY_TOKENS)
def test_a_problem_that_cannot_be_scored_is_skipped_in_its_place_with_the_reason(
    loaded: Loaded, name: str
) -> None:
    # The model was made for 128 tokens; a byte-level tokenizer has no longer token than a word.
    problems = [asked("Bo?"), asked("@#" * 100), asked("Why?"), asked("")]
    ticks: list[int] = []
    found = attributor(name, loaded, tick=ticks.append).attribute(problems, ["4"] * 4)
    assert [item.problem_id for item in found] == [problem.id for problem in problems]
    assert [item.skipped for item in found] == [
        None,
        "prompt and reference longer than the context of 128 tokens",
        None,
        "no token of the question lies whole inside it",
    ]
    for item in (found[1], found[3]):
        assert (item.starts, item.ends, item.scores, item.loss) == ((), (), (), 0.0)
    assert sum(ticks) == 4


def test_a_gradient_needs_a_reference(loaded: Loaded) -> None:
    found: list[Sensitivity] = attributor("gradient", loaded).attribute(
        [asked("Bo?"), asked("Why?")], [" \n", "4"]
    )
    assert [item.skipped for item in found] == ["no reference response", None]


def test_no_problem_is_no_work(loaded: Loaded) -> None:
    for name in (*BY_TOKENS, "ablation"):
        assert attributor(name, loaded).attribute([], []) == []


@pytest.mark.parametrize("name", BY_TOKENS)
def test_a_number_that_is_none_names_model_problem_and_dtype(cue_pair: Path, name: str) -> None:
    broken = load(ModelSection(model=str(cue_pair / "student"), dtype="float32"))
    judge = attributor(name, broken)
    # Once the head is checked: hidden states that overflow, as float16 ones do.
    broken.model.model.norm.weight.fill_(float("inf"))
    with pytest.raises(NonFiniteError) as caught:
        judge.attribute([asked("Bo?")], ["4"])
    assert str(caught.value) == (
        f"{cue_pair / 'student'}: NaN or infinite sensitivity in problem Bo? (torch.float32); "
        "try dtype: float32"
    )
