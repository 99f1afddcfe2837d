"""Batches as one sequence, compared with the same batches padded."""

import pytest
import torch
import torch.nn.functional as F
from torch import device
from transformers import Gemma2Config, Gemma2ForCausalLM

from leaf.models.output_head import backbone
from leaf.models.packing import Packer, _attend_at_once, _attend_in_turn, _has_varlen, _Kept, _Pack
from leaf.models.padding import pad
from leaf.models.prompt_format import EncodedExample

BEGINNING = (5, 9, 33)
ITEMS = [
    EncodedExample(ids=(*BEGINNING, 17, 40, 8, 21, 3), prompt_length=6),
    EncodedExample(ids=(*BEGINNING, 2, 7), prompt_length=4),
    EncodedExample(ids=(*BEGINNING, 50, 11, 12, 13, 14, 15, 16, 19), prompt_length=5),
]


def padded(model, batch, embeddings_BTD):
    """The same hidden states by the model's own forward."""
    hidden_BTD = backbone(model)(
        inputs_embeds=embeddings_BTD, attention_mask=batch.mask_BT, use_cache=False
    ).last_hidden_state
    return hidden_BTD[batch.rows_R, batch.positions_R]


def both_ways(model, batch, packer):
    """Hidden states and embedding gradients of some loss, ours and the model's own."""
    found = []
    for run in (packer.hidden_states, lambda *parts: padded(model, *parts)):
        embeddings_BTD = model.get_input_embeddings()(batch.ids_BT).detach().requires_grad_()
        hidden_RD = run(batch, embeddings_BTD)
        wave_RD = torch.arange(hidden_RD.numel()).view_as(hidden_RD).sin().to(hidden_RD.dtype)
        found.append((hidden_RD, *torch.autograd.grad((hidden_RD * wave_RD).sum(), embeddings_BTD)))
    return found


@pytest.mark.parametrize("family", ["llama", "qwen2"])
@pytest.mark.parametrize("free", [0, 2, 3])
def test_a_packed_batch_has_the_states_and_gradients_of_a_padded_one(tiny_model, family, free):
    model = tiny_model(family, dtype=torch.float64)
    packer = Packer(model)
    assert packer.packs
    batch = pad(ITEMS, free)
    assert batch.shared == free
    (hidden_RD, gradient_BTD), (own_RD, own_BTD) = both_ways(model, batch, packer)
    torch.testing.assert_close(hidden_RD, own_RD, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradient_BTD[:, free:], own_BTD[:, free:], rtol=1e-9, atol=1e-12)
    assert not gradient_BTD[:, :free].any()
    assert not gradient_BTD[~batch.mask_BT.bool()].any()


def test_what_predicts_the_response_is_never_left_out():
    with pytest.raises(ValueError, match="less than every prompt"):
        pad(ITEMS, 4)


def test_rows_that_begin_differently_share_nothing(tiny_model):
    other = EncodedExample(ids=(6, 9, 33, 2, 7), prompt_length=4)
    batch = pad([*ITEMS, other], 3)
    assert batch.shared == 0
    model = tiny_model("llama", dtype=torch.float64)
    (_, gradient_BTD), (_, own_BTD) = both_ways(model, batch, Packer(model))
    torch.testing.assert_close(gradient_BTD, own_BTD, rtol=1e-9, atol=1e-12)


def test_a_beginning_is_computed_once_and_again_when_it_changes(tiny_model):
    model = tiny_model("llama", dtype=torch.float64)
    packer = Packer(model)
    seen = []
    backbone(model).register_forward_pre_hook(
        lambda _module, _inputs, named: seen.append(
            "leaf_pack" in named and named["leaf_pack"].keeps
        ),
        with_kwargs=True,
    )
    assert packer.packs
    other = [
        EncodedExample(ids=(1, *item.ids), prompt_length=1 + item.prompt_length) for item in ITEMS
    ]
    for items, free in [(ITEMS, 3), (ITEMS[:2], 3), (other, 4), (ITEMS, 0), (ITEMS, 3)]:
        batch = pad(items, free)
        embeddings_BTD = model.get_input_embeddings()(batch.ids_BT)
        del seen[:]
        found = packer.hidden_states(batch, embeddings_BTD)
        beginnings = sum(seen)
        own = padded(model, batch, embeddings_BTD)
        torch.testing.assert_close(found, own, rtol=1e-10, atol=1e-12)
        assert beginnings == (0 if items == ITEMS[:2] or not free else 1)


def test_a_model_whose_attention_is_its_own_runs_padded():
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=61, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=4, sliding_window=4,
    )  # fmt: skip
    model = Gemma2ForCausalLM(config).eval().requires_grad_(False)
    packer = Packer(model)
    assert not packer.packs
    batch = pad(ITEMS, 3)
    (hidden_RD, gradient_BTD), (own_RD, own_BTD) = both_ways(model, batch, packer)
    torch.testing.assert_close(hidden_RD, own_RD)
    torch.testing.assert_close(gradient_BTD, own_BTD)


def test_the_models_own_attention_is_back_afterwards(tiny_model):
    model = tiny_model("llama", dtype=torch.float32)
    before = model.config._attn_implementation
    batch = pad(ITEMS)
    Packer(model).hidden_states(batch, model.get_input_embeddings()(batch.ids_BT))
    assert model.config._attn_implementation == before


def test_each_row_finds_the_beginning_before_its_own_keys():
    # A beginning of 2 keys, then rows of 3 and 1.
    pack = _Pack.of([3, 1], 2, _Kept(), device("cpu"))
    beginning, own = torch.tensor([10.0, 11.0]), torch.tensor([0.0, 1.0, 2.0, 3.0])
    keys = pack.with_beginning(beginning[None, :, None], own[None, :, None])
    assert keys.flatten().tolist() == [10, 11, 0, 1, 2, 10, 11, 3]
    assert pack.ends_q.tolist() == [0, 3, 4]
    assert pack.ends_k.tolist() == [0, 5, 8]


def test_all_rows_at_once_give_what_one_after_another_gives(monkeypatch):
    def by_hand(query, key, value, ends_q, ends_k, longest_q, longest_k, *, scale, **options):
        """PyTorch's function for rows of different length, which is for GPUs alone, row by row."""
        assert options == {"window_size": (-1, 0), "enable_gqa": True}
        assert (longest_q, longest_k) == (3, 5)
        rows = []
        for row in range(len(ends_q) - 1):
            q, k, v = (
                states[ends[row] : ends[row + 1]].transpose(0, 1).repeat_interleave(share, dim=0)
                for states, ends, share in (
                    (query, ends_q, 1),
                    (key, ends_k, 2),
                    (value, ends_k, 2),
                )
            )
            mask = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool)
            mask = mask.tril(k.shape[1] - q.shape[1])
            rows.append(F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale))
        return torch.cat(rows, dim=1).transpose(0, 1)

    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", by_hand)
    pack = _Pack.of([3, 1], 2, _Kept(), device("cpu"))
    query = torch.randn(4, 4, 8, dtype=torch.float64)
    key, value = torch.randn(2, 2, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(
        _attend_at_once(query, key, value, pack, None),
        _attend_in_turn(query, key, value, pack, None),
    )


def test_the_pinned_pytorch_takes_rows_of_different_length():
    assert _has_varlen()


@pytest.mark.cuda
def test_flash_attention_over_rows_gives_what_padding_gives(tiny_model):
    model = tiny_model("llama", dtype=torch.float32, hidden_size=64)
    model = model.to("cuda", torch.bfloat16)
    batch = pad(ITEMS, 3)
    packer = Packer(model)
    assert packer.packs
    embeddings_BTD = model.get_input_embeddings()(batch.ids_BT.cuda())
    found = packer.hidden_states(batch, embeddings_BTD)
    own = Packer(model.float())
    own.packs = False
    expected = own.hidden_states(batch, embeddings_BTD.float())
    torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.05)
