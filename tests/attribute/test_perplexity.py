"""Surprisal against a naive float64 log-softmax."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from leaf.attribute.surprise import surprisal
from leaf.models.load import Loaded
from leaf.models.output_head import output_head
from leaf.models.prompt_format import EncodedExample, PromptFormat
from leaf.records import Problem
from tests.attribute.measured import measured

LONG = EncodedExample(ids=(5, 9, 22, 7, 31, 40, 3, 18, 2), prompt_length=1)
SHORT = EncodedExample(ids=(11, 4, 58), prompt_length=1)
LATE = EncodedExample(ids=(8, 8, 19, 25, 33, 2), prompt_length=4)


def naive(model: Any, ids: Sequence[int]) -> list[float]:
    """Return -log p of each token but the first, from the model's own full logits in float64."""
    logits_TV = model(input_ids=torch.tensor([list(ids)])).logits[0].double()
    table_TV = torch.log_softmax(logits_TV, dim=-1)
    return [-float(table_TV[at - 1, ids[at]]) for at in range(1, len(ids))]


def expected(model: Any, item: EncodedExample, width: int) -> torch.Tensor:
    """Return the row of surprisals: 0 before the response, and after its end."""
    row = torch.zeros(width, dtype=torch.float64)
    nats = torch.tensor([0.0, *naive(model, item.ids)], dtype=torch.float64)
    row[item.prompt_length : len(item.ids)] = nats[item.prompt_length :]
    return row


# The measure.


@pytest.mark.parametrize("family", ["llama", "qwen2"])
@pytest.mark.parametrize("item", [LONG, SHORT, LATE])
def test_surprisal_is_a_naive_log_softmax_of_the_full_logits(
    tiny_model: Callable[..., Any], family: str, item: EncodedExample
) -> None:
    model = tiny_model(family, dtype=torch.float64)
    nats_1T, loss_1 = surprisal(model, output_head(model), [item])
    row = expected(model, item, len(item.ids))
    torch.testing.assert_close(nats_1T[0], row, rtol=1e-10, atol=1e-12)
    mean = row.sum() / (len(item.ids) - item.prompt_length)
    torch.testing.assert_close(loss_1[0], mean, rtol=1e-10, atol=0)


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_a_mixed_batch_measures_each_problem_as_alone_and_padding_as_nothing(
    tiny_model: Callable[..., Any], family: str
) -> None:
    model = tiny_model(family, dtype=torch.float64)
    batch = [SHORT, LONG, LATE]
    nats_BT, losses_B = surprisal(model, output_head(model), batch)
    assert nats_BT.shape == (3, 9)
    for row, item in enumerate(batch):
        alone = expected(model, item, 9)
        torch.testing.assert_close(nats_BT[row], alone, rtol=1e-10, atol=1e-12)
        mean = alone.sum() / (len(item.ids) - item.prompt_length)
        torch.testing.assert_close(losses_B[row], mean, rtol=1e-10, atol=0)


def test_a_batch_of_many_tokens_is_measured_right_across_every_chunk_border(
    tiny_model: Callable[..., Any],
) -> None:
    # 3 * 119 + 99 = 456 positions: the logits of one problem come from two chunks of 256.
    model = tiny_model("llama", dtype=torch.float64)
    rng = torch.Generator().manual_seed(0)
    batch = [
        EncodedExample(
            ids=tuple(torch.randint(61, (length,), generator=rng).tolist()), prompt_length=1
        )
        for length in (120, 120, 120, 100)
    ]
    nats_BT, _ = surprisal(model, output_head(model), batch)
    for row, item in enumerate(batch):
        torch.testing.assert_close(nats_BT[row], expected(model, item, 120), rtol=1e-9, atol=1e-12)


def test_in_float32_the_numbers_are_those_of_float64(tiny_model: Callable[..., Any]) -> None:
    model = tiny_model("qwen2", dtype=torch.float32)
    nats_BT, losses_B = surprisal(model, output_head(model), [LONG, SHORT])
    assert (nats_BT.dtype, losses_B.dtype) == (torch.float32, torch.float32)
    exact = expected(model.double(), LONG, 9)
    torch.testing.assert_close(nats_BT[0].double(), exact, rtol=1e-4, atol=1e-5)


# The attributor, on a real tokenizer and model.


def attributor(loaded: Loaded) -> Any:
    return measured("perplexity", loaded)


def asked(text: str, *, before: str = "", after: str = "") -> Problem:
    return Problem(id=text, question=text, answer="4", solution="4", before=before, after=after)


QUESTIONS = [
    "Ada has some red pens. How many pens are there?",
    "Bo?",
    "Cy has some cups.",
    "Di has some red hats. Ada has some keys. How many hats are there?",
    "Why?",
]


def test_a_units_score_is_the_surprisal_of_its_tokens_after_all_before_them(
    loaded: Loaded,
) -> None:
    # `é` and `☃` are two and three byte tokens: one unit each, since text is cut at characters.
    problem = asked("Ada é has ☃ pens.", before="Read: ", after=" Now.")
    chat = PromptFormat(loaded.tokenizer, name="tiny")
    prompt = chat.prompt(problem)
    nats = [0.0, *naive(loaded.model, prompt.ids)]
    wide = [unit for unit in prompt.units if len(unit.tokens) > 1]
    assert [problem.question[unit.start : unit.end].strip() for unit in wide] == ["é", "☃"]

    (found,) = attributor(loaded).attribute([problem], ["4"])
    sums = [sum(nats[token] for token in unit.tokens) for unit in prompt.units]
    assert found.scores == pytest.approx(sums, rel=1e-4)
    assert found.starts == tuple(unit.start for unit in prompt.units)
    assert found.ends == tuple(unit.end for unit in prompt.units)
    assert found.loss == pytest.approx(sum(nats) / (len(prompt.ids) - 1), rel=1e-5)
    assert (found.problem_id, found.skipped) == (problem.id, None)


def test_references_play_no_part_in_surprisal(loaded: Loaded) -> None:
    problems = [asked(text) for text in QUESTIONS]
    one = attributor(loaded).attribute(problems, ["4"] * 5)
    # Nor do they in what is skipped: a problem without a reference has a question all the same.
    assert one == attributor(loaded).attribute(problems, ["", " ", "a", "b c", "7"])
