"""A stage of your own: how long is what was cut? Its results are stored, resumed and reported.

    python examples/own_stage.py

Runs the demo's recipe up to this stage, which comes after verification.
"""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from leaf.pipeline.run import run_recipe
from leaf.pipeline.stages import Pipeline, add_stage
from leaf.progress import Ticker
from leaf.recipe.reading import load_recipe
from leaf.records import Counterfactual
from leaf.store.keys import digest, plain
from leaf.store.runner import Worker
from leaf.store.work import About, Work


@dataclass(frozen=True, kw_only=True)
class Length:
    """A record of it: one row of a Parquet file."""

    id: str
    characters: int


@dataclass(frozen=True, kw_only=True)
class LengthWorker(Work[Counterfactual, Length]):
    """A kind of result: what it is called, what decides it, and who computes it."""

    kind = "lengths"
    record = Length
    unit = "cuts"

    about: About
    spaces: bool

    @property
    def title(self) -> str:
        """For people: on the terminal, and in the report's table of costs."""
        return "measuring cuts"

    def settings(self, items: Sequence[Counterfactual]) -> dict[str, bool]:
        """Return what decides it: with another value it is computed again."""
        return {"spaces": self.spaces}

    def inputs(self, items: Sequence[Counterfactual]) -> list[str]:
        """Return what it is computed of."""
        return [digest(plain(items))]

    def open(self, tick: Ticker) -> AbstractContextManager[Worker[Counterfactual, Length]]:
        """Load what the work needs; here that is nothing."""
        return nullcontext(self._measure)

    def _measure(self, cuts: Sequence[Counterfactual]) -> list[Length]:
        texts = {cut.id: "".join(span.text for span in cut.spans) for cut in cuts}
        if not self.spaces:
            texts = {name: "".join(text.split()) for name, text in texts.items()}
        return [Length(id=name, characters=len(text)) for name, text in texts.items()]


def measure_cuts(pipeline: Pipeline) -> None:
    """Measure what the recipe's own detector cut and verification kept."""
    detector = pipeline.recipe.attribute.detector
    work = LengthWorker(about=About(detector=detector), spaces=False)
    lengths = pipeline.session.compute(work, pipeline.results.cuts[detector].kept)
    longest = max((length.characters for length in lengths), default=0)
    pipeline.note(f"{len(lengths)} verified cuts, the longest of {longest} letters")


add_stage("lengths", measure_cuts, after="verify")


def main(out: str = "runs/own-stage") -> None:
    """Run the demo up to the stage."""
    run_recipe(load_recipe("demo"), out=Path(out), until="lengths")


if __name__ == "__main__":
    main(*sys.argv[1:])
