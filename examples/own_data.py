"""From records of your own to a student and a report.

    python examples/own_data.py

To use it, copy this file, return your records in `records` and name your models in `recipe`. The
models here come with the package and know nothing but small sums; they need no download.
"""

import json
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import leaf
from leaf.playground import Mixture, puzzles


def records(count: int, *, test: bool) -> list[dict[str, Any]]:
    """Return your records; the column names are yours, `recipe` says which holds what."""
    # In place of your own: word problems, each with a phrase that misleads the student.
    mixture = Mixture(cues=1.0, agreement=0.0 if test else 0.9, asides=0.0)
    return [
        {"prompt": made.question, "final": made.answer, "worked": made.solution}
        for made in islice(puzzles(mixture, test=test, seed=7), count)
    ]


def recipe(train: Path, test: Path) -> leaf.Recipe:
    """Return the recipe: your models, your data, and what differs from the defaults."""
    columns = {"question": "prompt", "answer": "final"}
    return leaf.check_recipe(
        {
            "name": "own-data",
            "student": {"model": "package:playground/models/student"},  # a folder or a hub id
            "teacher": {"model": "package:playground/models/teacher"},
            "data": {
                "task": "table",
                "path": str(train),
                "columns": {**columns, "solution": "worked"},
            },
            "generate": {"max_new_tokens": 12},
            "prune": {
                "units": ["clause"],
                "rule": "quantile",
                "threshold": 0.4,
                "strategy": ["transplant"],
            },
            "verify": {"transplants": "student_wrong"},
            "distill": {"max_steps": 25, "batch_size": 16, "learning_rate": 5e-4},
            "evaluate": {
                "benchmarks": {"held-out": {"task": "table", "path": str(test), "columns": columns}}
            },
        },
        source="own_data.py",
    )


def main(folder: Path) -> None:
    """Write the records, run the recipe and print what came out."""
    folder.mkdir(parents=True, exist_ok=True)
    train = _write(folder / "train.jsonl", records(200, test=False))
    test = _write(folder / "test.jsonl", records(60, test=True))

    results = leaf.run_recipe(recipe(train, test), out=folder / "run")

    assert results.estimates and results.comparisons  # noqa: S101 - every stage has run
    for arm, found in results.estimates["held-out"].items():
        interval = f"{found.low:.0%} to {found.high:.0%}"
        print(f"{arm:7} {found.mean:.0%} of {found.n} right (95% interval {interval})")
    compared = results.comparisons["held-out"]
    print(f"LeaF against plain distillation: {compared.wins} won, {compared.losses} lost")
    for entry in leaf.read_ledger(folder / "run" / "ledger.parquet"):
        freed = [change.spans[0].text for change in entry.variants if change.kept]
        if freed:
            print(f"{entry.problem_id}: without {freed[0]!r} the student answers right")
            break
    print(f"student: {folder / 'run' / 'student'}")
    print(f"report:  {folder / 'run' / 'report.html'}")


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/own-data"))
