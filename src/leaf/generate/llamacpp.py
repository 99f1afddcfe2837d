"""Answers from a GGUF file by llama.cpp, in this process: quantised weights as they are.

One answer at a time: neighbours in a batch change the last bits of the logits in llama.cpp, and so
now and then a greedy answer. On one core, 8 answers at once gave 1.3 times as many tokens a second
(SmolLM2-135M), and 9 of 16 other texts.
"""

import math
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from leaf.errors import ModelError, UsageError
from leaf.generate.engine import Effort, PromptEngine, failed, seed_of, until_stop
from leaf.models import load
from leaf.models.files import Source
from leaf.models.opening import is_opened, note_opened
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
    prompt_format = prompt_format_of(load.load_tokenizer(source), section)
    context = load.context_of(load.load_config(source))
    path = Path(section.model).expanduser()
    if not is_opened(source, "llama.cpp"):
        _open_first(path)
        note_opened(source, "llama.cpp")
    engine = LlamaCppEngine(path, prompt_format, generate, context=context, tick=tick)
    try:
        yield engine
    finally:
        engine.close()


_FIRST = """
import ctypes, os, resource, sys
for library in sys.argv[3:]:
    ctypes.CDLL(library)
import xllamacpp
hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[2]), hard))
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx, params.n_parallel, params.fit_params = 64, 1, False
params.cache_ram_mib, params.warmup, params.verbosity = 0, False, -1
server = xllamacpp.Server(params)
os._exit(0)
"""
"""Opens a GGUF file as the engine does, where a fault ends a process that has nothing to lose.

It ends at once: a server that is closed before its loop has begun waits for ever at times.
"""

_PATIENCE = 60.0
"""Seconds that this may take, and as many again for each `_A_TIME` bytes."""

_A_TIME = 2**31


def _open_first(path: Path) -> None:
    """Open a stranger's file in a process of its own: llama.cpp ends its own on some faults.

    Raises:
        ModelError: it cannot be opened.
    """
    size = path.stat().st_size
    limit = str(2 * size + 4 * 2**30)
    # It is linked against OpenMP, which a bare machine has in PyTorch alone.
    openmp = (Path(torch.__file__).parent / "lib").glob("libgomp.so*")
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-c", _FIRST, str(path), limit, *map(str, openmp)],
            # On the processor, where it needs no more than the file's size.
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": ""},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE * (1 + size / _A_TIME),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _cannot_load(path, f"no end after {error.timeout:.0f} s") from None
    if done.returncode < 0:
        raise _cannot_load(path, f"it ends by {signal.Signals(-done.returncode).name}")
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it ends early"]
        raise _cannot_load(path, lines[-1].removeprefix("RuntimeError: "))


def _cannot_load(path: Path, why: object) -> ModelError:
    return ModelError(
        f"{path}: llama.cpp cannot load it ({why}); it may be damaged, of a kind that this version "
        "does not know, or too large for the memory"
    )


class LlamaCppEngine(PromptEngine):
    """Answers problems one after another with the weights of one GGUF file."""

    part = 1

    def __init__(
        self,
        path: Path,
        prompt_format: PromptFormat,
        section: GenerateSection,
        *,
        context: int,
        tick: Ticker | None = None,
    ) -> None:
        """Prepare answers by the GGUF file `path`; else as `PromptEngine`."""
        super().__init__(prompt_format, section, context=context, tick=tick)
        self._path = path
        self._server: Any = None
        self._room = 0

    def close(self) -> None:
        """Give the model's memory back."""
        self._server, self._room = None, 0

    def _complete(self, prompts: Sequence[tuple[Problem, list[int]]]) -> list[Answer]:
        longest = max(len(ids) for _, ids in prompts)
        self._open(min(longest + self._section.max_new_tokens, self._context))
        answers = [self._answer(problem, ids) for problem, ids in prompts]
        passes = sum(answer.response_tokens for answer in answers)
        self.effort += Effort(passes=passes, row_passes=passes)
        return answers

    def _answer(self, problem: Problem, prompt: list[int]) -> Answer:
        reply = self._server.handle_completions(
            {
                "prompt": prompt,
                "max_tokens": self._limit(prompt),
                "temperature": self._section.temperature,
                "top_p": self._section.top_p,
                "seed": seed_of(self._section.seed, problem.id),
                # Temperature before top-p, as in transformers and vLLM, and nothing else.
                "samplers": ["temperature", "top_p"],
                # What an earlier prompt left would change the last bits.
                "cache_prompt": False,
                "stop": list(self._section.stop),
            }
        )
        if "choices" not in reply:
            message = " ".join(str(reply.get("error", {}).get("message", reply)).split())
            return failed(problem.id, f"llama.cpp refused it: {message}", prompt_tokens=len(prompt))
        choice, usage = reply["choices"][0], reply["usage"]
        answer = Answer(
            problem_id=problem.id,
            text=problem.response_prefix + choice["text"],
            prompt_tokens=usage["prompt_tokens"],
            response_tokens=usage["completion_tokens"],
            truncated=choice["finish_reason"] == "length",
        )
        return until_stop(answer, self._section.stop, problem.response_prefix)

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
            raise _cannot_load(self._path, error) from None
        self._room = room
        say(f"loaded {self._path.name}: llama.cpp, {threads} threads, room for {room} tokens")
