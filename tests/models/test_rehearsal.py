"""The rehearsal finds, in a second, what a path of ours would get silently wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import (
    BioGptConfig,
    DeepseekV3Config,
    DiffLlamaConfig,
    FalconMambaConfig,
    Gemma2Config,
    Gemma4ForCausalLM,
    Gemma4TextConfig,
    GPT2Config,
    LlamaConfig,
    Mamba2Config,
    MambaConfig,
    OPTConfig,
    Phi3Config,
    PhiConfig,
    Qwen3_5TextConfig,
    RwkvConfig,
)

from leaf.attribute.embedding_gradient import sensitivity
from leaf.attribute.surprise import surprisal
from leaf.distill.student import Student
from leaf.errors import ModelError
from leaf.models import verdicts
from leaf.models.fused_loss import cross_entropy, linear_loss
from leaf.models.output_head import output_head
from leaf.models.packing import Packer
from leaf.models.padding import pad
from leaf.models.paths import Paths, paths_of
from leaf.models.prompt_format import EncodedExample
from leaf.models.rehearsal import border_of, rehearse_copy
from leaf.models.tiny import ORIGINAL, tiny_config, tiny_model


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path))
    monkeypatch.setattr(verdicts, "_FOUND", {})


def item(length: int, seed: int = 0) -> EncodedExample:
    drawn = torch.randint(4, 140, (length,), generator=torch.Generator().manual_seed(seed))
    return EncodedExample(ids=tuple(drawn.tolist()), prompt_length=length // 2)


def plain_loss(model: Any, one: EncodedExample) -> torch.Tensor:
    logits = model(input_ids=torch.tensor([one.ids]), use_cache=False).logits[0].float()
    targets = torch.tensor(one.ids[one.prompt_length :])
    return F.cross_entropy(logits[one.prompt_length - 1 : -1], targets)


def test_a_capped_score_is_not_lost_though_every_layer_is_full():
    config = Gemma2Config(num_hidden_layers=2, layer_types=["full_attention"] * 2)
    paths = rehearse_copy(config)
    assert not paths.packs
    assert "softcap" in paths.why["packs"]
    assert paths.way("sensitivity") == "padded"


def test_attention_that_gets_other_values_than_its_cache_holds_packs_right():
    model = tiny_model(DiffLlamaConfig(), seed=5)
    assert paths_of(model).packs
    items = [EncodedExample(ids=(7, 8, 9, *item(20, seed).ids), prompt_length=8) for seed in (1, 2)]
    _, losses_B = sensitivity(Packer(model), output_head(model), items, 3)
    with torch.no_grad():
        wanted_B = torch.stack([plain_loss(model, one) for one in items])
    torch.testing.assert_close(losses_B, wanted_B, rtol=1e-4, atol=0)


def test_a_short_row_is_scored_alike_beside_one_past_the_border():
    stretch = {"rope_type": "longrope", "rope_theta": 10000.0, "factor": 4.0,
               "short_factor": [1.0] * 48, "long_factor": [3.0] * 48,
               "original_max_position_embeddings": 4096}  # fmt: skip
    config = Phi3Config(rope_parameters=stretch, original_max_position_embeddings=4096)
    assert border_of(config) == (4096, "longrope")
    paths = rehearse_copy(config)
    assert paths.border == 4096
    assert "4096 tokens: alone (longrope" in paths.line
    model = tiny_model(config)
    short, long = item(ORIGINAL - 10), item(ORIGINAL + 10)
    nats_BT, _ = surprisal(model, output_head(model), [short, long])
    for row, one in enumerate((short, long)):
        with torch.no_grad():
            wanted = plain_loss(model, one)
        found = nats_BT[row, one.prompt_length : len(one.ids)].mean()
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=0)


def test_rotation_by_kind_of_layer_has_a_border_too():
    config = LlamaConfig()
    config.rope_parameters = {
        "full_attention": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    }
    assert border_of(config) == (config.max_position_embeddings, "dynamic")


def test_answers_that_depend_on_their_neighbours_are_given_one_at_a_time():
    paths = rehearse_copy(RwkvConfig(num_hidden_layers=2))
    assert paths.way("generation") == "alone"
    assert paths.way("training") == "padded"


def test_a_model_that_sees_what_follows_is_refused():
    from transformers.models.llama import modeling_llama

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modeling_llama, "create_causal_mask", lambda *args, **options: None)
        patch.setattr(modeling_llama.LlamaAttention, "__setattr__", _never_causal, raising=False)
        paths = rehearse_copy(LlamaConfig(num_hidden_layers=2))
    assert set(paths.refused) == {"sensitivity", "ablation", "generation", "training"}
    assert "not causal" in paths.refused["training"]
    with pytest.raises(ModelError, match="own: training cannot be right: it is not causal"):
        paths.check("training", "own")


def _never_causal(module, name, value):
    torch.nn.Module.__setattr__(module, name, False if name == "is_causal" else value)


def test_the_bias_of_a_head_learns():
    model = tiny_model(PhiConfig(num_hidden_layers=1))
    rows = [item(14), item(9, 1)]
    model.requires_grad_(True)
    batch = pad(rows)
    targets_R = batch.ids_BT[batch.rows_R, batch.positions_R + 1]
    weights_R = (1 / torch.tensor(batch.lengths, dtype=torch.float32))[batch.rows_R]
    hidden_RD = Packer(model).hidden_states(batch)
    head = output_head(model)
    total, _ = linear_loss(hidden_RD, head, cross_entropy(targets_R), weights_R, chunk=4)
    (found,) = torch.autograd.grad(total, model.lm_head.bias)
    summed = torch.stack([plain_loss(model, one) for one in rows]).sum()
    (wanted,) = torch.autograd.grad(summed, model.lm_head.bias)
    assert wanted.norm() > 0
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "dropped",
    [
        GPT2Config(n_layer=2, attn_pdrop=0.1, resid_pdrop=0.0, embd_pdrop=0.0),
        LlamaConfig(num_hidden_layers=2, attention_dropout=0.1),
        PhiConfig(num_hidden_layers=2, attention_dropout=0.1),
    ],
)
def test_a_student_with_attention_dropout_trains_where_it_is_applied(dropped):
    paths = rehearse_copy(dropped)
    assert (paths.way("sensitivity"), paths.way("training")) == ("packed", "padded")
    assert paths.slower("training") == "its attention has dropout"
    assert not Student(tiny_model(dropped), torch.float32).packs


def test_a_student_without_attention_dropout_trains_packed():
    assert rehearse_copy(GPT2Config(n_layer=2, attn_pdrop=0.0)).way("training") == "packed"


def test_latent_attention_packs_though_values_are_narrower_than_keys():
    config = DeepseekV3Config(num_hidden_layers=2, v_head_dim=64)
    small = tiny_config(config)
    assert small.v_head_dim != small.qk_nope_head_dim + small.qk_rope_head_dim
    assert rehearse_copy(config).packs


@pytest.mark.parametrize("kind", [MambaConfig, FalconMambaConfig, Mamba2Config])
def test_float_states_of_a_bfloat16_model_meet_its_head(kind):
    model = tiny_model(kind(num_hidden_layers=2)).to(torch.bfloat16)
    nats_BT, _ = surprisal(model, output_head(model), [item(12)])
    assert nats_BT.isfinite().all()


def test_gradients_in_bfloat16_where_the_embeddings_scale_is_not_exact():
    config = tiny_config(Gemma4TextConfig())
    config.hidden_size = 48  # its root has no bfloat16
    torch.manual_seed(0)
    model = Gemma4ForCausalLM(config).to(torch.bfloat16).eval().requires_grad_(False)
    norms_BT, _ = sensitivity(Packer(model), output_head(model), [item(12)])
    assert norms_BT.isfinite().all()
    assert norms_BT.any()


def test_a_verdict_is_kept_by_content(tmp_path):
    config = LlamaConfig(num_hidden_layers=2)
    found = rehearse_copy(config)
    (file,) = (tmp_path / "rehearsals").glob("*.json")
    assert Paths(**json.loads(file.read_text())) == found
    verdicts._FOUND.clear()
    file.write_text(file.read_text().replace('"packs": true', '"packs": false'))
    assert not rehearse_copy(config).packs  # read, not found again
    verdicts._FOUND.clear()
    file.write_text("{")
    assert rehearse_copy(config) == found


def test_what_cannot_be_tried_runs_one_row_at_a_time():
    config = LlamaConfig()
    config.model_type = "of nobody"
    paths = rehearse_copy(config, kind=dict)
    assert {paths.way(use) for use in ("sensitivity", "generation", "training")} == {"alone"}
    assert "no tiny copy runs" in paths.slower("training")
    assert paths.parts([3, 5]) == [[0], [1]]


def test_without_a_home_folder_a_verdict_is_found_and_not_kept(monkeypatch):
    monkeypatch.delenv("LEAF_CACHE")

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    assert rehearse_copy(LlamaConfig(num_hidden_layers=1)).packs


def test_a_path_that_rounding_alone_puts_off_is_tried_with_other_weights():
    paths = rehearse_copy(Qwen3_5TextConfig())
    assert paths.pads
    assert "pads" not in paths.why


@pytest.mark.parametrize(
    ("config", "ends"),
    [(GPT2Config, True), (OPTConfig, True), (BioGptConfig, True), (LlamaConfig, False)],
)
def test_learned_positions_have_an_end_and_rotation_has_none(config, ends):
    few = {"n_positions" if config is GPT2Config else "max_position_embeddings": 16}
    assert rehearse_copy(config(**few)).bounded == ends
