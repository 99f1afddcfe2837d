"""How well each detector finds distractors that are known to be there, and at what cost.

    .venv/bin/python -m benchmarks.detection --json

Grounds: the playground, on whose bundled models problems enter detection as in a run (student
wrong, teacher right); GSM-IC on two real models, all problems, the reference being the GSM8K
solution. Where --only names it: gsm_ic_moved, with the planted sentence moved to a random place,
since the data always have it last before the question, which a detector may fall for; and
problemathic, real distractions, known by the same problem without them. A unit is a token; it is
planted when it shares more than whitespace with a planted span. A detector's

- auc (token_auc) is the area under the ROC curve of its ranking, mean over problems that hold both;
- precision and recall are those of the units that the default rule marks, over all problems'
  units together; `random` and `perplexity` mark as many as `gradient` does. What is marked in a
  playground problem with nothing planted is wrong as well, but for precision_where_planted;
- sentence_hit is how often the sentence of lowest mean gap is the planted one, phrase_hit how often
  the phrase is;
- cost is in forward passes over prompt and reference, a backward being two, of both models
  together, mean over problems.

Intervals are 95%, from a bootstrap over problems. What was computed is found again in --store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cyclopts
import numpy as np

from benchmarks import _gsm_ic, _problemathic
from benchmarks._arms import ARMS, PIECES, UNIT, Pair, agree, costs
from benchmarks._ranking import Agreement
from benchmarks.common import (
    ROOT,
    AsJson,
    Measure,
    measure,
    out_console,
    print_json,
    ratio,
    start,
)
from leaf.errors import DataError, UsageError
from leaf.models.files import find
from leaf.models.load import best_device, dtype_name, resolve_dtype
from leaf.pipeline.session import Session
from leaf.pipeline.stages import Pipeline
from leaf.progress import table
from leaf.recipe import PruneSection, Recipe
from leaf.recipe.reading import check_recipe
from leaf.statistics import mean
from leaf.store.store import Store

REAL = tuple(name for name, arm in ARMS.items() if arm.detector != "oracle" and not arm.slow)
"""What is measured on real models, unless --slow asks for the rest too."""

app = cyclopts.App(help=__doc__)


@app.default
def main(
    *,
    json_: AsJson = False,
    n_gsm_ic: int = 60,
    n_problemathic: int = 60,
    n_playground: int = 1000,
    # Not 0: the bundled student learned from the problems of that seed.
    seed: int = 1,
    store: Path = ROOT / "runs" / "store",
    data: Path = ROOT.parent / "shared" / "data",
    only: Literal["playground", "gsm_ic", "gsm_ic_moved", "problemathic"] | None = None,
    slow: bool = False,
) -> None:
    """Measure every detector against planted distractors.

    Args:
        json_: End with one line of JSON for a program.
        n_gsm_ic: How many problems of GSM-IC.
        n_problemathic: How many problems of PROBLEMATHIC.
        n_playground: How many problems of the playground are made; a part of them is scored.
        seed: Of the problems, of the choice among GSM-IC's, and of the random detector.
        store: Where answers and sensitivities are kept and found again.
        data: Folder with gsm_ic/gsm_ic_test.json, gsm8k/train.jsonl and gsm8k/test.jsonl, or with
            problemathic.
        only: One ground.
        slow: Measure on real models also the arms that are left out there.
    """
    for name, count in (("gsm-ic", n_gsm_ic), ("problemathic", n_problemathic)):
        if count < 1:
            raise UsageError(f"--n-{name} {count}: must be at least 1")
    grounds: list[Ground] = []
    files = _problemathic if only == "problemathic" else _gsm_ic
    missing = None if only == "playground" else files.what_is_missing(data)
    if missing and only:
        raise UsageError(missing)
    arms = [name for name in ARMS if name in REAL or (slow and name != "oracle")]
    if only in {None, "playground"}:
        grounds.append(on_playground(playground_recipe(n_playground, seed), Store(store)))
    if only == "problemathic":
        recipe = _problemathic.build_recipe(data, seed)
        arms = [*PIECES, *(name for name in arms if name != "ablation")]
        grounds.append(on_problemathic(recipe, Store(store), n_problemathic, arms))
    elif only != "playground" and not missing:
        recipe = _gsm_ic.build_recipe(data, seed)
        name = only or "gsm_ic"
        grounds.append(on_gsm_ic(recipe, Store(store), data, n_gsm_ic, arms, name=name))
    setting: dict[str, Any] = {"seed": seed} | {ground.name: ground.setting for ground in grounds}
    found: dict[str, float] = {}
    for ground in grounds:
        measures = {
            detector: measures_of(agreements, seed)
            for detector, agreements in ground.agreements.items()
        }
        show(ground, measures)
        found |= figures(ground, measures)
    if missing:
        setting["gsm_ic"] = {"left_out": missing}
        out_console.print(f"gsm_ic is left out: {missing}", soft_wrap=True, markup=False)
    if json_:
        print_json("detection", setting, found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """Where detectors were measured, and what each of them found there."""

    name: str
    setting: Mapping[str, Any]
    agreements: Mapping[str, Sequence[Agreement]]
    """Arm to one a problem that it can rank."""
    costs: Mapping[str, float]
    """Arm to its forward-equivalents."""


# The playground.


def playground_recipe(size: int, seed: int, *, models: str = "package:playground/models") -> Recipe:
    """Return the recipe of a run on `size` problems of the demo world."""
    return check_recipe(
        {
            "name": "detection-playground",
            "student": {"model": f"{models}/student", "dtype": "float32"},
            "teacher": {"model": f"{models}/teacher", "dtype": "float32"},
            "data": {"task": "playground", "world": {"size": size, "seed": seed}},
            "generate": {"max_new_tokens": 12, "max_batch": 512},
            # A planted cue is a clause of its sentence.
            "attribute": {"random": {"seed": seed}, "ablation": {"unit": "clause"}},
            "evaluate": {"benchmarks": {}},
            "store": {"shard_size": 512},
        },
        source="detection on the playground",
    )


def on_playground(recipe: Recipe, store: Store) -> Ground:
    """Measure on the problems that a run of the recipe would score."""
    pipeline = Pipeline(recipe, store)
    pairs = enter_detection(pipeline)
    agreements, without_ranking = agree(pipeline.session, pairs, ARMS)
    setting = _setting(recipe, pipeline.session) | {
        "reference": recipe.attribute.reference,
        "world": recipe.data.world.model_dump(),
        "problems_made": recipe.data.world.size,
        "problems_scored": len(pairs),
        "problems_without_distractor": sum(not problem.distractors for problem, _ in pairs),
        "problems_without_ranking": without_ranking,
    }
    spent = costs(pipeline.session, pairs, ARMS)
    return Ground(name="playground", setting=setting, agreements=agreements, costs=spent)


def enter_detection(pipeline: Pipeline) -> list[Pair]:
    """Run a pipeline up to detection; return the problems that entered, with their references."""
    results = pipeline.run(until="attribute", after_stage=lambda: None)
    problems = {problem.id: problem for problem in results.problems or ()}
    return [(problems[item.problem_id], item.reference) for item in results.attributions or ()]


# GSM-IC.


def on_gsm_ic(
    recipe: Recipe, store: Store, data: Path, count: int, arms: Sequence[str], *, name: str
) -> Ground:
    """Measure on problems of GSM-IC, whatever the models answer to them."""
    seed = dict(recipe.attribute.options("random"))["seed"]
    chosen, unjoined = _gsm_ic.choose_pairs(recipe.data, data, count, seed=seed)
    if not chosen:
        raise DataError(f"{recipe.data.path}: no problem's original question is in GSM8K")
    if name == "gsm_ic_moved":
        chosen = [(_gsm_ic.move(problem, seed=seed), reference) for problem, reference in chosen]
    about = {
        "reference": "GSM8K solution of the original question",
        "different_references": len({reference for _, reference in chosen}),
        "problems_not_in_gsm8k": unjoined,
    }
    return _on_pairs(recipe, store, chosen, arms, name=name, about=about)


# PROBLEMATHIC.


def on_problemathic(recipe: Recipe, store: Store, count: int, arms: Sequence[str]) -> Ground:
    """Measure on distracted problems of PROBLEMATHIC's test part, whatever models answer."""
    chosen, left_out = _problemathic.choose_pairs(recipe, count)
    about = {"reference": "worked solution", "problems_left_out": left_out}
    return _on_pairs(recipe, store, chosen, arms, name="problemathic", about=about)


def _on_pairs(
    recipe: Recipe,
    store: Store,
    chosen: Sequence[Pair],
    arms: Sequence[str],
    *,
    name: str,
    about: Mapping[str, Any],
) -> Ground:
    session = Session(recipe, store)
    session.sources = {"student": find(recipe.student), "teacher": find(recipe.teacher)}
    agreements, without_ranking = agree(session, chosen, arms)
    setting = {**_setting(recipe, session), **about}
    setting |= {"problems_scored": len(chosen), "problems_without_ranking": without_ranking}
    spent = costs(session, chosen, arms)
    return Ground(name=name, setting=setting, agreements=agreements, costs=spent)


# Numbers.


def measures_of(agreements: Sequence[Agreement], seed: int) -> dict[str, Measure]:
    """Return each measure over problems (see above), where it is defined."""
    planted = [one for one in agreements if one.planted]
    areas = [one.auc for one in agreements if one.auc is not None]
    found = {
        "auc": measure(mean, areas, seed=seed),
        "precision": measure(ratio, _hits(agreements), _marked(agreements), seed=seed),
        "precision_where_planted": measure(ratio, _hits(planted), _marked(planted), seed=seed),
        "recall": measure(ratio, _hits(planted), [one.planted for one in planted], seed=seed),
        "sentence_hit": measure(mean, [one.sentence_hit for one in planted], seed=seed),
        "phrase_hit": measure(mean, [one.phrase_hit for one in planted], seed=seed),
    }
    return {name: value for name, value in found.items() if value is not None}


def _hits(agreements: Sequence[Agreement]) -> list[int]:
    return [one.hits for one in agreements]


def _marked(agreements: Sequence[Agreement]) -> list[int]:
    return [one.marked for one in agreements]


_ON_GSM_IC = {
    "sentence_hit": "sentence_hit",
    "auc": "token_auc",
    "precision": "precision",
    "recall": "recall",
}

_NAMES = {
    "playground": {
        "auc": "auc",
        "precision": "precision",
        "precision_where_planted": "precision_where_planted",
        "recall": "recall",
    },
    "gsm_ic": _ON_GSM_IC,
    "gsm_ic_moved": _ON_GSM_IC,
    "problemathic": {"phrase_hit": "phrase_hit", **_ON_GSM_IC},
}
"""What each ground shows, and its name there: a cue is no sentence, and GSM-IC plants always."""


def figures(ground: Ground, measures: Mapping[str, Mapping[str, Measure]]) -> dict[str, float]:
    """Name a ground's numbers: `<ground>.<detector>.<measure>`, its ends, and what chance gives."""
    names, blind = _NAMES[ground.name], chance(ground)
    found = {
        f"{ground.name}.chance.{name}": blind[key] for key, name in names.items() if key in blind
    }
    for detector, values in measures.items():
        stem = f"{ground.name}.{detector}"
        for key, name in names.items():
            if key in values:
                found |= values[key].figures(f"{stem}.{name}")
        found[f"{stem}.n"] = len(ground.agreements[detector])
        found[f"{stem}.cost"] = ground.costs[detector]
    last = [item.last_hit for item in ground.agreements["gradient"] if item.last_hit is not None]
    if "sentence_hit" in names and last:
        found[f"{ground.name}.last_sentence.sentence_hit"] = float(np.mean(last))
    return found


def chance(ground: Ground) -> dict[str, float]:
    """Return what is expected of a detector that marks as many units as the gradient, blindly."""
    agreements = ground.agreements["gradient"]
    marked = sum(item.marked for item in agreements)
    where_planted = sum(item.marked for item in agreements if item.planted)
    planted = sum(item.planted for item in agreements)
    hits = sum(item.marked * item.planted / item.units for item in agreements)
    blind = {"auc": 0.5}
    if where_planted:
        blind |= {
            "precision": hits / marked,
            "precision_where_planted": hits / where_planted,
            "recall": hits / planted,
        }
    blind["sentence_hit"] = float(np.mean([item.sentence_chance for item in agreements]))
    blind["phrase_hit"] = float(np.mean([item.phrase_chance for item in agreements]))
    return blind


def show(ground: Ground, measures: Mapping[str, Mapping[str, Measure]]) -> None:
    """Print a ground's table: values with 95% intervals."""
    names, blind = _NAMES[ground.name], chance(ground)
    rows = table("", *names.values(), "cost")
    for detector, values in measures.items():
        cost = f"{ground.costs[detector]:.1f}"
        rows.add_row(detector, *(str(values.get(key, "-")) for key in names), cost)
    rows.add_row("chance", *(f"{blind[key]:.2f}" if key in blind else "-" for key in names), "")
    ranked = ground.agreements["gradient"]
    empty = sum(not item.planted for item in ranked)
    out_console.print(f"{ground.name}: {len(ranked)} problems, {empty} with nothing planted")
    out_console.print(rows)
    out_console.print()


def _setting(recipe: Recipe, session: Session) -> dict[str, Any]:
    """Return the models and the rule."""
    section = PruneSection()
    models = {
        role: {
            "model": Path(model.model).name if Path(model.model).is_file() else model.model,
            "fingerprint": session.sources[role].fingerprint,
            "dtype": dtype_name(resolve_dtype(model.dtype, best_device())),
        }
        for role, model in (("student", recipe.student), ("teacher", recipe.teacher))
    }
    rule = {"rule": section.rule, "threshold": section.threshold, "unit": UNIT}
    return {**models, "prune": rule, **dict(recipe.attribute.options("ablation"))}


if __name__ == "__main__":
    start(app)
