"""What a vote of sampled answers gains, and what stopping early saves, on real answers.

    .venv/bin/python -m benchmarks.consistency --json --data ../shared/data

Qwen2.5-Coder-0.5B answers distracted school problems (PROBLEMATHIC, simple, test) ten times each,
at temperature 0.7. All answers are generated and kept in --store; both stops are then replayed over
them, with the rounds that an evaluation would have: so the same answers say what each of them keeps
and saves. Another run finds the answers; --kept takes those that are there and generates none.

- single.right is the share of problems whose first answer is right, maj.right of those whose
  majority of all ten is, maj_minus_single the difference, paired;
- dirichlet.right and window.right are those of the majorities where sampling stopped,
  <stop>.answers_saved the share of the ten answers a problem that was not asked for;
  answers_saved is dirichlet's.

Intervals are 95%, from a bootstrap over problems.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import cyclopts

from benchmarks._samples import SAMPLES, build_recipe, sampled
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
from leaf.errors import DataError
from leaf.evaluate import Ballot
from leaf.models.files import Source
from leaf.pipeline.answered import Benchmark
from leaf.pipeline.voting import ask
from leaf.progress import table
from leaf.recipe import MajoritySection, Recipe
from leaf.records import Answer, Problem, Score
from leaf.statistics import mean
from leaf.store.results import Graded
from leaf.store.store import Store
from leaf.store.work import About

STOPS = {
    "maj": MajoritySection(),
    "dirichlet": MajoritySection(stop="dirichlet"),
    "window": MajoritySection(stop="window"),
}
"""How votes are held, by the name of its figures."""

app = cyclopts.App(help=__doc__)


class Replay:
    """Stands for a session whose answers were given before."""

    def __init__(
        self, recipe: Recipe, store: Store, problems: Sequence[Problem], graded: Graded
    ) -> None:
        self.recipe, self.store = recipe, store
        asked = [problem.id for problem in problems]
        self._given = dict(zip(asked, zip(*graded, strict=True), strict=True))

    def answers(
        self, model: object, source: object, asked: Sequence[Problem], about: object, **how: object
    ) -> Graded:
        """Return the answers with their scores."""
        found = [self._given[problem.id] for problem in asked]
        return [answer for answer, _ in found], [score for _, score in found]


@app.default
def main(  # noqa: D417
    *,
    data: Path = ROOT.parent / "shared" / "data",
    store: Path = Path("runs/consistency"),
    problems: int = 40,
    split: Literal["test_distracted", "test"] = "test_distracted",
    kept: bool = False,
    json_: AsJson = False,
) -> None:
    """Let sampled answers vote, and stop early.

    Args:
        data: Folder with problemathic.
        store: Where answers are kept.
        problems: How many; ten answers each.
        split: Distracted problems, or the same without the distraction.
        kept: Take the problems whose answers are there, generate none.
    """
    recipe = build_recipe(data, problems, split)
    asked: list[Problem] = []
    answers: list[Answer] = []
    scores: list[Score] = []
    parts: list[Benchmark] = []
    for part, graded in sampled(recipe, store, kept=kept):
        parts.append(part)
        asked += part.asked
        answers += graded[0]
        scores += graded[1]
    if not parts:
        raise DataError(f"{store}: no answers are kept there; without --kept they are generated")
    replay = Replay(recipe, Store(store), asked, (answers, scores))
    whole = [problem for part in parts for problem in part.problems]
    found = {name: held(replay, parts[0], whole, stop) for name, stop in STOPS.items()}
    figures = figures_of(found)
    rows = table("", "value")
    for name, value in figures.items():
        rows.add_row(name, f"{value:.3f}")
    out_console.print(rows)
    if json_:
        model = Path(recipe.student.model).name
        setting = {
            "model": model,
            "temperature": 0.7,
            "samples": SAMPLES,
            "problems": problems,
            "split": split,
        }
        print_json("consistency", setting, figures)


def held(
    replay: Any, like: Benchmark, problems: list[Problem], majority: MajoritySection
) -> list[Ballot]:
    """Return the ballots of one way to vote; `like` says how the problems are asked."""
    section = like.section.model_copy(update={"majority": majority})
    benchmark = Benchmark(name=like.name, section=section, problems=problems, refused=[])
    source = Source(name="kept", fingerprint="kept")
    return ask(replay, benchmark, replay.recipe.student, source, About()).ballots


def figures_of(found: dict[str, list[Ballot]]) -> dict[str, float]:
    """Return every figure by its name."""
    whole = found["maj"]
    single = [ballot.value(1) for ballot in whole]
    right = {name: [one.value(SAMPLES) for one in ballots] for name, ballots in found.items()}
    columns: dict[str, Measure | None] = {
        "single.right": measure(mean, single, seed=0),
        "maj_minus_single": measure(
            mean, [two - one for one, two in zip(single, right["maj"], strict=True)], seed=0
        ),
    }
    for name, ballots in found.items():
        columns[f"{name}.right"] = measure(mean, right[name], seed=0)
        left = [SAMPLES - len(ballot.votes) for ballot in ballots]
        if name != "maj":
            columns[f"{name}.answers_saved"] = measure(ratio, left, [SAMPLES] * len(left), seed=0)
    figures: dict[str, float] = {}
    for name, value in columns.items():
        figures |= value.figures(name) if value else {}
    figures["answers_saved"] = figures["dirichlet.answers_saved"]
    return figures | {"n": float(len(whole)), "samples": float(SAMPLES)}


if __name__ == "__main__":
    start(app)
