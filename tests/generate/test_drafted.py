"""Drafted decoding says what a naive greedy loop says, whatever the draft, in fewer passes."""

import random

import pytest
import torch
from torch import device

from leaf.generate.decoding import Request, decode
from leaf.generate.drafted import Draft, draft_length
from leaf.generate.engine import Effort
from leaf.models.output_head import output_head
from tests.generate.said import all_said

PROMPTS = [
    [5, 9, 33, 2, 17, 40, 8, 21, 3],
    [5, 9, 33, 2, 17, 8, 21, 3],
    [44, 12],
    [5, 9, 33, 21, 3, 3, 3, 3, 3, 3, 1],
]
LIMIT = 24
CPU = device("cpu")


@pytest.fixture(params=["llama", "qwen2"])
def model(request, tiny_model):
    return tiny_model(request.param, seed=8, dtype=torch.float32)


def naive(model, prompt, limit, stops):
    """Say the most likely token again and again, one prompt, no padding and no cache."""
    ids = list(prompt)
    while len(ids) < len(prompt) + limit:
        ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] in stops:
            break
    return ids[len(prompt) :]


def said_by(model, drafts, *, prompts=PROMPTS, limits=None, stops=frozenset()):
    limits = limits or [LIMIT] * len(prompts)
    requests = [
        Request(prompt=prompt, limit=limit, draft=draft)
        for prompt, limit, draft in zip(prompts, limits, drafts, strict=True)
    ]
    found = decode(
        model,
        output_head(model),
        enumerate(requests),
        stops=set(stops),
        token_budget=10_000,
        max_rows=64,
    )
    said, effort = all_said(found)
    return [said[at] for at in range(len(prompts))], effort


def spoiled(tokens, rng):
    """A text with pieces dropped, put in and replaced."""
    found = []
    for token in tokens:
        luck = rng.random()
        if luck < 0.08:
            found += [rng.randrange(61), token]
        elif luck < 0.16:
            found.append(rng.randrange(61))
        elif luck > 0.08 + 0.16:
            found.append(token)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_any_draft_leads_to_the_text_of_a_naive_greedy_loop(model, seed):
    rng = random.Random(seed)
    stops = {rng.randrange(61), rng.randrange(61)}
    limits = [rng.randrange(1, LIMIT + 1) for _ in PROMPTS]
    expected = [
        naive(model, prompt, limit, stops) for prompt, limit in zip(PROMPTS, limits, strict=True)
    ]
    drafts = [spoiled(naive(model, prompt, LIMIT, ()), rng) for prompt in PROMPTS]
    # One without a draft, one with a draft of another language.
    drafts[rng.randrange(4)] = []
    drafts[rng.randrange(4)] = [rng.randrange(61) for _ in range(40)]
    found, effort = said_by(model, drafts, limits=limits, stops=stops)
    assert found == expected
    assert effort.tokens == sum(map(len, expected))
    assert effort.answers == len(PROMPTS)


def test_an_answer_that_is_its_draft_takes_two_passes(model):
    # The prompt's pass says the first token; the other 23 lie within one block of at most 32.
    expected = naive(model, PROMPTS[0], LIMIT, ())
    found, effort = said_by(model, [expected], prompts=PROMPTS[:1])
    assert found == [expected]
    # The last token is said by the pass that checks the 22 before it.
    assert effort == Effort(answers=1, tokens=24, passes=2, row_passes=2, proposed=22)


def test_without_a_draft_and_without_repetition_every_token_takes_a_pass(model):
    # Three tokens are too few to meet themselves.
    found, effort = said_by(model, [[]] * 4, limits=[3, 2, 1, 3])
    assert [len(tokens) for tokens in found] == [3, 2, 1, 3]
    assert (effort.passes, effort.row_passes, effort.proposed) == (3, 3 + 2 + 1 + 3, 0)


def test_finished_answers_take_part_in_no_further_pass(model):
    fed = []
    embeddings = model.get_input_embeddings()
    embeddings.register_forward_hook(lambda _module, inputs, _out: fed.append(inputs[0].numel()))
    said_by(model, [[]] * 2, prompts=PROMPTS[2:4], limits=[2, 4])
    # A probe of the head runs 4 tokens twice; then 2 + 11 prompt tokens, both answers, one answer.
    assert fed[2:] == [13, 2, 1, 1]


def test_prompts_with_a_common_beginning_compute_it_once(model):
    fed = []
    embeddings = model.get_input_embeddings()
    embeddings.register_forward_hook(lambda _module, inputs, _out: fed.append(inputs[0].numel()))
    said_by(model, [[]] * 2, prompts=PROMPTS[:2], limits=[1, 1])
    # 5 tokens of 9 and 8 are shared: one is fed whole, of the other the rest.
    assert fed[2:] in ([9, 3], [8, 4])


# Drafts.


def test_a_draft_that_agrees_proposes_ever_more():
    draft = Draft(range(100))
    # 16 rows: half a token for each agreement and one; it begins as if 8 had agreed.
    assert draft_length(draft.agreements, 16, CPU) == (8 + 1) // 2
    draft.follow(range(7))
    assert draft_length(draft.agreements, 16, CPU) == (8 + 7 + 1) // 2
    assert draft.propose(8) == list(range(7, 15))
    assert draft_length(99, 16, CPU) == 32  # never more than one block


def test_a_replaced_token_is_skipped():
    draft = Draft([1, 2, 3, 4, 5, 6])
    draft.follow([1, 2, 50])
    assert draft.propose(2) == [4, 5]


def test_a_draft_goes_on_where_the_text_meets_it_again():
    # The text leaves out 3 4 5 and goes on with 6 7; the last two tokens tell.
    draft = Draft([1, 2, 3, 4, 5, 6, 7, 8, 9])
    draft.follow([1, 2, 6, 7])
    assert draft.propose(3) == [8, 9]
    # The text puts 50 51 in.
    draft = Draft([1, 2, 3, 4, 5, 6])
    draft.follow([1, 2, 50, 51, 3, 4])
    assert draft.propose(3) == [5, 6]


def test_of_several_meeting_places_the_nearest_is_taken():
    draft = Draft([7, 8, 1, 2, 3, 4, 7, 8, 5, 9, 9, 9, 9, 9, 7, 8, 6])
    draft.follow([7, 8, 1, 2, 3, 4, 50, 7, 8])
    assert draft.propose(1) == [5]


def test_what_was_said_serves_where_the_draft_does_not():
    draft = Draft([1, 2, 3])
    draft.follow([50, 51, 52, 53, 54, 50, 51])
    assert draft.propose(3) == [52, 53, 54]
    # Back in the draft as soon as that meets the text.
    draft.follow([1, 2])
    assert draft.propose(3) == [3]


def test_what_was_said_may_be_proposed_up_to_its_end():
    draft = Draft([])
    draft.follow([7, 8, 7, 8])
    assert draft.propose(36) == [7, 8]
    draft.follow([7, 8])
    assert draft.propose(36) == [7, 8]


def test_a_draft_at_its_end_proposes_nothing():
    draft = Draft([1, 2])
    draft.follow([1, 2])
    assert draft.propose(5) == []
    draft.follow([3, 4, 5])
    assert draft.propose(5) == []


def test_the_wider_the_batch_the_less_is_proposed():
    # A pass costs as much as 24 tokens: (1 + 24 / (3 x rows)) / 3 for each agreement and one.
    assert [draft_length(8, rows, CPU) for rows in (1, 8, 16)] == [9 * 3, 9 * 2 / 3, 4]
    # On an accelerator tokens cost next to nothing beside a pass.
    assert draft_length(4, 8, device("cuda")) > 5 * 5
