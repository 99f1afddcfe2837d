"""How often what distracts in real questions is a piece that can be cut whole.

    python -m benchmarks.phrases --json --data ../shared/data

PROBLEMATHIC has questions with a distraction and the same ones without. What a difference of words
finds in the first alone, within one sentence and of three words or more, distracts. `<units>.exact`
is the share of these that are a piece of the named units to the word, `<units>.near` the share with
a piece that has three quarters of the words of both in common; `<units>.pieces` is how many
different pieces a question has, which is what ablation takes away. Borders were chosen on the first
20 pairs of either kind, which do not count here.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import cyclopts

from benchmarks.common import ROOT, AsJson, Measure, measure, out_console, print_json, start
from leaf.errors import DataError
from leaf.progress import table
from leaf.statistics import mean
from leaf.text.added import WORD, added
from leaf.text.units import pieces

UNITS = {
    name: tuple(name.split("+"))
    for name in ("clause", "phrase", "sentence+clause", "sentence+phrase")
}
"""What is cut, by the name of its figures."""

CHOSEN_ON = 20
"""Pairs of either kind on which the borders of phrases were chosen."""

_NEAR = 0.75

_PROMPT = re.compile(r"<<Passage>>(.*?)<<Question>>(.*)", re.S)

app = cyclopts.App(help=__doc__)


@app.default
def main(*, data: Path = ROOT.parent / "shared" / "data", json_: AsJson = False) -> None:  # noqa: D417
    """Hold the pieces of distracted questions against what distracts in them.

    Args:
        data: Folder with problemathic/simple_adversarial_train.jsonl and the three beside it.
    """
    pairs = [
        pair
        for kind in ("simple", "complex")
        for pair in list(read_pairs(data / "problemathic", kind))[CHOSEN_ON:]
    ]
    rows = table("what is cut", "exactly", "nearly", "pieces a question")
    figures: dict[str, float] = {}
    for name, units in UNITS.items():
        found = [overlaps(distracted, clean, units) for distracted, clean in pairs]
        best = [one for each, _ in found for one in each]
        shares = {
            "exact": measure(mean, [one == 1 for one in best], seed=0),
            "near": measure(mean, [one >= _NEAR for one in best], seed=0),
            "pieces": measure(mean, [count for _, count in found], seed=0),
        }
        known = {key: value for key, value in shares.items() if isinstance(value, Measure)}
        rows.add_row(name, *map(str, known.values()))
        for key, value in known.items():
            figures |= value.figures(f"{name}.{key}")
    figures |= {"distractions": float(len(best)), "questions": float(len(pairs))}
    out_console.print(rows)
    if json_:
        print_json("phrases", {"data": "PROBLEMATHIC", "chosen_on": 2 * CHOSEN_ON}, figures)


def read_pairs(folder: Path, kind: str) -> Iterator[tuple[str, str]]:
    """Yield each distracted question of a kind, and the same one without its distraction."""
    parts = []
    for name in ("adversarial", "non_adversarial"):
        path = folder / f"{kind}_{name}_train.jsonl"
        if not path.is_file():
            raise DataError(f"{path}: not there; --data names the folder that holds problemathic/")
        lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        parts.append({line["id"]: _question(line["prompt"]) for line in lines})
    distracted, clean = parts
    return ((text, clean[name]) for name, text in distracted.items() if name in clean)


def overlaps(distracted: str, clean: str, units: Sequence[str]) -> tuple[list[float], int]:
    """Return the best overlap of each distraction with a piece, and how many pieces there are.

    An overlap is the share of words in common, of the words of both, in [0, 1].
    """
    every = {place for unit in units for place in pieces(distracted, unit)}
    at_W = [found.start() for found in WORD.finditer(distracted)]
    words, distractions = (
        [{w for w, at in enumerate(at_W) if start <= at < end} for start, end in places]
        for places in (every, added(distracted, clean))
    )
    best = [max(len(one & piece) / len(one | piece) for piece in words) for one in distractions]
    return best, len(every)


def _question(prompt: str) -> str:
    found = _PROMPT.match(prompt)
    return " ".join(part.strip() for part in found.groups()) if found else prompt


if __name__ == "__main__":
    start(app)
