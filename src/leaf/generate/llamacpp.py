"""Answers from a GGUF file by llama.cpp, in this process: quantised weights as they are.

One answer at a time: neighbours in a batch change the last bits of the logits in llama.cpp, and so
now and then a greedy answer. On one core, 8 answers at once gave 1.3 times as many tokens a second
(SmolLM2-135M), and 9 of 16 other texts.
"""

import math
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from leaf.errors import ModelError, UsageError
from leaf.generate.engine import Effort
from leaf.generate.failures import failed, too_long
from leaf.generate.order import by_parts
from leaf.generate.seeds import seed_of
from leaf.models import load
from leaf.models.files import Source
from leaf.models.prompt_format import PromptFormat, prompt_format_of
from leaf.progress import Ticker, say
from leaf.recipe import GenerateSection, ModelSection
from leaf.records import Answer, Problem

_ROOM = 1024
"""The cache of keys and values grows by so many tokens: a longer need opens the file again."""


def missing_llamacpp(section: ModelSection) -> str | None:
    """Say in one line what engine llamacpp needs and does not find for a model."""
    if find_spec("xllamacpp") is None:
        return (
            "engine llamacpp needs xllamacpp, which is not installed: "
            'pip install "leaf-distill[llamacpp]"'
        )
    if not section.model.endswith(".gguf"):
        return (
            f"{section.model}: engine llamacpp reads GGUF files alone; give the path of one, or "
            "set engine: hf"
        )
    return None


@contextmanager
def open_llamacpp(
    section: ModelSection, source: Source, generate: GenerateSection, tick: Ticker | None
) -> "Iterator[LlamaCppEngine]":
    """Read the file's template and tokenizer; the weights are read at the first answer.

    Raises:
        UsageError: see `missing_llamacpp`.
    """
    line = missing_llamacpp(section)
    if line:
        raise UsageError(line)
    chat = prompt_format_of(load.load_tokenizer(source), section)
    context = load.context_of(load.load_config(source))
    engine = LlamaCppEngine(
        Path(section.model).expanduser(), chat, generate, context=context, tick=tick
    )
    try:
        yield engine
    finally:
        engine.close()


class LlamaCppEngine:
    """Answers problems with the prompt tokens that every engine of this package gives a model."""

    def __init__(
        self,
        path: Path,
        chat: PromptFormat,
        section: GenerateSection,
        *,
        context: int,
        tick: Ticker | None = None,
    ) -> None:
        """Prepare answers.

        Args:
            path: The GGUF file.
            chat: Its template.
            section: How it answers.
            context: Most tokens that it was made for, prompt and answer together.
            tick: Told of finished answers.
        """
        self.effort = Effort()
        """What all answers so far took."""
        self._path = path
        self._chat = chat
        self._section = section
        self._context = context
        self._tick = tick
        self._server: Any = None
        self._room = 0

    def close(self) -> None:
        """Give the model's memory back."""
        self._server, self._room = None, 0

    def answer(
        self, problems: Sequence[Problem], drafts: Sequence[str] | None = None
    ) -> list[Answer]:
        """Answer each problem, one after another; drafts are passed over.

        A prompt without room in the model's context fails by itself. A response that is begun is
        continued, and the answer's text is the whole of it.
        """
        prompts = [
            self._chat.prompt_ids(problem.content, problem.response_prefix) for problem in problems
        ]
        fitting = [len(prompt) for prompt in prompts if len(prompt) < self._context]
        if fitting:
            self._open(min(max(fitting) + self._section.max_new_tokens, self._context))
        answers = []
        for problem, prompt in zip(problems, prompts, strict=True):
            if len(prompt) < self._context:
                answers.append(self._answer(problem, prompt))
            else:
                answers.append(too_long(problem, len(prompt), self._context))
            if self._tick:
                self._tick()
        said = sum(answer.response_tokens for answer in answers)
        self.effort += Effort(answers=len(answers), tokens=said, passes=said, row_passes=said)
        return answers

    def stream(self, asked: Iterable[tuple[Problem, str]]) -> Iterator[tuple[int, Answer]]:
        """Answer problems as `answer` does, one after another."""
        return by_parts(self.answer, asked, 1)

    def _answer(self, problem: Problem, prompt: Sequence[int]) -> Answer:
        limit = min(self._section.max_new_tokens, self._context - len(prompt))
        found = self._server.handle_completions(
            {
                "prompt": list(prompt),
                "max_tokens": limit,
                "temperature": self._section.temperature,
                "top_p": self._section.top_p,
                "seed": seed_of(self._section.seed, problem.id),
                # Temperature before top-p, as in transformers and vLLM, and nothing else.
                "samplers": ["temperature", "top_p"],
                # What an earlier prompt left would change the last bits.
                "cache_prompt": False,
            }
        )
        if "choices" not in found:
            said = " ".join(str(found.get("error", {}).get("message", found)).split())
            return failed(problem.id, f"llama.cpp refused it: {said}", prompt_tokens=len(prompt))
        choice, usage = found["choices"][0], found["usage"]
        return Answer(
            problem_id=problem.id,
            text=problem.response_prefix + choice["text"],
            prompt_tokens=usage["prompt_tokens"],
            response_tokens=usage["completion_tokens"],
            truncated=choice["finish_reason"] == "length",
        )

    def _open(self, tokens: int) -> None:
        """Have the model in memory with room for so many tokens."""
        if tokens <= self._room:
            return
        import xllamacpp

        self.close()
        room = min(math.ceil(tokens / _ROOM) * _ROOM, self._context)
        params = xllamacpp.CommonParams()
        params.model.path = str(self._path)
        params.n_ctx, params.n_parallel, params.fit_params = room, 1, False
        threads = torch.get_num_threads()
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        # It keeps up to 8 GiB of old prompts otherwise.
        params.cache_ram_mib, params.warmup, params.verbosity = 0, False, -1
        # It always listens on a free port of this machine too: nobody else may ask.
        params.api_keys = [secrets.token_hex(32)]
        try:
            self._server = xllamacpp.Server(params)
        except RuntimeError as error:
            raise ModelError(
                f"{self._path}: llama.cpp cannot load it ({error}); it may be damaged, of a kind "
                "that this version does not know, or too large for the memory"
            ) from None
        self._room = room
        say(f"loaded {self._path.name}: llama.cpp, {threads} threads, room for {room} tokens")
