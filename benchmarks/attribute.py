"""What sensitivity (Eq. 2) costs: LeaF's way beside the published way, in the same run.

    .venv/bin/python -m benchmarks.attribute --json

Problems of GSM8K's training set with their solutions, one model at a time, in bfloat16. The
published way: one problem at a time, a gradient for every parameter, logits of every position. Both
ways take turns on parts of the problems and see the same tokens. For each model

- ratio_to_published: published seconds over ours, the median over parts;
- share_of_bound: how near ours is to the machine's limit, the seconds that 4 operations a parameter
  and token (forward 2, backward to the inputs 2; the head at response positions alone) take at
  the rate of a bare matrix product measured between the parts;
- peak_bytes: most memory of a process of its own that scores a few problems our way, less what it
  had once the model was loaded; published_peak_bytes the same of the published way;
- cosine_to_float32: scores in bfloat16 against those of a float32 model, mean over problems;
- same_scores: the cosine between the two ways' scores, mean over problems.

--compiled also fuses norms and activations by torch.compile (it needs a C++ compiler):

- ratio_compiled: our seconds over those of ours compiled, the median over parts of two problems;
- compile_seconds: what the first pass takes longer; compiled_cosine: between both ways' scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any

import cyclopts
import numpy as np
import torch

from benchmarks import _compiled, _measure
from benchmarks._gsm_ic import MODELS, STUDENT
from benchmarks._measure import alone, peak_growth, timed
from benchmarks.common import ROOT, AsJson, out_console, print_json, start
from leaf.attribute import MeasuredModel
from leaf.attribute.detectors.gradient import Gradient
from leaf.errors import UsageError
from leaf.models import load
from leaf.models.files import find
from leaf.models.load import Loaded
from leaf.models.output_head import output_head
from leaf.models.prompt_format import PromptFormat
from leaf.progress import progress, table
from leaf.recipe import DataSection, ModelSection
from leaf.records import Problem
from leaf.tasks import load_problems

SMALLEST = "smollm2-135m"
PART = 8
"""Problems that one way scores before the other has its turn."""

Scores = list[tuple[float, ...]]

app = cyclopts.App(help=__doc__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """Both ways on one part of the problems."""

    ours: float
    """Seconds."""
    published: float
    """Seconds."""
    bound: float
    """Seconds that the machine cannot beat."""


@app.default
def main(
    *,
    json_: AsJson = False,
    n: int = 64,
    names: str = f"{SMALLEST},{STUDENT}",
    token_budget: int = 1024,
    compiled: bool = False,
    data: Path = ROOT.parent / "shared" / "data" / "gsm8k" / "train.jsonl",
) -> None:
    """Measure seconds and bytes of sensitivity.

    Args:
        json_: End with one line of JSON for a program.
        n: How many problems.
        names: Models made by tools/offline_models.py, or paths of models.
        token_budget: Tokens of one batch of ours, padding included.
        compiled: Also with norms and activations compiled.
        data: GSM8K's train.jsonl, or records like it.
    """
    if n < PART:
        raise UsageError(f"--n {n}: must be at least {PART}")
    problems = load_problems(DataSection(task="gsm8k", path=str(data), limit=n))
    figures: dict[str, float] = {}
    for name in names.split(","):
        model = path_of(name)
        found = measure(model, problems, token_budget)
        if compiled:
            found |= measure_compiled(model, problems, token_budget)
        for way in ("ours", "published"):
            key = "peak_bytes" if way == "ours" else "published_peak_bytes"
            found[key] = float(alone(peak, model, problems[:PART], token_budget, way))
        short = Path(name).name.removesuffix(".gguf")
        figures |= {f"{short}.{key}": value for key, value in found.items()}
    show(figures)
    if json_:
        setting = {
            "names": names,
            "n": len(problems),
            "token_budget": token_budget,
            "threads": torch.get_num_threads(),
            "device": str(load.best_device()),
        }
        print_json("attribute", setting, figures)


def measure(model: str, problems: Sequence[Problem], token_budget: int) -> dict[str, float]:
    """Return every figure of one model but its peaks."""
    loaded, chat = open_model(model, "bfloat16")
    here = MeasuredModel(loaded=loaded, chat=chat, token_budget=token_budget)
    work = operations(loaded, chat, problems)
    turns, ours, theirs = [], Scores(), Scores()
    with progress(f"{Path(model).stem}: both ways", len(problems), unit="problems") as tick:
        score_ours(here, problems[:2])
        score_published(loaded, chat, problems[:1])
        for begin in range(0, len(problems), PART):
            part = problems[begin : begin + PART]
            seconds, found = timed(partial(score_ours, here, part))
            bound = sum(work[begin : begin + PART]) / matmul_rate(loaded)
            their_seconds, their_found = timed(partial(score_published, loaded, chat, part))
            ours += found
            theirs += their_found
            turns.append(Turn(ours=seconds, published=their_seconds, bound=bound))
            tick(len(part))
    del loaded, here
    load.release_memory()
    wide_model, chat = open_model(model, "float32")
    wide = score_ours(
        MeasuredModel(loaded=wide_model, chat=chat, token_budget=token_budget), problems[:PART]
    )
    return {
        "ratio_to_published": median(turn.published / turn.ours for turn in turns),
        "share_of_bound": median(turn.bound / turn.ours for turn in turns),
        "published_share_of_bound": median(turn.bound / turn.published for turn in turns),
        "seconds": sum(turn.ours for turn in turns),
        "published_seconds": sum(turn.published for turn in turns),
        "cosine_to_float32": fmean(map(cosine, ours[:PART], wide)),
        "same_scores": fmean(map(cosine, ours, theirs)),
    }


def measure_compiled(
    model: str, problems: Sequence[Problem], token_budget: int
) -> dict[str, float]:
    """Score parts of two problems in turns, plain and compiled."""
    loaded, chat = open_model(model, "bfloat16")
    here = MeasuredModel(loaded=loaded, chat=chat, token_budget=token_budget)
    with _compiled.compiled(loaded.model):
        first, fused = timed(partial(score_ours, here, problems[:2]))
    again, plain = timed(partial(score_ours, here, problems[:2]))
    ratios = []
    for begin in range(0, len(problems) - 1, 2):
        work = partial(score_ours, here, problems[begin : begin + 2])
        seconds, _ = timed(work)
        with _compiled.compiled(loaded.model):
            compiled_seconds, _ = timed(work)
        ratios.append(seconds / compiled_seconds)
    return {
        "ratio_compiled": median(ratios),
        "compile_seconds": first - again,
        "compiled_cosine": fmean(map(cosine, plain, fused)),
    }


def score_ours(model: MeasuredModel, problems: Sequence[Problem]) -> Scores:
    """Score problems as `leaf run` does."""
    found = Gradient().measure(model, problems, [problem.solution for problem in problems])
    return [item.scores for item in found]


def score_published(loaded: Loaded, chat: PromptFormat, problems: Sequence[Problem]) -> Scores:
    """Score problems one by one with a gradient for every parameter and logits everywhere."""
    model: Any = loaded.model
    model.requires_grad_(True)
    found = Scores()
    for problem in problems:
        conversation = chat.encode(problem.content, problem.solution)
        ids = torch.tensor([conversation.ids], device=loaded.device)
        labels = ids.clone()
        labels[:, : conversation.prompt_length] = -100
        embeddings = model.get_input_embeddings()(ids).detach().requires_grad_()
        model(inputs_embeds=embeddings, labels=labels, use_cache=False).loss.backward()
        norms = embeddings.grad[0].float().norm(dim=-1).cpu()
        model.zero_grad(set_to_none=True)
        units = chat.prompt(problem).units
        found.append(tuple(float(norms[list(unit.tokens)].norm()) for unit in units))
    model.requires_grad_(False)
    return found


def operations(loaded: Loaded, chat: PromptFormat, problems: Sequence[Problem]) -> list[float]:
    """Return the least operations of each problem: 4 a parameter and token; attention left out.

    The head counts at response positions alone, input embeddings not at all.
    """
    body, head = sizes(loaded.model)
    found = []
    for problem in problems:
        conversation = chat.encode(problem.content, problem.solution)
        response = len(conversation.ids) - conversation.prompt_length
        found.append(4.0 * (body * len(conversation.ids) + head * response))
    return found


def sizes(model: Any) -> tuple[int, int]:
    """Return how many parameters the layers have, and the head; input embeddings do not count."""
    head, embeddings = output_head(model).weight, model.get_input_embeddings().weight
    every = sum(parameter.numel() for parameter in model.parameters())
    return every - embeddings.numel() - (0 if head is embeddings else head.numel()), head.numel()


def matmul_rate(loaded: Loaded, dtype: torch.dtype | None = None) -> float:
    """Return the operations a second of a bare product of the model's most frequent shape."""
    config: Any = loaded.model.config.get_text_config()
    width, inner = int(config.hidden_size), int(config.intermediate_size)
    return _measure.matmul_rate(
        2048, width, inner, dtype=dtype or loaded.dtype, device=loaded.device
    )


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the cosine of the angle between two problems' scores."""
    left, right = np.asarray(one), np.asarray(other)
    return float(left @ right / (np.linalg.norm(left) * np.linalg.norm(right)))


def peak(model: str, problems: Sequence[Problem], token_budget: int, way: str) -> int:
    """Return the growth of this process's highest memory, or of the accelerator's."""
    loaded, chat = open_model(model, "bfloat16")
    if way == "ours":
        here = MeasuredModel(loaded=loaded, chat=chat, token_budget=token_budget)
        work = partial(score_ours, here, problems)
    else:
        work = partial(score_published, loaded, chat, problems)
    return peak_growth(work, loaded.device)[0]


def show(figures: Mapping[str, float]) -> None:
    """Print the figures for people, a row a figure and a column a model."""
    names = list(dict.fromkeys(key.rpartition(".")[0] for key in figures))
    rows = table("", *names)
    for key in dict.fromkeys(key.rpartition(".")[2] for key in figures):
        rows.add_row(key, *(_cell(key, figures[f"{name}.{key}"]) for name in names))
    out_console.print(rows)


def _cell(key: str, value: float) -> str:
    if key.endswith("bytes"):
        return f"{value / 2**20:,.0f} MiB"
    return f"{value:.5f}" if "float32" in key or "same" in key else f"{value:.2f}"


def path_of(name: str) -> str:
    """Return the path of a model made by tools/offline_models.py, else the name."""
    path = MODELS / f"{name}.gguf"
    return str(path) if path.is_file() else name


def open_model(model: str, dtype: str) -> tuple[Loaded, PromptFormat]:
    """Load a model, by its path or name, with its chat template."""
    section = ModelSection.model_validate({"model": model, "dtype": dtype})
    loaded = load.load(section, find(section))
    return loaded, PromptFormat(loaded.tokenizer, name=model)


if __name__ == "__main__":
    start(app)
