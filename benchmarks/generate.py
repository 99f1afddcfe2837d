"""How fast each engine answers, beside plain `generate` of transformers, in the same run.

    .venv/bin/python -m benchmarks.generate --json

Problems of GSM8K's test set, answered greedily to the end or the limit by SmolLM2-135M and Qwen2.5
Coder 0.5B. The engine `hf` and its rivals (`model.generate` one prompt at a time, and in batches of
one size, in the order of the file, padded on the left) share one loaded model in one dtype and take
turns; of one prompt at a time only the first problems are asked. Tokens are those said, the end of
turn included, without padding. The other engines follow, each on the same problems.

- <engine>.<model>.tokens_per_second: the median over repeats;
- hf.<model>.ratio_to_batch1, hf.<model>.ratio_to_fixed_batch: our tokens a second over the rival's,
  the median over repeats;
- hf.<model>.same_texts: share of answers that are the rival's (fixed batch) to the letter: in
  bfloat16 the shape of a batch moves the last bits of the logits;
- hf.<model>.share_of_bound: how near `hf` is to the machine's limit, the seconds that 2 operations
  a parameter and token (the head where one is chosen) take at the rate of a bare matrix product.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cyclopts
import torch

from benchmarks._gsm_ic import MODELS, STUDENT
from benchmarks._measure import matmul_rate, timed
from benchmarks.common import ROOT, AsJson, out_console, print_json, start
from leaf.errors import UsageError
from leaf.generate import HuggingFaceEngine, find_for, open_engine
from leaf.generate.engine import Engine
from leaf.models import load
from leaf.models.load import Loaded
from leaf.models.output_head import output_head
from leaf.models.prompt_format import PromptFormat, prompt_format_of
from leaf.progress import table
from leaf.recipe import DataSection, GenerateSection, ModelSection, ServerSection
from leaf.records import Answer, Problem
from leaf.tasks import load_problems

SMALLEST = "smollm2-135m"
OTHERS = ("llamacpp", "openai", "vllm")
"""Engines beside `hf`."""

app = cyclopts.App(help=__doc__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One engine on some problems, once."""

    seconds: float
    tokens: int
    texts: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds


@app.default
def main(
    *,
    json_: AsJson = False,
    n: int = 64,
    names: str = f"{SMALLEST},{STUDENT}",
    engines: str = "hf,llamacpp,openai",
    max_new_tokens: int = 256,
    fixed_batch: int = 16,
    alone: int = 4,
    repeats: int = 3,
    dtype: str = "auto",
    data: Path = ROOT.parent / "shared" / "data" / "gsm8k" / "test.jsonl",
) -> None:
    """Measure tokens a second.

    Args:
        json_: End with one line of JSON for a program.
        n: How many problems.
        names: Models made by tools/offline_models.py.
        engines: Of hf, llamacpp, openai (a server of llama.cpp, started here) and vllm.
        max_new_tokens: Longest answer in tokens.
        fixed_batch: Prompts of one batch of the rival.
        alone: Problems that the rival answers one at a time.
        repeats: How often each is timed.
        dtype: Of `hf` and its rivals; auto: bfloat16 where it is fast.
        data: GSM8K's test.jsonl.
    """
    unknown = set(engines.split(",")) - {"hf", *OTHERS}
    if unknown:
        raise UsageError(f"--engines {engines}: must be of hf, {', '.join(OTHERS)}")
    problems = load_problems(DataSection(task="gsm8k", path=str(data), limit=n))
    figures: dict[str, float] = {}
    for name in names.split(","):
        path = MODELS / f"{name}.gguf"
        if not path.is_file():
            raise UsageError(f"{path}: not there; tools/offline_models.py --to {MODELS} makes it")
        section = ModelSection.model_validate({"model": str(path), "dtype": dtype})
        generate = GenerateSection(max_new_tokens=max_new_tokens)
        if "hf" in engines.split(","):
            found = against_rivals(section, generate, problems, fixed_batch, alone, repeats)
            figures |= {f"hf.{name}.{key}": value for key, value in found.items()}
        for engine in OTHERS:
            if engine in engines.split(","):
                rate = rate_of(engine, section, generate, problems, repeats)
                figures[f"{engine}.{name}.tokens_per_second"] = rate
    rows = table("figure", "value")
    for key, value in figures.items():
        rows.add_row(key, f"{value:.3g}")
    out_console.print(rows)
    if json_:
        setting = {
            "names": names,
            "engines": engines,
            "n": len(problems),
            "max_new_tokens": max_new_tokens,
            "fixed_batch": fixed_batch,
            "alone": alone,
            "repeats": repeats,
            "dtype": dtype,
            "threads": torch.get_num_threads(),
            "device": str(load.best_device()),
        }
        print_json("generate", setting, figures)


def against_rivals(
    section: ModelSection,
    generate: GenerateSection,
    problems: Sequence[Problem],
    fixed_batch: int,
    alone: int,
    repeats: int,
) -> dict[str, float]:
    """Return every figure of engine `hf`."""
    with load.loaded(section, find_for(section, generate)) as loaded:
        chat = prompt_format_of(loaded.tokenizer, section)
        engine = HuggingFaceEngine(loaded, chat, generate)
        warm = problems[:2]
        engine.answer(warm)
        plain(loaded, chat, warm, 2, 8)
        rate = _machine_rate(loaded)
        ours, fixed, one = [], [], []
        limit = generate.max_new_tokens
        for _ in range(repeats):
            ours.append(run(lambda: engine.answer(problems)))
            fixed.append(run(lambda: plain(loaded, chat, problems, fixed_batch, limit)))
            one.append(run(lambda: plain(loaded, chat, problems[:alone], 1, limit)))
            out_console.print(
                f"hf {ours[-1].rate:.0f}, batches of {fixed_batch} {fixed[-1].rate:.0f}, one at a "
                f"time {one[-1].rate:.0f} tokens/s"
            )
        prompts = sum(len(chat.prompt_ids(problem.content)) for problem in problems)
        bound = operations(loaded, prompts, ours[0].tokens) / rate
    same = [our == other for our, other in zip(ours[0].texts, fixed[0].texts, strict=True)]
    return {
        "tokens_per_second": median(item.rate for item in ours),
        "ratio_to_batch1": median(a.rate / b.rate for a, b in zip(ours, one, strict=True)),
        "ratio_to_fixed_batch": median(a.rate / b.rate for a, b in zip(ours, fixed, strict=True)),
        "share_of_bound": median(bound / item.seconds for item in ours),
        "same_texts": sum(same) / len(same),
        "answers": float(len(problems)),
        "tokens": float(ours[0].tokens),
    }


def rate_of(
    engine: str,
    section: ModelSection,
    generate: GenerateSection,
    problems: Sequence[Problem],
    repeats: int,
) -> float:
    """Return the tokens a second of another engine, the median over repeats."""
    with opened(engine, section, generate) as ready:
        ready.answer(problems[:2])
        rates = [run(lambda: ready.answer(problems)).rate for _ in range(repeats)]
    out_console.print(f"{engine} {median(rates):.0f} tokens/s")
    return median(rates)


@contextmanager
def opened(engine: str, section: ModelSection, generate: GenerateSection) -> Iterator[Engine]:
    """Bring an engine up; for `openai` a server of llama.cpp with a slot for each request."""
    if engine == "openai":
        with _llama_server(section.model, generate) as url:
            server = ServerSection(url=url, model="it", workers=_SLOTS)
            own = section.model_copy(update={"engine": engine, "server": server})
            with open_engine(own, find_for(own, generate), generate) as ready:
                yield ready
        return
    own = section.model_copy(update={"engine": engine})
    with open_engine(own, find_for(own, generate), generate) as ready:
        yield ready


_SLOTS = 8
"""Requests that the server of llama.cpp answers side by side."""


@contextmanager
def _llama_server(path: str, generate: GenerateSection) -> Iterator[str]:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx, params.n_parallel, params.fit_params = (
        _SLOTS * (generate.max_new_tokens + 512),
        _SLOTS,
        False,
    )
    threads = torch.get_num_threads()
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib, params.warmup, params.verbosity = 0, False, -1
    server: Any = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"


def plain(
    loaded: Loaded, chat: PromptFormat, problems: Sequence[Problem], batch: int, limit: int
) -> list[Answer]:
    """Answer as transformers alone does: batches in the order given, padded on the left."""
    stops = sorted(HuggingFaceEngine(loaded, chat, GenerateSection()).stops)
    answers = []
    for at in range(0, len(problems), batch):
        part = problems[at : at + batch]
        prompts = [chat.prompt_ids(problem.content) for problem in part]
        width = max(map(len, prompts))
        ids = torch.full((len(part), width), stops[0])
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        with torch.inference_mode():
            output: Any = loaded.model.generate(
                input_ids=ids.to(loaded.device),
                attention_mask=mask.to(loaded.device),
                max_new_tokens=limit,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                repetition_penalty=1.0,
                eos_token_id=stops,
                pad_token_id=stops[0],
            )
        for problem, row in zip(part, output[:, width:].tolist(), strict=True):
            end = next((place for place, token in enumerate(row) if token in stops), len(row))
            answers.append(
                Answer(
                    problem_id=problem.id,
                    text=chat.response("", row[:end]),
                    prompt_tokens=0,
                    response_tokens=min(end + 1, len(row)),
                    truncated=end == len(row),
                )
            )
    return answers


def run(work: Any) -> Run:
    """Time some answers."""
    seconds, answers = timed(work)
    return Run(
        seconds=seconds,
        tokens=sum(answer.response_tokens for answer in answers),
        texts=tuple(answer.text for answer in answers),
    )


def operations(loaded: Loaded, prompts: int, said: int) -> float:
    """Return the operations of prompts and answers: 2 a parameter and token, attention aside.

    Args:
        loaded: The model.
        prompts: Tokens of all prompts; only the last of each goes through the head.
        said: Tokens of all answers.
    """
    head = output_head(loaded.model).weight
    embeddings = loaded.model.get_input_embeddings().weight
    apart = {id(weight): weight.numel() for weight in (head, embeddings)}
    body = sum(weight.numel() for weight in loaded.model.parameters()) - sum(apart.values())
    return float(2 * (body * (prompts + said) + head.numel() * said))


def _machine_rate(loaded: Loaded) -> float:
    """Return the operations a second of a wide product in the model's dtype."""
    config = loaded.model.config.get_text_config()
    return matmul_rate(
        512, config.hidden_size, config.intermediate_size, dtype=loaded.dtype, device=loaded.device
    )


if __name__ == "__main__":
    start(app)
