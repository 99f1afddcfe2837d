"""Every record comes back from Parquet as it went in."""

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from leaf import records
from leaf.records import (
    Answer,
    Attribution,
    Case,
    Counterfactual,
    Distractor,
    Drop,
    Measure,
    NormalisedScores,
    Outcome,
    Problem,
    Protected,
    RankedUnit,
    RankedUnits,
    Score,
    Sensitivity,
    Span,
    Tests,
    Turn,
    Verdict,
)
from leaf.store.parquet import from_table, schema_of, to_table

TEXT = '∠ABC 👩‍👩‍👧 cafe\u0301 东京 "quoted"\r\n\t\x00 '

SPAN = Span(start=3, end=7, text=TEXT, gap=0.1, units=2)

SKIPPED: dict[str, Any] = {"problem_id": "p1", "starts": (), "ends": ()}
SCORED: dict[str, Any] = {"problem_id": "p2", "starts": (0, 3), "ends": (3, 2**40)}

EXAMPLES: dict[type, list[Any]] = {
    Problem: [
        Problem(id="", question="", answer="", solution=""),
        Problem(
            id="a/1",
            question=TEXT,
            answer="1/3",
            solution=TEXT,
            before=" ",
            after="\n",
            grader="math",
            protected=(Protected(what="entry point", start=0, end=2),),
            golds=("1/3", ""),
            tolerance=0.5,
            base="a/0",
            sample=2,
            turns=(Turn(role="system", text=""), Turn(role="user", text=TEXT)),
            tests=Tests(
                entry_point="f",
                program=TEXT,
                cases=(Case(given=TEXT, expected=""), Case(given="", expected="1")),
            ),
        ),
    ],
    Turn: [Turn(role="user", text=TEXT)],
    Case: [Case(given=TEXT, expected="")],
    Tests: [Tests(), Tests(entry_point="f", preamble=TEXT, program="", helpers=TEXT)],
    Measure: [Measure(name="F1", value=0.25)],
    Answer: [
        Answer(problem_id="p", text=TEXT, prompt_tokens=9, response_tokens=0, truncated=True),
        Answer(
            problem_id="p",
            text="",
            prompt_tokens=2**33,
            response_tokens=0,
            truncated=False,
            failure=TEXT,
        ),
    ],
    Score: [
        Score(problem_id="p", outcome=Outcome.RIGHT, extracted="∠", reason=None),
        Score(problem_id="p", outcome=Outcome.WRONG, extracted="", reason=None),
        Score(problem_id="p", outcome=Outcome.UNGRADABLE, extracted=None, reason="no number"),
    ],
    Sensitivity: [
        Sensitivity(**SKIPPED, scores=(), loss=0.0, skipped="no reference response"),
        Sensitivity(**SCORED, scores=(1e-300, 0.1), loss=0.1 + 0.2),
    ],
    Attribution: [
        Attribution(
            **SKIPPED,
            reference="",
            teacher=(),
            student=(),
            teacher_loss=0.0,
            student_loss=0.0,
            skipped=TEXT,
        ),
        Attribution(
            **SCORED,
            reference=TEXT,
            teacher=(0.1, 2.0),
            student=(0.0, 1e9),
            teacher_loss=0.25,
            student_loss=1 / 3,
        ),
    ],
    NormalisedScores: [
        NormalisedScores(**SKIPPED, teacher=(), student=(), gap=()),
        NormalisedScores(**SCORED, teacher=(0.0, 1.0), student=(1.0, 0.0), gap=(1 / 3, 0.0)),
    ],
    Span: [SPAN],
    Protected: [Protected(what=TEXT, start=0, end=4)],
    Distractor: [Distractor(kind="cue", start=0, end=4)],
    Counterfactual: [
        Counterfactual(
            id="p/none", problem_id="p", strategy="span", spans=(), question="", skipped="why"
        ),
        Counterfactual(
            id="p/cf0", problem_id="p", strategy="collective", spans=(SPAN, SPAN), question=TEXT
        ),
        Counterfactual(
            id="p/tp0",
            problem_id="p",
            strategy="transplant",
            spans=(SPAN,),
            question=TEXT,
            inserted=TEXT,
            donor="q/cf1",
        ),
    ],
    Verdict: [
        Verdict(
            counterfactual_id="p/cf0",
            problem_id="p",
            student=Outcome.UNGRADABLE,
            teacher=None,
            student_text="",
            teacher_text=None,
            kept=False,
            reason="student ungradable",
        ),
        Verdict(
            counterfactual_id="p/cf1",
            problem_id="p",
            student=Outcome.RIGHT,
            teacher=Outcome.RIGHT,
            student_text=TEXT,
            teacher_text="",
            kept=True,
            reason="kept",
        ),
    ],
    RankedUnit: [RankedUnit(start=0, end=3, score=0.25)],
    RankedUnits: [
        RankedUnits(problem_id=TEXT, starts=(0, 4), ends=(3, 9), rank_score=(0.0, 1.0), count=1),
        RankedUnits(problem_id="p", starts=(), ends=(), rank_score=()),
    ],
    Drop: [Drop(stage="detect", problem_id="p", reason=TEXT)],
}


def test_every_record_class_has_examples_here() -> None:
    classes = [part for _, part in inspect.getmembers(records, dataclasses.is_dataclass)]
    assert set(classes) == set(EXAMPLES)


@pytest.mark.parametrize("record_type", EXAMPLES)
def test_records_come_back_from_parquet_as_they_went_in(record_type: type, tmp_path: Path) -> None:
    examples = EXAMPLES[record_type]
    pq.write_table(to_table(examples, record_type), tmp_path / "part.parquet")
    table = pq.read_table(tmp_path / "part.parquet")
    assert table.schema.equals(schema_of(record_type))
    assert from_table(table, record_type) == examples


@pytest.mark.parametrize("record_type", EXAMPLES)
def test_no_records_are_a_table_with_all_columns(record_type: type, tmp_path: Path) -> None:
    pq.write_table(to_table([], record_type), tmp_path / "part.parquet")
    table = pq.read_table(tmp_path / "part.parquet")
    assert table.column_names == [field.name for field in dataclasses.fields(record_type)]
    assert from_table(table, record_type) == []


def test_a_schema_says_what_may_be_missing_and_what_lies_in_a_list() -> None:
    assert schema_of(Verdict).field("teacher") == pa.field("teacher", pa.string(), nullable=True)
    assert not schema_of(Verdict).field("reason").nullable
    scores = schema_of(Sensitivity).field("scores").type
    assert scores.value_type == pa.float64()
    spans = schema_of(Counterfactual).field("spans").type.value_type
    assert [spans.field(at).name for at in range(spans.num_fields)] == [
        "start",
        "end",
        "text",
        "gap",
        "units",
    ]


@pytest.mark.parametrize(
    ("column", "value"), [("outcome", "maybe"), ("outcome", None), ("problem_id", None)]
)
def test_a_row_that_does_not_fit_its_class_is_refused(column: str, value: str | None) -> None:
    row = {"problem_id": "p", "outcome": "right", "extracted": None, "reason": None, column: value}
    loose = pa.schema([pa.field(name, pa.string()) for name in row])
    with pytest.raises(ValidationError, match=column):
        from_table(pa.Table.from_pylist([row], schema=loose), Score)


@settings(max_examples=50, deadline=None)
@given(
    texts=st.lists(st.text(), max_size=3),
    numbers=st.lists(st.floats(allow_nan=False), max_size=4),
)
def test_any_text_and_any_number_survive(texts: list[str], numbers: list[float]) -> None:
    pieces = tuple(Span(start=0, end=1, text=text, gap=0.5, units=1) for text in texts)
    cut = Counterfactual(
        id="".join(texts), problem_id="p", strategy="span", spans=pieces, question="".join(texts)
    )
    scored = Sensitivity(problem_id="p", starts=(), ends=(), scores=tuple(numbers), loss=0.0)
    assert from_table(to_table([cut], Counterfactual), Counterfactual) == [cut]
    assert from_table(to_table([scored], Sensitivity), Sensitivity) == [scored]
