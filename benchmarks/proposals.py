"""Where a question has many pieces: what is lost when ablation does not try all of them.

    OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.proposals --json

HotpotQA with ten passages, whose distractors the data know: a piece (a passage or a sentence) is
one if none of the passages that the answer needs holds it. Five ways say which piece goes first:

- all: ablation of every piece;
- hidden: the same, each piece hidden in place of taken away (`attribute.ablation.hide`);
- gradient: ablation of the --few pieces that the student's gradient leans on most;
- gap: the same, of the lowest gap between the teacher's and the student's gradient
  (`attribute.ablation.proposals`), where there is a teacher;
- halves: half of the pieces is taken away, then the other half; the half that is missed less is
  halved again, until one piece is left.

For each unit and way

- hit: how often that piece is a distractor; chance is what a random piece would do;
- kept: how often it is the piece that `all` says;
- auc: how often a distractor is ranked before a needed piece, where every piece has a score;
- forwards: tokens of the student's passes over those of one whole conversation, a backward being
  two forwards and the teacher's counted by its size.

Intervals are 95%, from a bootstrap over problems.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import cyclopts
import numpy as np
import torch

from benchmarks._ranking import auc
from benchmarks.attribute import SMALLEST, open_model, path_of
from benchmarks.common import ROOT, AsJson, measure, out_console, print_json, start
from leaf.attribute import MeasuredModel
from leaf.attribute.detectors.ablation import Ablation
from leaf.attribute.detectors.gradient import Gradient
from leaf.attribute.projection import join
from leaf.attribute.ranking import text_start
from leaf.errors import UsageError
from leaf.pipeline.detectors import proposed
from leaf.progress import progress, table
from leaf.recipe import DataSection
from leaf.records import Problem, Sensitivity
from leaf.statistics import mean
from leaf.tasks import load_problems
from leaf.text.units import Piece, UnitName, may_go, pieces

UNITS: tuple[UnitName, ...] = ("paragraph", "sentence")

GRADIENT = 3
"""Forward passes that a forward and a backward cost."""

app = cyclopts.App(help=__doc__)

WAYS = ("all", "hidden", "gradient", "gap", "halves")


class First(NamedTuple):
    """What one way takes away first."""

    piece: Piece
    forwards: float
    scores: tuple[float, ...] | None = None
    """Of every piece, in text order, where it has them."""


Found = dict[str, First]
"""What each way found."""


@app.default
def main(
    *,
    json_: AsJson = False,
    n: int = 24,
    student: str = SMALLEST,
    teacher: str | None = None,
    few: int = 4,
    units: str = ",".join(UNITS),
    data: Path = ROOT.parent / "shared" / "data" / "hotpotqa" / "dev_distractor_eval500.jsonl",
    seed: int = 0,
) -> None:
    """Measure what cheaper ways of ablation lose.

    Args:
        json_: End with one line of JSON for a program.
        n: How many problems.
        student: Model made by tools/offline_models.py, or the path of one.
        teacher: The same, larger; without one there is no gap.
        few: Pieces that are proposed.
        units: Which of paragraph (a passage) and sentence.
        data: HotpotQA's records.
        seed: Of the choice of problems.
    """
    if n < 1 or few < 1:
        raise UsageError("--n and --few: must be at least 1")
    chosen = [unit for unit in UNITS if unit in units.split(",")]
    if not chosen:
        raise UsageError(f"--units {units}: must be of {', '.join(UNITS)}")
    section = DataSection(task="hotpotqa", path=str(data), limit=n, shuffle=True, seed=seed)
    problems = load_problems(section)
    opened = [open_model(path_of(one), "bfloat16") for one in (student, teacher) if one]
    models = [MeasuredModel(loaded=loaded, chat=chat) for loaded, chat in opened]
    figures: dict[str, float] = {}
    for unit in chosen:
        with progress(f"{unit} by {unit}", len(problems), unit="problems") as tick:
            found = []
            for problem in problems:
                found.append(first_pieces(models, problem, unit, few))
                tick(1)
        for key, value in summary(problems, found, unit, seed).items():
            figures[f"{unit}.{key}"] = value
    show(figures)
    if json_:
        setting = {
            "student": student,
            "teacher": teacher,
            "problems": len(problems),
            "few": few,
            "threads": torch.get_num_threads(),
            "seed": seed,
        }
        print_json("proposals", setting, figures)


def places_of(problem: Problem, unit: str) -> list[Piece]:
    """Return the pieces of one kind that may go."""
    return [one for one in pieces(problem.question, unit) if may_go(problem.question[slice(*one)])]


def first_pieces(
    models: Sequence[MeasuredModel], problem: Problem, unit: UnitName, few: int
) -> Found | None:
    """Return what each way takes away first; None where no two pieces may go."""
    student, places = models[0], places_of(problem, unit)
    whole = ablated(student, problem, places, unit)
    if len(places) < 2 or whole is None:
        return None
    score = dict(zip(places, whole.scores, strict=True))
    length = len(student.chat.encode(problem.content, problem.solution or problem.answer).ids)
    found: Found = {}
    for way, each in (
        ("all", whole),
        ("hidden", ablated(student, problem, places, unit, hide=True)),
    ):
        assert each is not None
        assert each.fed is not None
        first = places[int(np.argmin(each.scores))]
        found[way] = First(first, each.fed / length, each.scores)
    references = [problem.solution or problem.answer]
    gradients = [Gradient().measure(model, [problem], references) for model in models]
    ((ours,), *theirs) = gradients
    order = np.argsort(-by_piece(ours, problem, places), kind="stable")
    proposals = {"gradient": ([places[at] for at in order[:few]], float(GRADIENT))}
    if theirs:
        sizes = [sum(one.numel() for one in model.loaded.model.parameters()) for model in models]
        (both,) = join([problem], references, theirs[0], gradients[0])
        detector = Ablation(Ablation.Options(unit=unit, proposals=few))
        if lowest := proposed(detector, problem, both):
            proposals["gap"] = (list(lowest), GRADIENT * (1 + sizes[1] / sizes[0]))
    for way, (chosen, price) in proposals.items():
        again = ablated(student, problem, sorted(chosen), unit)
        assert again is not None
        assert again.fed is not None
        found[way] = First(min(chosen, key=score.__getitem__), price + again.fed / length)
    found["halves"] = by_halves(student, problem, places, length)
    return found


def ablated(
    model: MeasuredModel,
    problem: Problem,
    places: Sequence[Piece],
    unit: UnitName,
    *,
    hide: bool = False,
) -> Sensitivity | None:
    """Score a problem without each of some places, or with each hidden."""
    here = replace(model, places={problem.id: tuple(places)})
    reference = problem.solution or problem.answer
    (found,) = Ablation(Ablation.Options(unit=unit, hide=hide)).measure(
        here, [problem], [reference]
    )
    return None if found.skipped or len(found.scores) != len(places) else found


def by_piece(found: Sensitivity, problem: Problem, places: Sequence[Piece]) -> np.ndarray:
    """Return the mean sensitivity of each place's tokens."""
    scores = np.asarray(found.scores)
    tokens = zip(found.starts, found.ends, strict=True)
    starts = np.asarray([text_start(problem.question, token) for token in tokens])
    inside = [(start <= starts) & (starts < end) for start, end in places]
    return np.asarray([float(scores[one].mean()) if one.any() else 0.0 for one in inside])


def by_halves(
    model: MeasuredModel, problem: Problem, places: Sequence[Piece], length: int
) -> First:
    """Halve the pieces until one is left; the whole conversation is read once."""
    forwards = 1.0
    while len(places) > 1:
        middle = len(places) // 2
        halves = places[:middle], places[middle:]
        spans = [(half[0][0], half[-1][1]) for half in halves]
        found = ablated(model, problem, spans, "paragraph")
        if found is None:  # a piece between two of a half asks
            return First(places[0], forwards)
        forwards += found.fed / length - 1
        places = halves[int(found.scores[1] < found.scores[0])]
    return First(places[0], forwards)


def is_distractor(problem: Problem, piece: Piece) -> bool:
    """Whether a piece lies in a passage that is not needed."""
    middle = sum(piece) // 2  # a piece may take the space before it
    return any(one.start <= middle < one.end for one in problem.distractors)


def summary(
    problems: Sequence[Problem], found: Sequence[Found | None], unit: str, seed: int
) -> dict[str, float]:
    """Return every figure of one unit."""
    scored = [(problem, one) for problem, one in zip(problems, found, strict=True) if one]
    if not scored:
        raise UsageError(f"none of {len(problems)} problems has two pieces that may go")
    figures = {"n": float(len(scored))}
    every = [
        [is_distractor(problem, one) for one in places_of(problem, unit)] for problem, _ in scored
    ]
    figures["pieces"] = fmean(map(len, every))
    figures["chance"] = fmean(fmean(one) for one in every)
    for way in WAYS:
        ours = [
            (problem, one, one[way], known)
            for (problem, one), known in zip(scored, every, strict=True)
            if way in one
        ]
        if not ours:
            continue
        hits = [float(is_distractor(problem, first.piece)) for problem, _, first, _ in ours]
        kept = [float(first.piece == one["all"].piece) for _, one, first, _ in ours]
        areas = [
            auc(np.asarray(first.scores), np.asarray(known))
            for _, _, first, known in ours
            if first.scores
        ]
        defined = [area for area in areas if area is not None]
        for key, values in (("hit", hits), ("kept", kept), ("auc", defined)):
            if share := measure(mean, values, seed=seed):
                figures |= share.figures(f"{way}.{key}")
        figures[f"{way}.forwards"] = fmean(first.forwards for _, _, first, _ in ours)
    return figures


def show(figures: dict[str, float]) -> None:
    """Print the figures for people."""
    keys = ("hit", "kept", "auc", "forwards")
    rows = table("way", "distractor first", "as all say", "AUC", "forwards")
    for unit, way in product(UNITS, WAYS):
        if (name := f"{unit}.{way}") + ".hit" in figures:
            found = (figures.get(f"{name}.{key}") for key in keys)
            rows.add_row(f"{unit}: {way}", *("" if one is None else f"{one:.2f}" for one in found))
    out_console.print(rows)


if __name__ == "__main__":
    start(app)
