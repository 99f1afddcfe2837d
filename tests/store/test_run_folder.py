"""What a run folder keeps comes back as it was, or is refused in one line."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from leaf.errors import UsageError
from leaf.store.run_folder import MARK, QuestionValue, TrainingRow, read_records, write_records

VALUE = QuestionValue(
    benchmark="own F1", arm="kd", problem_id="t-1", question="0f", base="t-b", value=0.1
)


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    found = [VALUE, replace(VALUE, problem_id="é😀", base="", value=1 / 3)]
    write_records(tmp_path / "v.parquet", found, QuestionValue)
    assert read_records(tmp_path / "v.parquet", QuestionValue, "") == found


def test_no_record_at_all_comes_back_as_none(tmp_path: Path) -> None:
    write_records(tmp_path / "r.parquet", [], TrainingRow)
    assert read_records(tmp_path / "r.parquet", TrainingRow, "") == []


def test_a_missing_file_says_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"v\.parquet: not there; do this$"):
        read_records(tmp_path / "v.parquet", QuestionValue, "do this")


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    write_records(path, [VALUE], QuestionValue)
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({b"leaf.file": b"0"}), path)
    with pytest.raises(
        UsageError, match=f"has format 0, but this version of leaf reads {MARK[1]}; do this"
    ):
        read_records(path, QuestionValue, "do this")
    pq.write_table(table.replace_schema_metadata(None), path)
    with pytest.raises(UsageError, match="has format none"):
        read_records(path, QuestionValue, "do this")
