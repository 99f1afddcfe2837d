"""What ablation costs, since it decides: LeaF's way beside the plain ones, in the same run.

    OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.ablation --json

Every sentence and clause that may go is taken out of real questions, one at a time, and the losses
of what is left are read, in bfloat16: of GSM-IC, PROBLEMATHIC, and HotpotQA with ten passages.
Four ways take turns on the same problems; the first three read the same losses:

- single: a forward pass a piece, one at a time, logits of every position;
- padded: the same in padded batches, logits of the response alone;
- ours: what a question shares with the whole one is computed once, nothing is padded;
- hide: the piece stays, hidden from what asks and answers (`attribute.ablation.hide`).

For each model and data

- ratio_to_single and ratio_to_padded: their seconds over ours, the median over parts;
- forward_equivalents: the tokens that ours feeds over those of one whole conversation, and pieces
  how many there are: what single takes, less one;
- hide.ratio_to_single, .ratio_to_padded and .forward_equivalents: the same of `hide`;
- same_losses: the greatest difference between the three ways' mean losses, in nats a token.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any

import cyclopts
import torch

from benchmarks import _gsm_ic, _problemathic
from benchmarks._gsm_ic import STUDENT
from benchmarks._measure import timed
from benchmarks.attribute import SMALLEST, open_model, path_of
from benchmarks.common import ROOT, AsJson, out_console, print_json, start
from leaf.attribute.tail_losses import Hidden, fed, tail_losses
from leaf.attribute.trials import Trial, plan_trial
from leaf.errors import LeafError, UsageError
from leaf.models import load
from leaf.models.load import Loaded
from leaf.models.output_head import output_head
from leaf.models.prompt_format import EncodedExample, PromptFormat
from leaf.progress import progress, table
from leaf.recipe import DataSection
from leaf.records import Problem
from leaf.tasks import load_problems
from leaf.text.units import UnitName

UNITS: tuple[UnitName, ...] = ("sentence", "clause")

DATA = ("gsm_ic", "problemathic", "hotpotqa")

PART = 4
"""Short problems that one way scores before the next has its turn; a long one is a part alone."""

QUARTER = 4
"""HotpotQA's are ten times longer, so there is one for so many of the others."""

Group = tuple[EncodedExample | Hidden, ...]
"""A conversation, and the same without one piece each."""

app = cyclopts.App(help=__doc__)


@app.default
def main(
    *,
    json_: AsJson = False,
    n: int = 16,
    names: str = f"{SMALLEST},{STUDENT}",
    only: str = ",".join(DATA),
    units: str = ",".join(UNITS),
    token_budget: int = 8192,
    data: Path = ROOT.parent / "shared" / "data",
    seed: int = 0,
) -> None:
    """Measure seconds of ablation.

    Args:
        json_: End with one line of JSON for a program.
        n: Problems of each kind; of HotpotQA, which is ten times longer, a quarter.
        names: Models made by tools/offline_models.py, or paths of models.
        only: Which of gsm_ic, problemathic, hotpotqa.
        units: Which of sentence and clause are taken out.
        token_budget: Tokens of a batch of the padded way and of ours (attribute.token_budget).
        data: Folder with gsm_ic/, gsm8k/, problemathic/ and hotpotqa/.
        seed: Of the choice of problems.
    """
    chosen = only.split(",")
    if unknown := [name for name in chosen if name not in DATA]:
        raise UsageError(f"--only {only}: `{unknown[0]}` is none of {', '.join(DATA)}")
    taken = [unit for unit in UNITS if unit in units.split(",")]
    if not taken:
        raise UsageError(f"--units {units}: must be of {', '.join(UNITS)}")
    if n < QUARTER:
        raise UsageError(f"--n {n}: must be at least {QUARTER}")
    every = {name: choose(name, data, n, seed) for name in chosen}
    figures: dict[str, float] = {}
    for name in names.split(","):
        loaded, chat = open_model(path_of(name), "bfloat16")
        for kind, problems in every.items():
            part = 1 if kind == "hotpotqa" else PART
            label = f"{name}, {kind}"
            found = measure(loaded, chat, problems, taken, token_budget, part=part, label=label)
            short = Path(name).name.removesuffix(".gguf")
            figures |= {f"{short}.{kind}.{key}": value for key, value in found.items()}
    show(figures)
    if json_:
        setting = {
            "names": names,
            "problems": {name: len(problems) for name, problems in every.items()},
            "units": taken,
            "token_budget": token_budget,
            "threads": torch.get_num_threads(),
            "device": str(load.best_device()),
            "seed": seed,
        }
        print_json("ablation", setting, figures)


def choose(name: str, data: Path, n: int, seed: int) -> list[Problem]:
    """Choose problems that have a reference."""
    if name == "hotpotqa":
        path = data / "hotpotqa" / "dev_distractor_eval500.jsonl"
        if not path.is_file():
            raise LeafError(f"no {path}: name another folder with --data")
        section = DataSection(
            task="hotpotqa", path=str(path), limit=n // QUARTER, shuffle=True, seed=seed
        )
        return load_problems(section)
    module: Any = _gsm_ic if name == "gsm_ic" else _problemathic
    if missing := module.what_is_missing(data):
        raise LeafError(missing)
    recipe = module.build_recipe(data, seed)
    if name == "gsm_ic":
        pairs, _ = _gsm_ic.choose_pairs(recipe.data, data, n, seed=seed)
    else:
        pairs, _ = _problemathic.choose_pairs(recipe, n)
    return [problem for problem, _ in pairs]


def measure(
    loaded: Loaded,
    chat: PromptFormat,
    problems: Sequence[Problem],
    units: Sequence[UnitName],
    budget: int,
    *,
    part: int = PART,
    label: str,
) -> dict[str, float]:
    """Return every figure of one model and kind of data."""
    wholes, groups = planned(chat, problems, units, hide=False)
    _, hidden = planned(chat, problems, units, hide=True)
    ways = {
        "single": (partial(single, loaded), groups),
        "padded": (partial(batched, loaded, budget, share=False), groups),
        "ours": (partial(batched, loaded, budget, share=True), groups),
        "hide": (partial(batched, loaded, budget, share=True), hidden),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    losses: dict[str, list[float]] = {name: [] for name in ways}
    with progress(f"{label}: four ways", len(groups), unit="problems") as tick:
        for way, own in ways.values():
            way([own[0][:2]])  # Nothing is measured of what happens once.
        for begin in range(0, len(groups), part):
            for name, (way, own) in ways.items():
                took, found = timed(partial(way, own[begin : begin + part]))
                seconds[name].append(took)
                losses[name] += found
            tick(len(groups[begin : begin + part]))
    alike = (losses[name] for name in ("single", "padded", "ours"))

    def ratio(way: str, to: str) -> float:
        return median(slow / fast for slow, fast in zip(seconds[to], seconds[way], strict=True))

    def forwards(groups: Sequence[Group]) -> float:
        pairs = zip(groups, wholes, strict=True)
        return fmean(fed(group, share=True) / len(whole.ids) for group, whole in pairs)

    return {
        "ratio_to_single": ratio("ours", "single"),
        "ratio_to_padded": ratio("ours", "padded"),
        "forward_equivalents": forwards(groups),
        "pieces": fmean(len(group) - 1 for group in groups),
        "tokens": fmean(len(whole.ids) for whole in wholes),
        "seconds_a_problem": sum(seconds["ours"]) / len(groups),
        "same_losses": max(max(three) - min(three) for three in zip(*alike, strict=True)),
        "hide.ratio_to_single": ratio("hide", "single"),
        "hide.ratio_to_padded": ratio("hide", "padded"),
        "hide.forward_equivalents": forwards(hidden),
        "n": float(len(groups)),
    }


def planned(
    chat: PromptFormat, problems: Sequence[Problem], units: Sequence[UnitName], *, hide: bool
) -> tuple[list[EncodedExample], list[Group]]:
    """Return the whole conversations of problems, and each with its pieces taken out or hidden."""
    found = [
        plan_trial(problem, problem.solution or problem.answer, chat, units, hide=hide)
        for problem in problems
    ]
    trials = [one for one in found if isinstance(one, Trial)]
    return [one.whole for one in trials], [(one.whole, *one.cut) for one in trials]


def single(loaded: Loaded, groups: Sequence[Group]) -> list[float]:
    """Return each conversation's mean loss by a forward pass of its own."""
    found = []
    with torch.inference_mode():
        for item in (item for group in groups for item in group):
            assert isinstance(item, EncodedExample)
            ids = torch.tensor([item.ids], device=loaded.device)
            labels = ids.clone()
            labels[:, : item.prompt_length] = -100
            found.append(float(loaded.model(input_ids=ids, labels=labels, use_cache=False).loss))
    return found


def batched(loaded: Loaded, budget: int, groups: Sequence[Group], *, share: bool) -> list[float]:
    """Return each conversation's mean loss as `ablation` reads it, or in padded batches."""
    losses = tail_losses(
        loaded.model, output_head(loaded.model), groups, token_budget=budget, share=share
    )
    return [float(one.mean()) for group in losses for one in group]


def show(figures: Mapping[str, float]) -> None:
    """Print the figures for people."""
    heads = ("single / ours", "padded / ours", "forwards", "single / hide", "forwards", "pieces")
    rows = table("ablation", *heads)
    for name in (key.removesuffix(".pieces") for key in figures if key.endswith(".pieces")):
        rows.add_row(
            name,
            f"{figures[f'{name}.ratio_to_single']:.1f}",
            f"{figures[f'{name}.ratio_to_padded']:.1f}",
            f"{figures[f'{name}.forward_equivalents']:.1f}",
            f"{figures[f'{name}.hide.ratio_to_single']:.1f}",
            f"{figures[f'{name}.hide.forward_equivalents']:.1f}",
            f"{figures[f'{name}.pieces']:.1f}",
        )
    out_console.print(rows)


if __name__ == "__main__":
    start(app)
