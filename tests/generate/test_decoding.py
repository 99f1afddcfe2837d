"""Rows that come and go say what each says alone; drawn tokens follow the softmax."""

import pytest
import torch
from scipy import stats

from leaf.generate.decoding import Request, Sampling, decode, draw
from leaf.models.output_head import output_head
from tests.generate.said import all_said

PROMPTS = [[5, 9, 33, 2, 17], [44, 12], [5, 9, 33, 2, 8, 8, 1], [3], [7, 7, 7, 40, 2, 2], [20, 21]]
LIMITS = [9, 3, 12, 6, 1, 8]


@pytest.fixture
def model(tiny_model):
    return tiny_model("llama", seed=8, dtype=torch.float32)


def said_by(model, requests, *, max_rows=64, token_budget=10_000, **options):
    found = decode(
        model,
        output_head(model),
        enumerate(requests),
        stops=set(),
        max_rows=max_rows,
        token_budget=token_budget,
        **options,
    )
    said, effort = all_said(found)
    return [said[at] for at in range(len(requests))], list(said), effort


def requests(**settings):
    return [
        Request(prompt=prompt, limit=limit, seed=at, **settings)
        for at, (prompt, limit) in enumerate(zip(PROMPTS, LIMITS, strict=True))
    ]


def naive(model, prompt, limit):
    ids = list(prompt)
    while len(ids) < len(prompt) + limit:
        ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("max_rows", [1, 2, 3, 6])
@pytest.mark.parametrize("drafting", [True, False])
def test_however_many_have_room_at_a_time_each_says_what_it_says_alone(model, max_rows, drafting):
    found, _, effort = said_by(model, requests(), max_rows=max_rows, drafting=drafting)
    assert found == [
        naive(model, prompt, limit) for prompt, limit in zip(PROMPTS, LIMITS, strict=True)
    ]
    assert effort.tokens == sum(LIMITS)
    assert effort.answers == len(PROMPTS)


def test_who_waits_takes_the_row_of_who_has_finished(model):
    # Two at a time, of these the one with most room first: 1 ends after 3 tokens and lets 2 in, for
    # 12; 0 ends after 9 and lets 3 in, for 6. Both are done at 15, and 5 goes on for 8 beside 4.
    _, order, effort = said_by(model, requests(), max_rows=2, drafting=False)
    assert order[:2] == [1, 0]
    assert set(order[2:4]) == {2, 3}
    assert order[4:] == [4, 5]
    # The first token of each comes with its prompt: four times alone, and together for 5 and 4.
    assert effort.tokens == sum(LIMITS)


def test_requests_are_taken_when_there_is_room_for_them(model):
    taken = []

    def coming():
        for at, request in enumerate(requests()):
            taken.append(at)
            yield at, request

    found = decode(
        model, output_head(model), coming(), stops=set(), max_rows=2, token_budget=10_000
    )
    next(found)
    # Two are open or just done, two more wait; the others are not looked at yet.
    assert taken == [0, 1, 2, 3]
    assert sorted([1, *(number for number, _ in found)]) == list(range(len(PROMPTS)))


def test_the_token_budget_bounds_the_open_rows(model):
    fed = []
    embeddings = model.get_input_embeddings()
    embeddings.register_forward_hook(lambda _m, inputs, _o: fed.append(inputs[0].numel()))
    # Each may become 10 tokens long, so that two have room in 25.
    alike = [Request(prompt=[at, 30, 31, 32, 33, 34], limit=4) for at in range(5)]
    said_by(model, alike, token_budget=25, drafting=False)
    # After the probe of the head: two prompts, three passes of both, two more, the last alone.
    assert fed[2:] == [12, 2, 2, 2, 12, 2, 2, 2, 6, 1, 1, 1]


def test_a_request_beyond_the_budget_is_answered_alone(model):
    found, _, _ = said_by(model, requests(), token_budget=1)
    assert [len(tokens) for tokens in found] == LIMITS


# Drawn tokens.


SAMPLING = Sampling(temperature=0.8, top_p=0.9)


def test_a_seed_says_the_same_whatever_stands_beside_it_and_another_seed_another_text(model):
    asked = requests()
    alone = [said_by(model, [request], sampling=SAMPLING)[0][0] for request in asked]
    for max_rows in (2, 6):
        assert said_by(model, asked, max_rows=max_rows, sampling=SAMPLING)[0] == alone
    same = [Request(prompt=PROMPTS[0], limit=12, seed=seed) for seed in range(6)]
    texts = {tuple(tokens) for tokens in said_by(model, same, sampling=SAMPLING)[0]}
    assert len(texts) == 6


def test_draws_follow_the_softmax_of_logits_over_temperature():
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0])
    draws = torch.rand(20_000, generator=torch.Generator().manual_seed(1))
    tokens = draw(logits.expand(20_000, 4), draws, Sampling(temperature=2.0))
    expected = torch.softmax(logits / 2.0, dim=0)
    counts = torch.bincount(tokens, minlength=4).numpy()
    assert stats.chisquare(counts, 20_000 * expected.numpy().astype(float)).pvalue > 0.001


def test_the_nucleus_is_the_fewest_tokens_that_hold_its_share():
    p = torch.tensor([0.1, 0.5, 0.05, 0.35])
    draws = torch.linspace(0, 1, 1001)[:-1]
    logits = p.log().expand(1000, 4)
    # 0.5 + 0.35 reaches 0.8; drawn in proportion: 0.5 / 0.85 = 588.2 of 1000.
    tokens = draw(logits, draws, Sampling(temperature=1.0, top_p=0.8)).tolist()
    assert set(tokens) == {1, 3}
    assert tokens.count(1) == pytest.approx(588, abs=1)
    # A share below the first token's leaves that one.
    assert set(draw(logits, draws, Sampling(temperature=1.0, top_p=0.2)).tolist()) == {1}


def test_the_last_draw_below_one_is_a_token_with_probability():
    logits = torch.tensor([[0.0, -200.0, 1.0]])
    last = torch.tensor([1 - 2**-24])
    # exp(-200 / 0.1) is 0 in float32, so the second token can never be meant.
    assert int(draw(logits, last, Sampling(temperature=0.1))) in (0, 2)


@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.999])
@pytest.mark.parametrize("spread", [0.1, 2.0, 8.0])
def test_a_draw_is_that_of_the_whole_vocabulary_in_order(top_p, spread):
    """Whether the likely tokens decide it (a spread of 8), or all are sorted (0.1)."""
    random = torch.Generator().manual_seed(5)
    logits = spread * torch.randn(60, 3_000, generator=random, dtype=torch.float64)
    draws = torch.rand(60, generator=random, dtype=torch.float64)

    found = draw(logits, draws, Sampling(temperature=0.8, top_p=top_p))

    for row, one, token in zip(logits, draws, found.tolist(), strict=True):
        chances = sorted(
            ((float(p), at) for at, p in enumerate((row / 0.8).softmax(0))), reverse=True
        )
        nucleus, held = [], 0.0
        for chance, at in chances:
            if held >= top_p:
                break
            held += chance
            nucleus.append((held, at))
        assert token == next(at for reached, at in nucleus if reached > float(one) * held)
