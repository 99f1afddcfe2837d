"""The causal ledger: what stage 1 found out about each problem, in Parquet.

A row is an `Entry`: a problem, or the beginning of its response (response level). docs/ledger.md
describes the columns for readers of other languages. Written at the end of verification from
records alone, so that a resumed run writes the same bytes.
"""

import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leaf.errors import StoreError, UsageError
from leaf.records import (
    Answer,
    Attribution,
    Counterfactual,
    NormalisedScores,
    Outcome,
    Problem,
    Score,
    Span,
    Verdict,
)
from leaf.store.parquet import from_table, schema_of, to_table
from leaf.store.store import space_guard

Graded = tuple[Sequence[Answer], Sequence[Score]]
"""Answers and their scores, in the same order."""

Cuts = Mapping[str, tuple[Sequence[Counterfactual], Sequence[Verdict]]]
"""Detector to what it led to, verdicts for those that were tried."""

FORMAT = "2"
"""Stands in the file's metadata under `leaf.ledger`; raised when a column changes its meaning."""

_KEY = b"leaf.ledger"
_ROWS = 256
"""Entries that are in memory at a time, and in a row group."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a model answered to one prompt, and what its grader said."""

    text: str
    outcome: Outcome


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
class Variant:
    """A changed question, or a span that was refused, and what came of it."""

    id: str
    """Unique among the variants of one detector."""
    detector: str
    """Who ranked the units: the recipe's own detector or a control."""
    strategy: str
    """`span`, `collective`, `transplant` or `substitute`."""
    spans: tuple[Span, ...]
    """What was taken out, in text order; of an insertion one empty span."""
    question: str
    """The question after the change; as it was where nothing was tried."""
    inserted: str
    """What came in its place, else ""."""
    donor: str
    """The variant that a transplant's text came from, else ""."""
    student: Said | None
    """None where the variant was not tried."""
    teacher: Said | None
    """None where the teacher was not asked."""
    kept: bool
    """Whether it passed verification."""
    reason: str
    """`kept`, why verification let it go, or why it was not tried."""


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
    """False for a problem that only took a transplant: the student had solved it."""
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
    student: Said
    """The student's answer to the whole question."""
    teacher: Said
    """The teacher's answer to the whole question."""
    student_loss: float | None
    """Mean cross-entropy of the reference, nats per token; None where it was not scored."""
    teacher_loss: float | None
    units: tuple[Unit, ...]
    """In text order; empty where it was not scored."""
    skipped: str | None
    """Why it was not scored, else None."""
    variants: tuple[Variant, ...]

    @property
    def spans(self) -> tuple[Span, ...]:
        """Return the span at each different place that a variant names, in text order."""
        spans = [span for variant in self.variants for span in variant.spans if span.text]
        found = {(span.start, span.end): span for span in reversed(spans)}
        return tuple(found[place] for place in sorted(found))

    def tried(self, detector: str) -> list[Variant]:
        """Return the variants of a detector that models were asked about."""
        return [item for item in self.variants if item.detector == detector and item.student]


def entries(
    *,
    problems: Sequence[Problem],
    student: Graded,
    teacher: Graded,
    attributions: Sequence[Attribution],
    focus: Sequence[NormalisedScores],
    cuts: Cuts,
    segments: Mapping[str, Sequence[Problem]] | None = None,
) -> Iterator[Entry]:
    """Yield an entry for each problem that entered detection or took a transplant, in order.

    `segments` maps a problem to its response-level problems, whose entries follow its own.
    """
    said = tuple(
        {
            answer.problem_id: Said(text=answer.text, outcome=score.outcome)
            for answer, score in zip(*graded, strict=True)
        }
        for graded in (student, teacher)
    )
    scored = {item.problem_id: item for item in attributions}
    ranked = {item.problem_id: item for item in focus}
    variants = _variants(cuts)
    rows = (
        (problem, origin.id)
        for origin in problems
        for problem in (origin, *(segments or {}).get(origin.id, ()))
    )
    for problem, origin_id in rows:
        attribution = scored.get(problem.id)
        if attribution is None and problem.id not in variants:
            continue
        units = _units(problem, attribution, ranked.get(problem.id)) if attribution else ()
        losses = None
        if attribution and not attribution.skipped:
            losses = attribution.student_loss, attribution.teacher_loss
        yield Entry(
            problem_id=problem.id,
            level=problem.level,
            entered=attribution is not None,
            prompt=problem.prompt,
            before=problem.before,
            question=problem.question,
            after=problem.after,
            answer=problem.answer,
            reference=attribution.reference if attribution else "",
            student=said[0][origin_id],
            teacher=said[1][origin_id],
            student_loss=losses[0] if losses else None,
            teacher_loss=losses[1] if losses else None,
            units=units,
            skipped=attribution.skipped if attribution else None,
            variants=tuple(variants.get(problem.id, ())),
        )


def write_ledger(path: Path, found: Iterable[Entry]) -> None:
    """Write entries, whole or not at all; only some of them are in memory at a time.

    Raises:
        StoreError: no space is left.
    """
    schema = schema_of(Entry).with_metadata({_KEY: FORMAT.encode()})
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    rows = iter(found)
    try:
        with space_guard(path):
            with aside.open("wb") as file:
                with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                    while part := list(itertools.islice(rows, _ROWS)):
                        writer.write_table(to_table(part, Entry).cast(schema))
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def read_ledger(path: Path | str, problem_id: str | None = None) -> list[Entry]:
    """Read a ledger, or the entry of one problem alone (an empty list where there is none).

    Raises:
        UsageError: there is no such file, or another version of leaf wrote it.
        StoreError: the file is damaged.
    """
    return list(iterate_ledger(Path(path), problem_id))


def iterate_ledger(path: Path, problem_id: str | None = None) -> Iterator[Entry]:
    """Yield what `read_ledger` returns, row group by row group; raises as it does."""
    if not path.is_file():
        raise UsageError(f"{path}: not there; `leaf run` writes it when verification is done")
    try:
        with pq.ParquetFile(path) as file:
            written = (file.schema_arrow.metadata or {}).get(_KEY, b"none").decode()
            if written != FORMAT:
                raise UsageError(
                    f"{path}: is a ledger of format {written}, but this version of leaf reads "
                    f"format {FORMAT}; `leaf run` with the recipe.yaml beside it writes it again"
                )
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                if problem_id is not None:
                    table = table.filter(pc.field("problem_id") == problem_id)
                yield from from_table(table, Entry)
    # A text that is not UTF-8, or a row that is no entry, is a ValueError.
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StoreError(
            f"{path}: damaged; delete it, and `leaf run` with the recipe.yaml beside it writes it "
            "again"
        ) from error


def _units(
    problem: Problem, scored: Attribution, ranked: NormalisedScores | None
) -> tuple[Unit, ...]:
    nothing: Sequence[float | None] = (None,) * len(scored.starts)
    normalised = (ranked.teacher, ranked.student, ranked.gap) if ranked else (nothing,) * 3
    return tuple(
        Unit(
            start=start,
            end=end,
            text=problem.question[start:end],
            teacher_raw=teacher_raw,
            student_raw=student_raw,
            teacher=teacher,
            student=student,
            gap=gap,
        )
        for start, end, teacher_raw, student_raw, teacher, student, gap in zip(
            scored.starts, scored.ends, scored.teacher, scored.student, *normalised, strict=True
        )
    )


def _variants(cuts: Cuts) -> dict[str, list[Variant]]:
    """Return every variant by problem: the recipe's detector first, in the order made."""
    found: dict[str, list[Variant]] = {}
    for detector, (counterfactuals, verdicts) in cuts.items():
        judged = {verdict.counterfactual_id: verdict for verdict in verdicts}
        for item in counterfactuals:
            verdict = None if item.skipped else judged[item.id]
            found.setdefault(item.problem_id, []).append(_variant(detector, item, verdict))
    return found


def _variant(detector: str, item: Counterfactual, verdict: Verdict | None) -> Variant:
    student = teacher = None
    if verdict:
        student = Said(text=verdict.student_text, outcome=verdict.student)
        if verdict.teacher is not None:
            teacher = Said(text=verdict.teacher_text or "", outcome=verdict.teacher)
    return Variant(
        id=item.id,
        detector=detector,
        strategy=item.strategy,
        spans=item.spans,
        question=item.question,
        inserted=item.inserted,
        donor=item.donor,
        student=student,
        teacher=teacher,
        kept=verdict is not None and verdict.kept,
        reason=verdict.reason if verdict else item.skipped or "",
    )
