"""Does the cost of pruning grow linearly, in flat memory? 1,000 to 1,000,000 recorded attributions.

    python -m benchmarks.scale --json --sizes 1000,10000,100000,1000000

Both bundled models score playground problems once; those attributions are copied under new ids
until there are enough, and lie in Parquet. Each size then goes through what pruning is in a run, in
a process of its own: read shard by shard, named by content, normalised, selected and cut
(`leaf.pipeline.detectors`), the counterfactuals written shard by shard. Shards are those of the
store. `rows_per_second.<n>` counts attributions, `peak_rss_bytes.<n>` is that process's largest
resident memory, copying included. `rows_per_cpu_second.<n>` is the same in processor time, which
other work on the machine does not slow; `slowest_to_fastest` compares that of all sizes.
"""

import dataclasses
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TypeVar

import cyclopts

from benchmarks.common import AsJson, out_console, print_json, start
from leaf.attribute.detectors.gradient import Gradient
from leaf.errors import LeafError, UsageError
from leaf.pipeline.detectors import cut_question, evidence_of
from leaf.pipeline.workers import CutWorker
from leaf.progress import Ticker, table
from leaf.recipe import PruneSection
from leaf.records import Attribution, Counterfactual, Problem
from leaf.store.keys import digest_of, plain, stage_key
from leaf.store.runner import Worker
from leaf.store.store import Store, stream_records
from leaf.store.work import About, Work

T = TypeVar("T")

SHARD = 512
FIRST = 64
"""Rows that each process prunes before it is timed."""
SIZES = "1000,10000,100000,1000000"

PRUNE = PruneSection(rule="value", threshold=0.10, units=["word", "clause"])
"""As the paper has it, but for the units: more of them is more work."""

DETECTOR = Gradient()

app = cyclopts.App(help=__doc__)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """One attribution and the problem that it is of."""

    problem: Problem
    attribution: Attribution


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Passed:
    """What became of one size."""

    rows: int
    counterfactuals: int
    seconds: float
    """Reading, naming, selecting, cutting and writing; copying left out."""
    cpu_seconds: float
    """What the process itself worked of that: other work on the machine does not count."""
    peak_rss_bytes: int

    @property
    def rate(self) -> float:
        """Attributions in a second."""
        return self.rows / self.seconds

    @property
    def cpu_rate(self) -> float:
        """Attributions in a second of processor time."""
        return self.rows / self.cpu_seconds


@app.default
def main(  # noqa: D417 - `AsJson` says what it is
    *,
    json_: AsJson = False,
    sizes: Annotated[str, cyclopts.Parameter(help="Comma-separated counts.")] = SIZES,
    problems: int = 600,
    folder: Path | None = None,
) -> None:
    """Send recorded attributions through pruning, and print how fast and in how much memory.

    Args:
        sizes: How many attributions, one process each.
        problems: Playground problems that are scored; about a fifth of them enter detection.
        folder: Where the shards lie (1 to 2 GB for a million); default: one that is removed.
    """
    counts = _counts(sizes)
    with tempfile.TemporaryDirectory(prefix="leaf-scale-", dir=folder) as place:
        recorded = record(problems, Store(Path(place) / "record"))
        out_console.print(f"{len(recorded)} attributions recorded from {problems} problems")
        spawn = multiprocessing.get_context("spawn")
        found = []
        for count in counts:
            # A process of its own: the largest memory of a process never shrinks.
            with ProcessPoolExecutor(1, mp_context=spawn) as pool:
                # What is loaded with the first rows is no part of the rate.
                pool.submit(send, recorded, FIRST, Path(place) / f"first-{count}").result()
                where = Path(place) / str(count)
                found.append(pool.submit(send, recorded, count, where).result())
    _print(found)
    if json_:
        setting = {"problems": problems, "recorded": len(recorded), "shard_size": SHARD}
        print_json("scale", {**setting, "prune": PRUNE.model_dump()}, figures(found))


def figures(found: Sequence[Passed]) -> dict[str, float]:
    """Return the figures of all sizes."""
    rates = [passed.cpu_rate for passed in found]
    return {
        **{f"rows_per_second.{passed.rows}": passed.rate for passed in found},
        **{f"rows_per_cpu_second.{passed.rows}": passed.cpu_rate for passed in found},
        **{f"peak_rss_bytes.{passed.rows}": passed.peak_rss_bytes for passed in found},
        **{f"counterfactuals.{passed.rows}": passed.counterfactuals for passed in found},
        "slowest_to_fastest": min(rates) / max(rates),
    }


def record(problems: int, store: Store) -> list[Recorded]:
    """Let the bundled models answer and score playground problems.

    Raises:
        LeafError: too few problems: none entered detection.
    """
    # Here alone are models needed; the processes that are measured load none.
    from leaf.pipeline.stages import Pipeline
    from leaf.recipe.reading import load_recipe

    recipe = load_recipe("demo", [f"data.world.size={problems}", "attribute.controls=[]"])
    pipeline = Pipeline(recipe, store)
    results = pipeline.run(until="attribute", after_stage=lambda: None)
    found = {item.id: item for item in results.problems or ()}
    recorded = [
        Recorded(problem=found[item.problem_id], attribution=item)
        for item in results.attributions or ()
        if not item.skipped
    ]
    if not recorded:
        raise LeafError(f"none of {problems} problems entered detection; try more --problems")
    return recorded


def send(recorded: Sequence[Recorded], count: int, folder: Path) -> Passed:
    """Copy attributions until there are `count`, then prune them; both streamed over shards."""
    store = Store(folder)
    key = stage_key("recorded", 1, {"count": count}, [])
    copy = Copying(recorded=recorded, about=About(asked=f"copying to {count}"))
    store.stream(copy, key, shards(range(count)), total=count, shard_size=SHARD)
    begun, worked = time.monotonic(), time.process_time()
    made = prune_all(store, store.folder("recorded", key), count)
    return Passed(
        rows=count,
        counterfactuals=made,
        seconds=time.monotonic() - begun,
        cpu_seconds=time.process_time() - worked,
        peak_rss_bytes=peak_rss_bytes(),
    )


def prune_all(store: Store, source: Path, count: int) -> int:
    """Prune the recorded attributions of a folder; return how many changed questions there are."""
    content = digest_of(plain(item) for item in stream_records(source, Recorded))
    work = CutWorker(about=About(detector=DETECTOR.name), decided_by={}, cut=prune_shard)
    key = stage_key("counterfactuals", 1, PRUNE.model_dump(), [content])
    given = shards(stream_records(source, Recorded))
    made, _ = store.stream(work, key, given, total=count, shard_size=SHARD)
    return sum(1 for _ in made)


@dataclass(frozen=True, kw_only=True)
class Copying(Work[int, Recorded]):
    """Copies of recorded attributions, by their numbers."""

    kind = "recorded"
    record = Recorded
    unit = "attributions"

    about: About
    recorded: Sequence[Recorded]

    @property
    def title(self) -> str:
        """How many."""
        return self.about.asked

    def settings(self, items: Sequence[int]) -> dict[str, Any]:
        """Return nothing: the caller names them."""
        return {}

    def inputs(self, items: Sequence[int]) -> list[str]:
        """Return nothing: the caller names them."""
        return []

    def open(self, tick: Ticker) -> AbstractContextManager[Worker[int, Recorded]]:
        """Nothing needs to be loaded."""
        return nullcontext(lambda part: [copied(self.recorded, number) for number in part])


def prune_shard(part: Sequence[Recorded]) -> list[Counterfactual]:
    """Cut one shard's questions as a run does."""
    return [
        counterfactual
        for item in part
        for counterfactual in cut_question(
            DETECTOR, item.problem, evidence_of(item.problem, item.attribution), PRUNE
        )
    ]


def copied(recorded: Sequence[Recorded], number: int) -> Recorded:
    """Return the attribution at `number`, round and round, under an id of its own."""
    item = recorded[number % len(recorded)]
    name = f"{item.problem.id}-{number}"
    return Recorded(
        problem=dataclasses.replace(item.problem, id=name),
        attribution=dataclasses.replace(item.attribution, problem_id=name),
    )


def shards(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield items, `SHARD` at a time."""
    rest = iter(items)
    while part := list(islice(rest, SHARD)):
        yield part


def peak_rss_bytes() -> int:
    """Return the largest resident memory that this process ever had."""
    # Linux: getrusage would count what the parent had when it started this process.
    status = Path("/proc/self/status")
    if status.is_file():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].removesuffix("kB")) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _counts(sizes: str) -> list[int]:
    try:
        counts = [int(word) for word in sizes.split(",")]
    except ValueError:
        raise UsageError(f"--sizes {sizes}: must be whole numbers, as in 1000,10000") from None
    if min(counts) < 1:
        raise UsageError(f"--sizes {sizes}: each must be at least 1")
    return counts


def _print(found: Sequence[Passed]) -> None:
    rows = table(
        "attributions", "counterfactuals", "seconds", "a second", "a CPU second", "peak memory"
    )
    for passed in found:
        memory = f"{passed.peak_rss_bytes / 2**20:.0f} MiB"
        counts = (str(passed.rows), str(passed.counterfactuals))
        rates = (f"{passed.rate:.0f}", f"{passed.cpu_rate:.0f}")
        rows.add_row(*counts, f"{passed.seconds:.1f}", *rates, memory)
    out_console.print(rows)


if __name__ == "__main__":
    start(app)
