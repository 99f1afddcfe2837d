"""Writes the problems of the `demo` recipe: one-step sums, some of them with a distraction.

The wording is what a model of 135 M parameters can often do. Run
`.venv/bin/python tools/make_demo_problems.py`; the same seed writes the same bytes, and no question
is in both files.
"""

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path

import cyclopts

NAMES = ("Ana", "Ben", "Emma", "Finn", "Grace", "Hugo", "Jack", "Lena", "Mia", "Tom")
THINGS = ("apples", "books", "cards", "coins", "eggs", "pencils", "shells", "stamps")
DISTRACTIONS = (
    "{other} is {n} years old.",
    "{other} lives in house number {n}.",
    "{other} wears shirt number {n}.",
    "{other} weighs {n} kilos.",
)
FOLDER = Path(__file__).resolve().parents[1] / "src" / "leaf" / "recipes" / "demo"


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """A way to tell one step of arithmetic; `{a}` and `{b}` are its numbers."""

    tell: str
    ask: str
    solve: str
    """The answer in the words that the recipe asks for, `{result}` being the final number."""
    sign: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of a file of the demo."""

    question: str
    answer: str
    solution: str


_NOW = "How many {things} does {who} have now?"
_TOTAL = "How many {things} does {who} have in total?"
_HAS_NOW = "{who} has {a} + {b} = {result} {things} now."
_IN_TOTAL = "{who} has {a} + {b} = {result} {things} in total."

STORIES = (
    Story(tell="{who} has {a} {things} and buys {b} more.", ask=_NOW, solve=_HAS_NOW, sign="+"),
    Story(tell="{who} has {a} {things} and buys {b} more.", ask=_TOTAL, solve=_IN_TOTAL, sign="+"),
    Story(tell="{who} has {a} {things} and finds {b} more.", ask=_TOTAL, solve=_IN_TOTAL, sign="+"),
    Story(
        tell="{who} buys {a} boxes with {b} {things} in each box.",
        ask=_TOTAL,
        solve="{who} has {a} x {b} = {result} {things} in total.",
        sign="x",
    ),
)


def make_row(rng: random.Random, *, distracted: float) -> Row:
    """Return one problem; with chance `distracted` it holds a number that does not matter."""
    who, other = rng.sample(NAMES, 2)
    story = rng.choice(STORIES)
    a, b = (rng.randint(2, 5), rng.randint(2, 5)) if story.sign == "x" else _addends(rng)
    result = a * b if story.sign == "x" else a + b
    words = {"who": who, "things": rng.choice(THINGS), "a": a, "b": b, "result": result}
    sentences = [story.tell, story.ask]
    if rng.random() < distracted:
        distraction = rng.choice(DISTRACTIONS).format(other=other, n=rng.randint(10, 30))
        sentences.insert(rng.randint(0, 1), distraction)
    return Row(
        question=" ".join(sentences).format(**words),
        answer=str(result),
        solution=story.solve.format(**words),
    )


def make_rows(count: int, *, seed: int, distracted: float) -> list[Row]:
    """Return `count` problems with different questions."""
    rng = random.Random(seed)
    rows: dict[str, Row] = {}
    while len(rows) < count:
        row = make_row(rng, distracted=distracted)
        rows[row.question] = row
    return list(rows.values())


def main(
    *, to: Path = FOLDER, train: int = 60, test: int = 40, seed: int = 7, distracted: float = 0.4
) -> None:
    """Write train.jsonl and test.jsonl.

    Args:
        to: Folder to write to.
        train: Problems in train.jsonl.
        test: Problems in test.jsonl.
        seed: The same seed gives the same files.
        distracted: Share of the problems that get a distracting sentence.
    """
    rows = make_rows(train + test, seed=seed, distracted=distracted)
    to.mkdir(parents=True, exist_ok=True)
    for name, part in (("train", rows[:train]), ("test", rows[train:])):
        lines = "".join(json.dumps(asdict(row)) + "\n" for row in part)
        (to / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        print(f"wrote {to / f'{name}.jsonl'}: {len(part)} problems")


def _addends(rng: random.Random) -> tuple[int, int]:
    return rng.randint(2, 9), rng.randint(2, 8)


if __name__ == "__main__":
    cyclopts.run(main)
