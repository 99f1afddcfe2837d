"""The command `leaf evaluate`."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from leaf.cli.options import AsJson, Overrides, out_console, refuse_file, say_line
from leaf.errors import RecipeError, UsageError
from leaf.progress import print_table, table
from leaf.recipe import DataSection, GenerateSection, Recipe
from leaf.recipe.reading import check_recipe
from leaf.statistics import Estimate, Lengths

if TYPE_CHECKING:  # it imports torch
    from leaf.pipeline.benchmarks import Evaluation


def evaluate(  # noqa: D417
    *,
    model: str,
    benchmark: str,
    out: Path,
    adapter: str | None = None,
    limit: int | None = None,
    max_new_tokens: int = 512,
    dtype: str = "auto",
    engine: str = "hf",
    url: str | None = None,
    samples: int = 1,
    temperature: float | None = None,
    pass_at: str = "",
    majority: str = "",
    stop: Literal["dirichlet", "window"] | None = None,
    also: str = "",
    set_: Overrides = None,
    json_: AsJson = False,
) -> None:
    """Score one model on benchmarks, with intervals.

    Example: leaf evaluate --model runs/a/student --benchmark gsm8k=data/test.jsonl --out runs/e

    Args:
        model: Hub id, local folder or GGUF file; with --engine openai, its name at the server.
        benchmark: Comma-separated: a task (`leaf tasks`) or task=path of its data.
        out: Folder for scores.json, the answers with their scores, and the store behind them.
        adapter: Folder of a LoRA adapter that is put onto the model, as PEFT and our runs save it.
        limit: Problems of each benchmark; default all.
        max_new_tokens: Longest answer in tokens.
        dtype: auto, bfloat16, float16 or float32.
        engine: hf, vllm, llamacpp or openai.
        url: The server's address, with --engine openai: http://localhost:8000/v1.
        samples: Answers to each problem; more than one needs --temperature.
        temperature: Of sampled answers; default greedy.
        pass_at: Comma-separated k of pass@k, each at most --samples.
        majority: Comma-separated k of maj@k: whether what most of the first k answers say is right.
        stop: Ask a question no more when its majority is settled: dirichlet or window.
        also: Comma-separated, other forms to write besides: lm-eval (its samples),
            every-eval-ever (records of schema 0.3.0).
    """
    from leaf.pipeline.benchmarks import evaluate_model
    from leaf.pipeline.written import WRITERS, Writer
    from leaf.tasks import EVALUATION_SPLITS

    refuse_file(out)
    forms = [form.strip() for form in also.split(",") if form.strip()]
    must = " or ".join(WRITERS)
    faults = [f"--also {form}: must be {must}" for form in forms if form not in WRITERS]
    own: dict[str, Any] = {
        "limit": limit,
        "samples": samples,
        "temperature": temperature,
        "pass_at": _whole_numbers(pass_at, "--pass-at", faults),
    }
    if majority or stop:
        own["majority"] = {"at": _whole_numbers(majority, "--majority", faults), "stop": stop}
    benchmarks: dict[str, Any] = {}
    for item in benchmark.split(","):
        task, _, path = item.partition("=")
        name = item if task in benchmarks else task
        split = EVALUATION_SPLITS.get(task, "test")
        benchmarks[name] = {"task": task, "path": path or None, "split": split, **own}
    section: dict[str, Any] = {"model": model, "dtype": dtype, "engine": engine}
    if adapter is not None:
        section["adapter"] = adapter
    if url is not None:
        if engine != "openai":
            faults.append(f"--url {url}: is for --engine openai, but the engine is {engine}")
        section["server"] = {"url": url}
    recipe = _evaluation_recipe(section, benchmarks, max_new_tokens, set_ or (), faults)
    writer = Writer(recipe=recipe, out=out)
    found = evaluate_model(recipe, out, [partial(WRITERS[form], writer) for form in forms])
    if json_:
        print((out / "scores.json").read_text(encoding="utf-8"))
        return
    _print_evaluation(found, out)
    for form in forms:
        say_line(f"{form}: {out / form}")
    say_line(f"Next: leaf compare {out} OTHER, another such folder, a run, lm-eval's or Inspect's.")


def _print_evaluation(found: "Evaluation", out: Path) -> None:
    """Print every score, and what was left out."""
    from leaf.report import consistency_table, robustness_table

    rows = table("benchmark", *_ESTIMATE)
    for name, estimate in found.estimates.items():
        rows.add_row(name, *_cells(estimate, found.lengths.get(name)))
    print_table(out_console, rows)
    if found.robustness:
        costs = {name: {"": cost} for name, cost in found.robustness.items()}
        print_table(out_console, robustness_table(costs))
    if found.consistency:
        agreed = {name: {"": one} for name, one in found.consistency.items()}
        print_table(out_console, consistency_table(agreed))
    for name, lines in found.refused.items():
        say_line(f"{name}: {len(lines)} records left out, the first: {lines[0]}")
    say_line(f"answers:  {out / 'answers'}")
    say_line(f"scores:   {out / 'scores.json'}")


def _evaluation_recipe(
    section: dict[str, Any],
    benchmarks: dict[str, Any],
    max_new_tokens: int,
    overrides: Sequence[str],
    faults: Sequence[str],
) -> Recipe:
    """Return the recipe that scores one model and trains nothing.

    Raises:
        UsageError: `faults` of the words, and what is wrong with the recipe, in a line each.
    """
    budget = max(GenerateSection().token_budget, 2 * max_new_tokens)
    first = next(iter(benchmarks.values()))
    values = {
        "name": "evaluate",
        "student": section,
        "teacher": section,
        "data": {key: value for key, value in first.items() if key in DataSection.model_fields},
        "generate": {"max_new_tokens": max_new_tokens, "token_budget": budget},
        "evaluate": {"benchmarks": benchmarks},
    }
    try:
        recipe = check_recipe(values, source="leaf evaluate", overrides=overrides)
    except RecipeError as error:
        # One word here stands under several keys: its fault is told once.
        told: dict[str, str] = {}
        for line in str(error).splitlines():
            told.setdefault(_SAME.sub("", line), line)
        faults = [*faults, *told.values()]
    if faults:
        raise UsageError("\n".join(faults))
    return recipe


_SAME = re.compile(r"\b(student|teacher|data|evaluate\.benchmarks\.[^.`]+)\.")
"""Begins the keys that one word of the command line is under."""


def _whole_numbers(text: str, option: str, faults: list[str]) -> list[int]:
    """Return numbers with commas between; what are none is one more of the faults."""
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        faults.append(f"{option} {text}: must be whole numbers with commas between")
        return []


_ESTIMATE = ("right", "95% interval", "not gradable", "n", "tokens an answer", "cut at limit")


def _cells(estimate: Estimate, length: Lengths | None) -> tuple[str, ...]:
    interval = f"{estimate.low:.1%} to {estimate.high:.1%}"
    long = ("-", "-") if length is None else (f"{length.mean:.1f}", f"{length.share_cut:.1%}")
    return f"{estimate.mean:.1%}", interval, str(estimate.ungradable), str(estimate.n), *long
