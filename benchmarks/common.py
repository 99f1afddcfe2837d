"""What the benchmarks share: numbers with intervals, the last line of JSON, how an error ends."""

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import numpy as np
from numpy.typing import ArrayLike, NDArray
from rich.console import Console

from leaf.cli.options import run_app
from leaf.statistics import bootstrap

ROOT = Path(__file__).resolve().parents[1]
"""The repository."""

AsJson = Annotated[
    bool,
    cyclopts.Parameter(name="--json", help="End with one line of JSON for a program.", negative=()),
]

out_console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)

_RESAMPLES = 9999


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """A number over problems with its 95% interval."""

    value: float
    low: float | None
    """Lower end of the BCa bootstrap interval over problems; None where undefined."""
    high: float | None
    """Upper end of that interval; None where undefined."""

    def figures(self, name: str) -> dict[str, float]:
        """Return `name`, and `name.low` and `name.high` where there is an interval."""
        ends = {f"{name}.low": self.low, f"{name}.high": self.high}
        return {name: self.value} | {key: end for key, end in ends.items() if end is not None}

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.2f}"
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(
    parts: NDArray[np.float64], wholes: NDArray[np.float64], axis: int = -1
) -> NDArray[np.float64]:
    """Return sum over sum along an axis, as a micro average does; NaN where nothing is summed."""
    with np.errstate(invalid="ignore"):
        return np.asarray(parts.sum(axis=axis) / wholes.sum(axis=axis))


def measure(
    statistic: Callable[..., NDArray[np.float64]], *columns: ArrayLike, seed: int
) -> Measure | None:
    """Estimate a statistic over problems; None where it is undefined.

    Args:
        statistic: Of `columns`, along `axis`: `mean` or `ratio`.
        columns: One value a problem, resampled together.
        seed: Of the bootstrap.
    """
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    if len(arrays[0]) == 0:
        return None
    value = float(statistic(*arrays, axis=-1))
    if not np.isfinite(value):
        return None
    interval = None
    if len(arrays[0]) > 1:
        interval = bootstrap(statistic, arrays, resamples=_RESAMPLES, seed=seed)
    low, high = interval or (None, None)
    return Measure(value=value, low=low, high=high)


def print_json(name: str, setting: Mapping[str, Any], figures: Mapping[str, float]) -> None:
    """Print a benchmark's last line, one JSON object.

    Args:
        name: The module's name.
        setting: Models, sizes, seeds: what another run needs to find the same (JSON values).
        figures: Name to number; what is not finite is left out, as JSON has no word for it.
    """
    finite = {key: value for key, value in figures.items() if math.isfinite(value)}
    line = {"name": name, "setting": setting, "figures": finite}
    print(json.dumps(line, allow_nan=False), flush=True)


def start(app: cyclopts.App, words: Sequence[str] | None = None) -> None:
    """Run a benchmark's command line; every expected failure is one line on standard error."""
    run_app(app, words, name="benchmark")
