"""A detector of your own, verified like any other.

    python examples/own_detector.py

A detector says which words of a question to cut first. This one needs no model: it suspects
whatever opens a sentence up to a comma, as in "At the market, Leo gives 4 pens to Ben."
To use it, copy this file and write your own `suspicion`.
"""

import re
import sys
from dataclasses import replace
from pathlib import Path

import leaf
from leaf.prune import RANKINGS
from leaf.records import Attribution, NormalisedScores

OPENING = re.compile(r"(?:^|(?<=[.?!] ))[^.,?!]+,")


def suspicion(question: str, start: int, end: int) -> float:
    """Return how much the word `question[start:end]` looks like a distraction, in [0, 1]."""
    return float(any(found.start() <= start < found.end() for found in OPENING.finditer(question)))


def opening(
    scores: NormalisedScores, question: str, _measured: Attribution | None
) -> NormalisedScores | str:
    """Rank a question's tokens: gap 0 is cut first, 1 last. A text says why there is no ranking."""
    words = zip(scores.starts, scores.ends, strict=True)
    # A token may begin with the space before its word.
    found = [
        suspicion(question, end - len(question[start:end].lstrip()), end) for start, end in words
    ]
    if not any(found):
        return "no sentence opens with a phrase and a comma"
    return replace(scores, gap=tuple(1.0 - one for one in found))


RANKINGS["opening"] = opening


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
    for detector, cuts in results.cuts.items():
        tried, kept = len(cuts.tried), len(cuts.kept)
        print(f"{detector}: {kept} of {tried} cuts make both models answer right")
    for cut in results.cuts["opening"].kept[:3]:
        print(f"  cut from {cut.problem_id}: {cut.spans[0].text!r}")
    print(f"report: {folder / 'report.html'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/own-detector"))
