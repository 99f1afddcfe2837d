"""Answers by vLLM in this process: its own batches on a GPU, prompts tokenised here."""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from leaf.errors import UsageError
from leaf.generate.engine import Effort
from leaf.generate.failures import failed, too_long
from leaf.generate.order import by_parts
from leaf.generate.seeds import seed_of
from leaf.models import load
from leaf.models.files import Source, readable
from leaf.models.prompt_format import PromptFormat, prompt_format_of
from leaf.progress import Ticker, say
from leaf.recipe import GenerateSection, ModelSection
from leaf.records import Answer, Problem

_PART = 1024
"""Problems of a call: vLLM fills its batches best where it has many to choose from."""


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
        ModelError: vLLM cannot load the model.
    """
    line = missing_vllm()
    if line:
        raise UsageError(line)
    import vllm

    chat = prompt_format_of(load.load_tokenizer(source), section)
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
        )
    say(f"loaded {source.name}: vLLM, {load.dtype_name(dtype)}, up to {context} tokens")
    engine = VllmEngine(llm, chat, generate, context=context, tick=tick)
    try:
        yield engine
    finally:
        # Its workers end with it; the rest is what torch holds in this process.
        engine.close()
        del llm
        gc.collect()
        from vllm.distributed import cleanup_dist_env_and_memory

        cleanup_dist_env_and_memory()


class VllmEngine:
    """Answers problems with the prompt tokens that every engine of this package gives a model."""

    def __init__(
        self,
        llm: Any,
        chat: PromptFormat,
        section: GenerateSection,
        *,
        context: int,
        tick: Ticker | None = None,
    ) -> None:
        """Prepare answers.

        Args:
            llm: A `vllm.LLM`.
            chat: The model's template.
            section: How it answers.
            context: Most tokens, prompt and answer together.
            tick: Told of finished answers.
        """
        self.effort = Effort()
        """What all answers so far took; how many passes is vLLM's own business."""
        self._llm = llm
        self._chat = chat
        self._section = section
        self._context = context
        self._tick = tick
        # vLLM adds those that the model's generation_config.json names.
        eos = chat.tokenizer.eos_token_id
        self._stops = sorted({chat.end_of_turn[-1]} | ({eos} if eos is not None else set()))

    def close(self) -> None:
        """Let the model go."""
        self._llm = None

    def answer(
        self, problems: Sequence[Problem], drafts: Sequence[str] | None = None
    ) -> list[Answer]:
        """Answer all problems in one call, which vLLM schedules; drafts are passed over.

        A prompt without room in the context fails by itself. A response that is begun is continued,
        and the answer's text is the whole of it.
        """
        prompts = [
            self._chat.prompt_ids(problem.content, problem.response_prefix) for problem in problems
        ]
        fitting = [at for at, prompt in enumerate(prompts) if len(prompt) < self._context]
        answers = [
            too_long(problem, len(prompt), self._context)
            for problem, prompt in zip(problems, prompts, strict=True)
        ]
        if fitting:
            outputs = self._llm.generate(
                [{"prompt_token_ids": prompts[at]} for at in fitting],
                [self._params(problems[at], len(prompts[at])) for at in fitting],
                use_tqdm=False,
            )
            # In the order of the prompts, whichever was finished first.
            for at, output in zip(fitting, outputs, strict=True):
                answers[at] = self._finish(problems[at], output)
        if self._tick:
            self._tick(len(problems))
        said = sum(answer.response_tokens for answer in answers)
        self.effort += Effort(answers=len(answers), tokens=said)
        return answers

    def stream(self, asked: Iterable[tuple[Problem, str]]) -> Iterator[tuple[int, Answer]]:
        """Answer problems as `answer` does, many in one call."""
        return by_parts(self.answer, asked, _PART)

    def _params(self, problem: Problem, prompt_tokens: int) -> Any:
        from vllm import SamplingParams

        return SamplingParams(
            temperature=self._section.temperature,
            top_p=self._section.top_p,
            seed=seed_of(self._section.seed, problem.id),
            max_tokens=min(self._section.max_new_tokens, self._context - prompt_tokens),
            stop_token_ids=self._stops,
            # Text is made here, as for every engine.
            detokenize=False,
        )

    def _finish(self, problem: Problem, output: Any) -> Answer:
        said = output.outputs[0]
        if said.finish_reason not in ("stop", "length"):
            return failed(problem.id, f"vLLM ended its answer with {said.finish_reason!r}")
        tokens = list(said.token_ids)
        # The token that stopped it is the last of them.
        kept = tokens[:-1] if said.finish_reason == "stop" else tokens
        return Answer(
            problem_id=problem.id,
            text=self._chat.response(problem.response_prefix, kept),
            prompt_tokens=len(output.prompt_token_ids),
            response_tokens=len(tokens),
            truncated=said.finish_reason == "length",
        )
