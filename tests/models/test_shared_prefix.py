"""Forked rows of a cache, compared with every sequence run alone from its first token."""

import pytest
import torch
from transformers import BloomConfig, BloomForCausalLM, Gemma2Config, Gemma2ForCausalLM

from leaf.models.kv_cache import RaggedCache
from leaf.models.output_head import backbone
from leaf.models.paths import paths_of
from leaf.models.shared_prefix import Start, common_prefix, feed_shared, plan_starts

FAMILIES = ["llama", "qwen2"]
PROMPT = [5, 9, 33, 2, 17, 40, 8, 21, 3]


@pytest.fixture(params=[(f, a) for f in FAMILIES for a in ("eager", "sdpa")], ids=str)
def model(request, tiny_model):
    family, attention = request.param
    made = tiny_model(family, seed=3, dtype=torch.float32)
    made.set_attn_implementation(attention)
    return made


def alone(model, ids):
    """The last hidden states [K, D] of one sequence, without cache, mask or neighbours."""
    return backbone(model)(input_ids=torch.tensor([ids])).last_hidden_state[0]


def same(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_variants_of_a_prompt_go_on_as_if_each_had_been_run_alone(model):
    # Cut before the first token, in the middle, and nothing cut; suffixes of different length.
    cuts, suffixes = [0, 4, len(PROMPT)], [[1, 2, 3, 4, 5], [30], [7, 8]]
    prompt = RaggedCache(model, 1)
    same(prompt.feed([PROMPT])[0], alone(model, PROMPT))
    hidden = prompt.fork([0, 0, 0], cuts).feed(suffixes)
    for row, (cut, suffix) in enumerate(zip(cuts, suffixes, strict=True)):
        same(hidden[row], alone(model, PROMPT[:cut] + suffix)[cut:])


def test_a_forks_tokens_leave_the_rows_it_came_from_as_they_were(model):
    prompt = RaggedCache(model, 1)
    prompt.feed([PROMPT])
    prompt.fork([0, 0], [2, 5]).feed([[50] * 30, [51]])
    same(prompt.feed([[4]])[0][0], alone(model, [*PROMPT, 4])[-1])


def test_a_row_that_is_taken_back_forgets_its_tail(model):
    rows = RaggedCache(model, 2)
    rows.feed([PROMPT, PROMPT[:3]])
    rows.feed([[11, 12, 13], [14]])
    rows.lengths = [len(PROMPT) + 1, 3]
    hidden = rows.feed([[20], [21, 22]])
    same(hidden[0][0], alone(model, [*PROMPT, 11, 20])[-1])
    same(hidden[1], alone(model, [*PROMPT[:3], 21, 22])[-2:])


def test_a_row_may_wait_while_others_are_fed(model):
    rows = RaggedCache(model, 2)
    rows.feed([PROMPT, [7]])
    rows.feed([[], [8, 9]])
    hidden = rows.feed([[10], [10]])
    same(hidden[0][0], alone(model, [*PROMPT, 10])[-1])
    same(hidden[1][0], alone(model, [7, 8, 9, 10])[-1])


def test_kept_rows_go_on_in_their_new_order(model):
    rows = RaggedCache(model, 3)
    rows.feed([PROMPT, [7, 8], PROMPT[2:]])
    rows.keep([2, 0])
    hidden = rows.feed([[1], [2]])
    same(hidden[0][0], alone(model, [*PROMPT[2:], 1])[-1])
    same(hidden[1][0], alone(model, [*PROMPT, 2])[-1])


def test_rows_grow_over_many_passes(model):
    rows = RaggedCache(model, 2)
    said = [list(PROMPT), [6]]
    rows.feed(said)
    for token in range(80):
        for row in (0, 1):
            said[row] = [*said[row], (token * (row + 3)) % 61]
        hidden = rows.feed([[row[-1]] for row in said])
    for row in (0, 1):
        torch.testing.assert_close(
            hidden[row][0], alone(model, said[row])[-1], rtol=1e-4, atol=1e-4
        )


def test_a_long_row_is_fed_in_parts(model, monkeypatch):
    monkeypatch.setattr("leaf.models.kv_cache._WIDEST", 3)
    hidden = RaggedCache(model, 2).feed([PROMPT, PROMPT[:4]])
    same(hidden[0], alone(model, PROMPT))
    same(hidden[1], alone(model, PROMPT[:4]))


def blind(model, ids, since, first, behind):
    """The last hidden states [K, D] where tokens from `since` on do not see `first` to `behind`."""
    count = len(ids)
    sees_KK = torch.ones(count, count, dtype=torch.bool).tril()
    sees_KK[since:, first:behind] = False
    mask = torch.zeros(count, count).masked_fill(~sees_KK, torch.finfo(torch.float32).min)
    return backbone(model)(
        input_ids=torch.tensor([ids]), attention_mask=mask[None, None]
    ).last_hidden_state[0]


def test_a_forks_tokens_do_not_see_what_is_hidden_from_them(model):
    prompt = RaggedCache(model, 1)
    prompt.feed([PROMPT])
    # Hidden: the first tokens, some in the middle of another length, nothing.
    hidden, cuts = [(0, 2), (3, 6), (0, 0)], [7, 6, 4]
    rows = prompt.fork([0, 0, 0], cuts, hidden)
    suffixes = [[1, 2, 3, 4, 5], [30], [7, 8]]
    found = rows.feed(suffixes)
    more = rows.feed([[9], [], [10]])
    for row, (cut, span) in enumerate(zip(cuts, hidden, strict=True)):
        same(found[row], blind(model, PROMPT[:cut] + suffixes[row], cut, *span)[cut:])
    same(more[0], blind(model, [*PROMPT[:7], *suffixes[0], 9], 7, 0, 2)[-1:])
    rows.keep([1, 2])
    same(rows.feed([[11], [12]])[0], blind(model, [*PROMPT[:6], 30, 11], 6, 3, 6)[-1:])
    assert not torch.allclose(found[0][0], alone(model, PROMPT[:7] + suffixes[0])[7])


def test_the_model_keeps_its_own_attention(model):
    before = model.config._attn_implementation
    RaggedCache(model, 1).feed([PROMPT])
    assert model.config._attn_implementation == before
    with pytest.raises(IndexError):
        RaggedCache(model, 1).feed([[10_000]])
    assert model.config._attn_implementation == before


def test_a_fork_longer_than_its_parent_is_refused(model):
    rows = RaggedCache(model, 1)
    rows.feed([[1, 2]])
    with pytest.raises(ValueError, match=r"must lie in 0 to 2 \(row 0\), not 3"):
        rows.fork([0], [3])


def test_shared_feeding_gives_each_sequence_its_own_last_state(model):
    sequences = [
        PROMPT,
        [*PROMPT[:6], 44, 45],
        [60, 59, 58],
        PROMPT,
        PROMPT[:5],
        [60, 59, 58, 57, 1, 2],
    ]
    rows, last = feed_shared(model, sequences)
    for at, sequence in enumerate(sequences):
        same(last[at], alone(model, sequence)[-1])
    hidden = rows.feed([[9]] * len(sequences))
    for at, sequence in enumerate(sequences):
        same(hidden[at][0], alone(model, [*sequence, 9])[-1])


def test_sequences_with_nothing_in_common_are_fed_in_one_pass(model):
    passes = []
    backbone(model).register_forward_hook(lambda *_: passes.append(1))
    feed_shared(model, [[1, 2, 3], [4, 5], [6]])
    assert len(passes) == 1


def test_the_leader_is_the_one_whose_beginning_the_others_share_longest():
    # c is cut last: a shares 2 tokens with it, b 4; with b as the leader a would share 2, c 4;
    # with a, 2 and 2. b and c tie (6 + their own length), and c is the longer one.
    a, b, c = [1, 2, 9, 9], [1, 2, 3, 4, 8], [1, 2, 3, 4, 5, 6]
    assert plan_starts([a, b, c]) == [Start(2, 2), Start(2, 4), Start(2, 0)]


def test_prompts_that_share_only_their_template_lead_themselves():
    # 2 of 6 tokens.
    assert plan_starts([[1, 2, 3, 4, 5, 6], [1, 2, 7, 8, 9, 9]]) == [Start(0, 0), Start(1, 0)]


def test_a_twin_keeps_one_token_to_be_fed():
    starts = plan_starts([[1, 2, 3], [1, 2, 3]])
    assert sorted((start.leader, start.length) for start in starts) == [(0, 0), (0, 2)]


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [([], [1], 0), ([1, 2], [1, 2, 3], 2), ([1, 2, 4], [1, 2, 3], 2), ([2], [1], 0)],
)
def test_a_common_prefix_ends_at_the_first_difference(one, other, shared):
    assert common_prefix(one, other) == shared


def shares(model):
    return paths_of(model).shares


def test_only_models_that_keep_every_position_shares(tiny_model):
    float32 = torch.float32
    assert shares(tiny_model("llama", dtype=float32))
    assert shares(tiny_model("qwen2", dtype=float32))
    window = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0}
    assert not shares(tiny_model("qwen2", dtype=float32, **window))
    stretched = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    assert not shares(tiny_model("llama", dtype=float32, rope_parameters=stretched))
    # Bloom's positions are slopes added to the attention scores; Gemma 2 caps these scores.
    bloom = BloomConfig(vocab_size=61, hidden_size=16, n_layer=2, n_head=4)
    assert not shares(BloomForCausalLM(bloom).eval())
    gemma = Gemma2Config(
        vocab_size=61,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=4,
        layer_types=["full_attention"] * 2,
        attn_logit_softcapping=0.01,
        query_pre_attn_scalar=1,
        initializer_range=0.5,
    )
    assert not shares(Gemma2ForCausalLM(gemma).eval())
