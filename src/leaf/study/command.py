"""The commands of `leaf study`."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from leaf.errors import UsageError
from leaf.recipe import dump_recipe, load_recipe
from leaf.store import Store, write_whole
from leaf.study.plot import plot_yield
from leaf.study.thresholds import TAUS, Yield
from leaf.study.thresholds import thresholds as sweep
from leaf.words import AsJson, Overrides, out_console, say_line, table

app = App(name="study")


@app.command
def thresholds(  # noqa: D417 - `Overrides` and `AsJson` say what they are
    *,
    recipe: str,
    out: Path,
    set_: Overrides = None,
    taus: Annotated[str | None, Parameter(help="Comma-separated shares in [0, 1].")] = None,
    store: Path | None = None,
    json_: AsJson = False,
) -> None:
    """Count spans, changed questions and verified ones over thresholds and both rules.

    One attribution pass serves them all, and a question that several settings have in common is
    verified once. Killed work goes on where it was with the same command.

    Example: leaf study thresholds --recipe demo --out runs/thresholds

    Args:
        recipe: A shipped recipe (`leaf recipes`) or a YAML file.
        out: Folder for thresholds.json, thresholds.png and thresholds.svg.
        store: Where stage results are kept and shared. Default: store beside `out`.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: is a file; name a folder")
    grid = TAUS if taus is None else _shares(taus)
    resolved = load_recipe(recipe, set_ or ())
    found = sweep(resolved, Store(store or out.parent / "store"), grid)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "recipe.yaml", dump_recipe(resolved).encode())
    text = json.dumps(dataclasses.asdict(found), indent=1, allow_nan=False)
    write_whole(out / "thresholds.json", (text + "\n").encode())
    pictures = plot_yield(found, out)
    if json_:
        print(text)
        return
    _print(found)
    for path in (out / "thresholds.json", *pictures):
        say_line(f"wrote:    {path}")


def _shares(taus: str) -> tuple[float, ...]:
    try:
        found = tuple(float(word) for word in taus.split(","))
    except ValueError:
        raise UsageError(f"--taus {taus}: must be numbers, as in --taus 0.05,0.10") from None
    if not all(0 <= tau <= 1 for tau in found):
        raise UsageError(f"--taus {taus}: each must lie in [0, 1]")
    return found


def _print(found: Yield) -> None:
    rows = table("rule", "tau")
    for name in ("problems", "spans", "tried", "verified", "share", "95% interval", "freed"):
        rows.add_column(name, justify="right")
    for point in found.points:
        share, interval = "-", "-"
        if point.share:
            share = f"{point.share.mean:.1%}"
            interval = f"{point.share.low:.1%} to {point.share.high:.1%}"
        counts = (point.problems, point.spans, point.variants, point.verified)
        cells = [*map(str, counts), share, interval, str(point.freed)]
        rows.add_row(point.rule, f"{point.threshold:.2f}", *cells)
    out_console.print(rows)
    say_line(
        f"{found.entered} problems entered detection; {found.verified_once} different changed "
        "questions were verified, each once. freed: problems with a verified question."
    )
