"""A detector of your own, with an option of its own, verified like any other.

    python examples/own_detector.py
    leaf run demo --set attribute.plugins=[examples/own_detector.py] \
        --set attribute.detector=opening

A detector says which words of a question to cut first. This one needs no model: it suspects
whatever opens a sentence up to a comma, as in "At the market, Leo gives 4 pens to Ben."
To use it, copy this file and write your own `rank`.
"""

import re
import sys
from pathlib import Path

from pydantic import Field

import leaf
from leaf.attribute import Detector, Evidence, detector
from leaf.recipe import Section
from leaf.records import RankedUnits


@detector
class Opening(Detector):
    """What opens a sentence up to a comma."""

    name = "opening"
    needs = "nothing"

    class Options(Section):
        """Keys of a recipe, below `attribute.opening`."""

        longest: int = Field(40, ge=1, description="most characters of an opening")

    def rank(self, evidence: Evidence) -> RankedUnits | str:
        """Rank a question's tokens: 0 is cut first, 1 last. A text says why there is no ranking."""
        question, longest = evidence.problem.question, self.options.longest
        openings = [
            found.span()
            for found in re.finditer(r"(?:^|(?<=[.?!] ))[^.,?!]+,", question)
            if len(found[0]) <= longest
        ]
        if not openings:
            return "no sentence opens with a phrase and a comma"
        return RankedUnits(
            problem_id=evidence.problem.id,
            starts=tuple(start for start, _ in evidence.tokens),
            ends=tuple(end for _, end in evidence.tokens),
            rank_score=tuple(
                # A token may begin with the space before its word.
                0.0 if any(start < end <= last for start, last in openings) else 1.0
                for _, end in evidence.tokens
            ),
        )


def main(folder: Path) -> None:
    """Let both models answer what the detector cuts, and what two others cut, and count."""
    recipe = leaf.load_recipe(
        "demo",
        [
            "name=own-detector",
            "attribute.detector=opening",
            "attribute.controls=[gradient, random]",
            "prune.strategy=span",
            "prune.rule=value",
            "prune.threshold=0.1",
            "data.world.size=150",
        ],
    )
    results = leaf.run_recipe(recipe, out=folder, until="verify")
    for name, cuts in results.cuts.items():
        tried, kept = len(cuts.tried), len(cuts.kept)
        print(f"{name}: {kept} of {tried} cuts make both models answer right")
    for cut in results.cuts["opening"].kept[:3]:
        print(f"  cut from {cut.problem_id}: {cut.spans[0].text!r}")
    print(f"report: {folder / 'report.html'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/own-detector"))
