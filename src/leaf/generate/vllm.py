"""Answers by vLLM in this process: its own batches on a GPU, prompts tokenised here."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from leaf.errors import UsageError
from leaf.generate.engine import PromptEngine, seed_of, unanswered, until_stop
from leaf.models import load
from leaf.models.files import Source, readable
from leaf.models.prompt_format import PromptFormat, prompt_format_of
from leaf.progress import Ticker, say
from leaf.recipe import GenerateSection, ModelSection
from leaf.records import Answer, Problem


def missing_vllm() -> str | None:
    """Say in one line what engine vllm needs and does not find on this machine."""
    if find_spec("vllm") is None:
        return 'engine vllm needs vllm, which is not installed: pip install "leaf-distill[vllm]"'
    return None


@contextmanager
def open_vllm(
    section: ModelSection, source: Source, generate: GenerateSection, tick: Ticker | None
) -> "Iterator[VllmEngine]":
    """Load a model into vLLM, and give the GPU back when the block ends.

    Raises:
        UsageError: see `missing_vllm`.
        ModelError: vLLM cannot load the model, or refuses how it shall answer.
    """
    line = missing_vllm()
    if line:
        raise UsageError(line)
    import vllm

    # Before minutes of loading. What vLLM raises has no class of Python's since 0.32.
    with readable("generate: engine vllm refuses such answers"):
        vllm.SamplingParams(temperature=generate.temperature, top_p=generate.top_p)

    prompt_format = prompt_format_of(load.load_tokenizer(source), section)
    # What no answer may need takes no room from the others.
    context = min(load.context_of(load.load_config(source)), generate.token_budget)
    dtype = load.resolve_dtype(section.dtype, load.best_device())
    load.release_memory()  # vLLM takes a share of what is free
    with readable(f"{source.name}: vLLM cannot load it"):
        llm: Any = vllm.LLM(
            model=str(source.folder),
            dtype=load.dtype_name(dtype),
            max_model_len=context,
            seed=generate.seed,
            trust_remote_code=False,
            tensor_parallel_size=section.tensor_parallel,
        )
    say(f"loaded {source.name}: vLLM, {load.dtype_name(dtype)}, up to {context} tokens")
    engine = VllmEngine(llm, prompt_format, generate, context=context, tick=tick)
    try:
        yield engine
    finally:
        # Its workers end with it; the rest is what torch holds in this process.
        engine.close()
        del llm
        gc.collect()
        from vllm.distributed import cleanup_dist_env_and_memory

        cleanup_dist_env_and_memory()


class VllmEngine(PromptEngine):
    """Answers problems with a `vllm.LLM`, which schedules them; it does not count its passes."""

    part = 1024  # vLLM fills its batches best where it has many to choose from

    def __init__(
        self,
        llm: Any,
        prompt_format: PromptFormat,
        section: GenerateSection,
        *,
        context: int,
        tick: Ticker | None = None,
    ) -> None:
        """Prepare answers by `llm`; else as `PromptEngine`."""
        super().__init__(prompt_format, section, context=context, tick=tick)
        self._llm = llm
        # vLLM adds those that the model's generation_config.json names.
        eos = prompt_format.tokenizer.eos_token_id
        ends = {prompt_format.end_of_turn[-1]}
        self._stops = sorted(ends if eos is None else ends | {eos})

    def close(self) -> None:
        """Let the model go."""
        self._llm = None

    def _complete(self, prompts: Sequence[tuple[Problem, list[int]]]) -> list[Answer]:
        # Its workers are processes, and when one dies there are no answers from then on.
        with readable("engine vllm gives no answers any more"):
            outputs = self._llm.generate(
                [{"prompt_token_ids": ids} for _, ids in prompts],
                [self._params(problem, ids) for problem, ids in prompts],
                use_tqdm=False,
            )
        # In the order of the prompts, whichever was finished first.
        return [
            self._finish(problem, output)
            for (problem, _), output in zip(prompts, outputs, strict=True)
        ]

    def _params(self, problem: Problem, prompt: list[int]) -> Any:
        from vllm import SamplingParams

        return SamplingParams(
            temperature=self._section.temperature,
            top_p=self._section.top_p,
            seed=seed_of(self._section.seed, problem.id),
            max_tokens=self._limit(prompt),
            stop_token_ids=self._stops,
            stop=list(self._section.stop) or None,
            # Text is made here, as for every engine; vLLM looks for texts in its own.
            detokenize=bool(self._section.stop),
        )

    def _finish(self, problem: Problem, output: Any) -> Answer:
        completion = output.outputs[0]
        end = completion.finish_reason
        if end not in ("stop", "length"):
            return unanswered(problem.id, f"vLLM ended its answer with {end!r}")
        tokens = list(completion.token_ids)
        # A token that stopped it is the last of them; a text is part of what was said.
        by_token = end == "stop" and not isinstance(completion.stop_reason, str)
        kept = tokens[:-1] if by_token else tokens
        answer = Answer(
            problem_id=problem.id,
            text=self._prompt_format.response(problem.response_prefix, kept),
            prompt_tokens=len(output.prompt_token_ids),
            response_tokens=len(tokens),
            truncated=end == "length",
        )
        return until_stop(answer, self._section.stop, problem.response_prefix)
