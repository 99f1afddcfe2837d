"""What of vLLM the engine uses, over a real model on a CPU, in milliseconds.

under_vllm.py holds names, signatures, defaults, refusals and ends of answers to vLLM 0.32 itself:
- `vllm/entrypoints/llm.py`, `LLM.__init__` (all but the model by keyword, `max_model_len` among the
  further engine arguments) and `LLM.generate` (one SamplingParams a prompt or one for all, lengths
  checked in `offline_utils.py`; results in the order of the prompts);
- `vllm/sampling_params.py`, `SamplingParams` (fields, defaults, the checks of `_verify_args`);
- `vllm/outputs.py`, `RequestOutput` and `CompletionOutput`;
- `vllm/v1/core/sched/utils.py`, `check_stop`: a token that stops an answer is the last of its
  `token_ids`; the model's own end first (`stop_reason` None), then `stop_token_ids`, the limit;
- `vllm.distributed.cleanup_dist_env_and_memory`, which vLLM's own tests call after `del llm`.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


class VLLMValidationError(Exception):
    """No ValueError since 0.32; its text ends with what was wrong."""

    def __init__(self, message: str, *, parameter: str | None = None, value: Any = None) -> None:
        given = {"parameter": parameter, "value": value}
        extras = ", ".join(f"{name}={one}" for name, one in given.items() if one is not None)
        super().__init__(f"{message} ({extras})" if extras else message)


@dataclass(kw_only=True)
class SamplingParams:
    n: int = 1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    max_tokens: int | None = 16
    min_tokens: int = 0
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    detokenize: bool = True
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True
    include_stop_str_in_output: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.temperature):
            self._refuse("temperature", "must be a finite number")
        if self.temperature < 0.0:
            self._refuse("temperature", "must be non-negative")
        if self.temperature > 2.0:
            self._refuse("temperature", "must be in [0, 2]")
        if not 0.0 < self.top_p <= 1.0:
            self._refuse("top_p", "must be in (0, 1]")
        if self.max_tokens is not None and self.max_tokens < 1:
            self._refuse("max_tokens", "must be at least 1")
        ids = self.stop_token_ids
        if ids is not None and not all(isinstance(token, int) for token in ids):
            raise VLLMValidationError(f"stop_token_ids must contain only integers, got {ids}.")
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        if not all(stops):
            raise VLLMValidationError("stop cannot contain an empty string.")
        if stops and not self.detokenize:
            raise VLLMValidationError(
                "stop strings are only supported when detokenize is True. "
                "Set detokenize=True to use stop."
            )
        self.stop = stops

    def _refuse(self, name: str, rule: str) -> None:
        value = getattr(self, name)
        raise VLLMValidationError(f"{name} {rule}, got {value}.", parameter=name, value=value)


@dataclass
class CompletionOutput:
    index: int
    text: str
    token_ids: Sequence[int]
    cumulative_logprob: float | None
    logprobs: Any
    finish_reason: str | None = None
    stop_reason: int | str | None = None


@dataclass
class RequestOutput:
    request_id: str
    prompt: str | None
    prompt_token_ids: list[int] | None
    prompt_logprobs: Any
    outputs: list[CompletionOutput]
    finished: bool


class LLM:
    alive = 0
    """How many are in memory."""

    def __init__(
        self,
        model: str,
        *,
        runner: str = "auto",
        tokenizer: str | None = None,
        skip_tokenizer_init: bool = False,
        trust_remote_code: bool = False,
        tensor_parallel_size: int = 1,
        dtype: str = "auto",
        quantization: str | None = None,
        revision: str | None = None,
        seed: int = 0,
        gpu_memory_utilization: float = 0.92,
        enforce_eager: bool = False,
        max_model_len: int | None = None,
    ) -> None:
        assert dtype in ("auto", "half", "float16", "bfloat16", "float", "float32")
        self.model = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype))
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.max_model_len = max_model_len or self.model.config.max_position_embeddings
        if self.max_model_len > self.model.config.max_position_embeddings:
            raise ValueError("User-specified max_model_len is greater than the derived one")
        LLM.alive += 1

    def __del__(self) -> None:
        LLM.alive -= hasattr(self, "max_model_len")

    def generate(
        self,
        prompts: Sequence[dict[str, list[int]]],
        sampling_params: SamplingParams | Sequence[SamplingParams] | None = None,
        *,
        use_tqdm: bool = True,
        lora_request: Any = None,
        priority: list[int] | None = None,
        tokenization_kwargs: dict[str, Any] | None = None,
    ) -> list[RequestOutput]:
        if not isinstance(sampling_params, Sequence):
            sampling_params = [sampling_params or SamplingParams()] * len(prompts)
        if len(sampling_params) != len(prompts):
            raise ValueError(
                f"The lengths of prompts ({len(prompts)}) and params ({len(sampling_params)}) must "
                "be the same."
            )
        return [
            self._run(str(at), prompt["prompt_token_ids"], params)
            for at, (prompt, params) in enumerate(zip(prompts, sampling_params, strict=True))
        ]

    def _stop(self, said: list[int], params: SamplingParams) -> str | None:
        """As `BaseIncrementalDetokenizer` does: the text that stopped it; its tokens are kept."""
        text = self.tokenizer.decode(said, skip_special_tokens=params.skip_special_tokens)
        return next((stop for stop in params.stop or () if stop in text), None)

    def _run(self, request_id: str, prompt: list[int], params: SamplingParams) -> RequestOutput:
        if len(prompt) >= self.max_model_len:
            raise VLLMValidationError(
                f"This model's maximum context length is {self.max_model_len} tokens. However, "
                f"your prompt contains {len(prompt)} input tokens",
                parameter="input_tokens",
                value=len(prompt),
            )
        rng = torch.Generator().manual_seed(params.seed or 0)
        own = self.model.generation_config.eos_token_id
        ends = set(own if isinstance(own, list) else [own])
        said: list[int] = []
        while True:
            with torch.no_grad():
                logits_V = self.model(input_ids=torch.tensor([prompt + said])).logits[0, -1]
            said.append(_choose(logits_V.float(), params, rng))
            finish, reason = None, None
            if said[-1] in ends:
                finish = "stop"
            elif said[-1] in (params.stop_token_ids or ()):
                finish, reason = "stop", said[-1]
            elif stop := self._stop(said, params):
                finish, reason = "stop", stop
            elif len(said) == params.max_tokens or len(prompt + said) >= self.max_model_len:
                finish = "length"
            if finish:
                output = CompletionOutput(0, "", said, None, None, finish, reason)
                return RequestOutput(request_id, None, prompt, None, [output], True)


def _choose(logits_V: torch.Tensor, params: SamplingParams, rng: torch.Generator) -> int:
    if params.temperature == 0:
        return int(logits_V.argmax())
    chances_V = torch.softmax(logits_V / params.temperature, -1)
    best_V, order_V = chances_V.sort(descending=True)
    best_V[best_V.cumsum(0) - best_V >= params.top_p] = 0
    return int(order_V[torch.multinomial(best_V, 1, generator=rng)])


def install(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make `import vllm` find all this; returns what was cleaned up, as it is."""
    cleaned: list[str] = []
    vllm, distributed = ModuleType("vllm"), ModuleType("vllm.distributed")
    for module in (vllm, distributed):
        module.__spec__ = ModuleSpec(module.__name__, None)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    vllm.LLM, vllm.SamplingParams = LLM, SamplingParams  # type: ignore[attr-defined]
    vllm.distributed = distributed  # type: ignore[attr-defined]

    def cleanup_dist_env_and_memory(shutdown_ray: bool = False) -> None:
        cleaned.append("distributed")

    distributed.cleanup_dist_env_and_memory = cleanup_dist_env_and_memory  # type: ignore[attr-defined]
    return cleaned
