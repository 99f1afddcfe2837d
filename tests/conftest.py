"""What tests share: tiny random models. Real models are brought by tools/offline_models.py."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

FAMILIES: dict[str, tuple[type, type]] = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
}


@pytest.fixture(scope="session")
def tiny_model() -> Callable[..., Any]:
    """A factory of tiny random causal models: tiny_model("llama", seed=0, dtype=torch.float64)."""

    def make(family: str, *, seed: int = 0, dtype: torch.dtype, **changes: Any) -> Any:
        config_class, model_class = FAMILIES[family]
        settings = {
            "vocab_size": 61,
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 128,
            "tie_word_embeddings": family == "qwen2",
            # The default of 0.02 leaves gradients too small to compare well.
            "initializer_range": 0.3,
        }
        torch.manual_seed(seed)
        model = model_class(config_class(**{**settings, **changes}))
        if dtype is torch.float64:
            _norm_in_float64(model)
        return model.to(dtype).eval().requires_grad_(False)

    return make


def _norm_in_float64(model: torch.nn.Module) -> None:
    """Replace norms that compute in float32 whatever the model's dtype: finite differences drown."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child).__name__.endswith("RMSNorm"):
                norm = torch.nn.RMSNorm(len(child.weight), eps=child.variance_epsilon)
                norm.weight.data = child.weight.data
                setattr(module, name, norm)
