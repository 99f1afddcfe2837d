"""The causal ledger: what stage 1 found out about each problem, in Parquet.

A row is an `Entry`: a problem, or the beginning of its response (response level). docs/ledger.md
describes the columns for readers of other languages. `leaf.store.results` makes entries of a run's
records alone, so that a resumed run writes the same bytes.
"""

import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from leaf.errors import check_type
from leaf.records import Outcome, RankedUnit, Span, Turn
from leaf.store.disk import space_guard, to_disk
from leaf.store.parquet import read_file, schema_of, to_table

_MARK = ("leaf.ledger", "3")
"""Stands in the file's metadata; raised when columns change."""

_OLDER = ("2",)
"""Formats that are read besides: in 2 there were no `rankings`, `source`, and less of an answer."""

_ROWS = 256
"""Entries that are in memory at a time, and in a row group."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a model answered to one prompt, and what its grader said."""

    text: str
    """What it wrote; "" with a `failure`."""
    outcome: Outcome
    extracted: str | None = None
    """The final answer that the grader found, or None; it is kept of whole questions only."""
    truncated: bool | None = None
    """Whether the token limit came before the end; None of a changed question."""
    failure: str | None = None
    """Why there is no answer, else None."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """A scored unit of the question: a token, or several that share a character."""

    start: int
    """First character in the question."""
    end: int
    """One past its last character in the question."""
    text: str
    teacher_raw: float
    """Teacher sensitivity (Eq. 2), >= 0."""
    student_raw: float
    """Student sensitivity (Eq. 2), >= 0."""
    teacher: float | None
    """Min-maxed over the question (Eq. 3), in [0, 1]; None where the question has no ranking."""
    student: float | None
    """As `teacher`, of the student."""
    gap: float | None
    """Min-maxed teacher - student (Eq. 4, 5), in [0, 1]; 0 is what only the student leans on."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """How a detector ranked the units of a question."""

    detector: str
    unit: str
    """`token`, `word`, `phrase`, `clause`, `sentence` or `paragraph`."""
    units: tuple[RankedUnit, ...]
    """In text order."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """What else was asked to tell whether a cut frees the student, or any cut would."""

    greedy: bool
    """Whether the models' greedy answers alone would keep the cut."""
    placebos: int
    """How many placebos were asked: pieces as large, elsewhere in the question."""
    freed: float | None
    """Mean share of right answers to them, in [0, 1]; None without one."""
    rate: float | None
    """Share of the student's sampled answers without the cut piece that are right, in [0, 1]; None
    where none were sampled."""
    before: float | None
    """The same of the whole question."""
    why_few: str
    """Why there are fewer placebos than asked for, else ""."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """A changed question, or a span that was refused, and what came of it."""

    id: str
    """Unique among the variants of one detector."""
    detector: str
    """Who ranked the units: the recipe's own detector or a control."""
    strategy: str
    """`span`, `collective`, `transplant`, `substitute`, `inject` or `placebo`."""
    spans: tuple[Span, ...]
    """What was taken out, in text order; of an insertion one empty span."""
    question: str
    """The question after the change; as it was where nothing was tried."""
    inserted: str
    """What came in its place, else ""."""
    donor: str
    """Where a text that was put in came from: a variant, a problem or a template; of a placebo the
    variant that it is held against; else ""."""
    student: Said | None
    """None where the variant was refused or is not judged yet, or the student was not asked."""
    teacher: Said | None
    """None where the teacher was not asked."""
    kept: bool
    """Whether it passed verification."""
    reason: str
    """`kept`, why verification let it go, or why it was refused; "" where it is not judged yet."""
    control: Control | None = None
    """How a cut was controlled; None where it was not."""

    @property
    def kind(self) -> str:
        """What it is: `refused`, `transplant`, `injection`, `placebo` or `removal` (or filler)."""
        if self.strategy == "inject" and self.inserted:
            return "injection"
        if self.student is None and self.reason:
            return "refused"
        return self.strategy if self.strategy in ("transplant", "placebo") else "removal"

    @property
    def pending(self) -> bool:
        """Whether it waits for verification; never in a ledger, which is written after that."""
        return self.student is None and not self.reason


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One problem of stage 1, or the beginning of its response.

    At response level the question is the segment that was scored and cut.
    """

    problem_id: str
    """Unique; of a response `<id of its problem>/r<number>`."""
    level: str
    """`instruction` or `response`."""
    entered: bool
    """False for a problem that only took a transplant or an injection."""
    prompt: str
    """The whole user's message at response level; "" at instruction level."""
    before: str
    """Text of the user's message (at response level of the response) before the question."""
    question: str
    after: str
    """Text of the user's message after the question."""
    answer: str
    """The gold final answer."""
    reference: str
    """The response whose loss was differentiated, at response level the rest of it; "" without."""
    student: Said | None
    """The student's answer to the whole question; None where it was not asked."""
    teacher: Said | None
    """The teacher's answer to the whole question; None where it was not asked."""
    student_loss: float | None
    """Mean cross-entropy of the reference, nats per token; None where it was not scored."""
    teacher_loss: float | None
    units: tuple[Unit, ...]
    """In text order; empty where it was not scored."""
    skipped: str | None
    """Why it was not scored, else None."""
    variants: tuple[Variant, ...]
    """The recipe's own detector's first, in the order made."""
    rankings: tuple[Ranking, ...] = ()
    """What each detector ranked, the recipe's own first; one for each of `prune.units`."""
    source: str = ""
    """The part of the data set that it comes from, as the data name it, else ""."""
    turns: tuple[Turn, ...] = ()
    """The conversation before the user's message."""

    def __repr__(self) -> str:
        tried = [item for item in self.variants if item.student and item.kind != "placebo"]
        kept = sum(variant.kept for variant in tried)
        return (
            f"Entry({self.problem_id}: student {_outcome(self.student)}, teacher "
            f"{_outcome(self.teacher)}, {kept} of {len(tried)} changed questions kept)"
        )

    @property
    def origin(self) -> str:
        """The id of the problem that was asked: its own, or that whose response it begins."""
        return self.problem_id.rpartition("/r")[0] if self.prompt else self.problem_id

    @property
    def spans(self) -> tuple[Span, ...]:
        """Return the span at each different place that a variant names, in text order."""
        cuts = (variant for variant in self.variants if variant.kind != "placebo")
        spans = [span for variant in cuts for span in variant.spans if span.text]
        found = {(span.start, span.end): span for span in reversed(spans)}
        return tuple(found[place] for place in sorted(found))

    def made(self, detector: str, kind: str) -> list[Variant]:
        """Return the variants of a detector that are of one `Variant.kind`, in the order made."""
        return [item for item in self.variants if (item.detector, item.kind) == (detector, kind)]

    def put_in(self, detector: str) -> list[Variant]:
        """Return what was put into the question by a detector: transplants and injections."""
        return self.made(detector, "transplant") + self.made(detector, "injection")

    def tried(self, detector: str) -> list[Variant]:
        """Return the changed questions of a detector: what was refused is none, nor a placebo."""
        return [
            item
            for item in self.variants
            if item.detector == detector
            and (item.student or item.kind == "injection")
            and item.kind != "placebo"
        ]


def _outcome(said: Said | None) -> str:
    return said.outcome.value if said else "not asked"


def write_ledger(path: Path, found: Iterable[Entry]) -> None:
    """Write entries, whole or not at all; only some of them are in memory at a time.

    Raises:
        StoreError: no space is left.
    """
    schema = schema_of(Entry).with_metadata(dict([_MARK]))
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    rows = iter(found)
    try:
        with space_guard(path):
            with aside.open("wb") as file:
                with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                    while part := list(itertools.islice(rows, _ROWS)):
                        writer.write_table(to_table(part, Entry).cast(schema))
                file.flush()
                to_disk(file)
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def read_ledger(path: Path | str, problem_id: str | None = None) -> list[Entry]:
    """Read a ledger, or the entry of one problem alone (an empty list where there is none).

    Args:
        path: The ledger.parquet of a run folder.
        problem_id: The problem; None: all.

    Returns:
        An entry a problem, in the order of the data.

    Raises:
        UsageError: there is no such file, or another version of leaf wrote it.
        StoreError: the file is damaged.

    Example:
        >>> entries = leaf.read_ledger("runs/demo/ledger.parquet")
        >>> [variant.question for variant in entries[0].variants]
        ['Ada has 3 pens. How many pens does Ada have?']
    """
    check_type("path", path, (str, Path), "that of a ledger.parquet")
    return list(iterate_ledger(Path(path), problem_id))


def iterate_ledger(path: Path, problem_id: str | None = None) -> Iterator[Entry]:
    """Yield what `read_ledger` returns, row group by row group; raises as it does."""
    yield from read_file(
        path,
        Entry,
        mark=_MARK,
        older=_OLDER,
        way_out="`leaf run` with its recipe writes it when verification is done",
        where=None if problem_id is None else pc.field("problem_id") == problem_id,
    )
