"""Rows come with the place that an error about them must name."""

import gzip
import json
import os
import subprocess
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leaf.errors import DataError
from leaf.tasks.reading import Row, optional_text_of, read_rows, text_of

RECORDS = [{"question": "1+1?", "answer": "2"}, {"question": "2+2?", "answer": "4"}]


def read(path: Path | str) -> list[Row]:
    """Read rows of which none may be bad."""
    rows = []
    for row in read_rows(str(path), name=None, split="train"):
        if isinstance(row, DataError):
            raise row
        rows.append(row)
    return rows


def error_of(path: Path | str) -> str:
    with pytest.raises(DataError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_three_file_kinds_give_the_same_records(tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(r) + "\n" for r in RECORDS))
    (tmp_path / "own.json").write_text(json.dumps(RECORDS))
    pq.write_table(pa.Table.from_pylist(RECORDS), tmp_path / "own.parquet")
    for kind in ("jsonl", "json", "parquet"):
        rows = read(tmp_path / f"own.{kind}")
        assert [row.values for row in rows] == RECORDS
        assert [row.name for row in rows] == ["own-1", "own-2"]


@pytest.mark.parametrize("bad", [b"{\n", b'{"question": "\xff"}\n', b"5\n"])
def test_a_bad_line_stands_as_its_error_and_the_rest_is_read(tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "own.jsonl"
    path.write_bytes(b'{"question": "1+1?"}\n' + bad + b'{"question": "2+2?"}\n')
    first, error, last = read_rows(str(path), name=None, split="train")
    assert isinstance(first, Row) and isinstance(last, Row)
    assert isinstance(error, DataError) and str(error).startswith(f"{path}:2: ")
    assert last.name == "own-3"


def test_a_gzip_file_is_read_as_what_it_holds(tmp_path: Path) -> None:
    lines = "".join(json.dumps(r) + "\n" for r in RECORDS).encode()
    (tmp_path / "own.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "own.json.gz").write_bytes(gzip.compress(json.dumps(RECORDS).encode()))
    for kind in ("jsonl.gz", "json.gz"):
        rows = read(tmp_path / f"own.{kind}")
        assert [row.values for row in rows] == RECORDS
        assert [row.name for row in rows] == ["own-1", "own-2"]


@pytest.mark.parametrize("data", [b"plain", gzip.compress(b"{}" * 99)[:-12]], ids=["plain", "cut"])
def test_a_gzip_file_that_is_none_or_cut_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "own.jsonl.gz"
    path.write_bytes(data)
    assert error_of(path).startswith(f"{path}: not a whole gzip file: ")


def test_a_jsonl_row_is_named_by_its_line_even_after_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2}\n')
    assert [row.place for row in read(path)] == [f"{path}:1", f"{path}:3"]
    assert [row.name for row in read(path)] == ["own-1", "own-3"]


def test_a_line_separator_inside_a_text_does_not_split_the_record(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"a": "one\u2028two"}\n', encoding="utf-8")
    assert [row.values for row in read(path)] == [{"a": "one\u2028two"}]


def test_decimals_keep_the_digits_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"a": 0.12345678901234567890, "b": 12345678901234567890123}\n')
    (row,) = read(path)
    assert text_of(row, "a") == "0.12345678901234567890"
    assert text_of(row, "b") == "12345678901234567890123"


def test_a_line_that_is_not_json_is_named_by_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"a": 1}\n{"a": }\n')
    assert error_of(path).startswith(f"{path}:2: not JSON: ")


def test_bytes_that_are_not_utf8_are_named_by_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": "\xff"}\n')
    assert error_of(path).startswith(f"{path}:2: not UTF-8")


@pytest.mark.parametrize("name", ["own.csv", "own.jsonl"])
def test_utf_16_and_32_are_read_where_they_say_so_and_else_refused(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    text = 'a\n"1"\n"2"\n' if name == "own.csv" else '{"a": "1"}\n{"a": "2"}\n'
    for encoding in ("utf-16", "utf-32"):
        path.write_bytes(text.encode(encoding))
        assert [row.values for row in read(path)] == [{"a": "1"}, {"a": "2"}]
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        path.write_bytes(text.encode(encoding))
        said = error_of(path)
        assert said.startswith(f"{path}: looks like UTF-16 or UTF-32, and its first bytes do not")
        assert "data.encoding: utf-16-le" in said
        rows = read_rows(str(path), name=None, split="train", encoding=encoding)
        assert [row.values for row in rows if isinstance(row, Row)] == [{"a": "1"}, {"a": "2"}]


def test_lines_may_end_as_on_old_macs(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_bytes(b'{"a": 1}\r{"a": 2}\r')
    assert [(row.name, row.values) for row in read(path)] == [
        ("own-1", {"a": 1}),
        ("own-2", {"a": 2}),
    ]


def test_a_broken_json_file_is_named_by_the_line_of_the_fault(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text('[\n{"a": 1},\n{"a": }\n]')
    assert error_of(path).startswith(f"{path}:3: not JSON: ")


def test_json_nested_without_end_is_refused_and_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text("[" * 100_000)
    assert error_of(path).startswith(f"{path}:1: ")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("own.jsonl", b"", "holds no records"),
        ("own.jsonl", b"\n \n", "holds no records"),
        ("own.json", b"", "holds no records"),
        ("own.json", b"[]", "holds no records"),
        ("own.json", b'{"a": 1}', "must hold a list of records"),
        ("own.jsonl", b"5\n", "own.jsonl:1: a record must be an object, but is 5"),
        ("own.json", b'["x"]', "record 1: a record must be an object, but is 'x'"),
        ("own.parquet", b"no parquet", "not a Parquet file"),
        ("own.csv", b"a,b\n", "holds no records"),
        ("own.txt", b"a,b\n", "must end in .jsonl, .json, .csv, .tsv, .parquet"),
    ],
)
def test_a_file_without_readable_records_is_refused(
    tmp_path: Path, file: str, content: bytes, said: str
) -> None:
    (tmp_path / file).write_bytes(content)
    message = error_of(tmp_path / file)
    assert said in message
    assert file in message


@pytest.mark.parametrize("path", ["./none.jsonl", "none.parquet", "/none", "~/none/none.json"])
def test_what_looks_like_a_path_is_never_taken_for_a_hub_id(path: str) -> None:
    message = error_of(path)
    assert message.startswith(path)
    assert "no such data file" in message or "must end in" in message


def test_a_local_folder_is_read_as_a_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in RECORDS))
    rows = read(folder)
    assert [row.values for row in rows] == RECORDS
    assert [row.name for row in rows] == ["train-1", "train-2"]
    assert rows[1].place == f"{folder} train record 2"


def test_a_split_that_does_not_exist_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "train.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(DataError) as caught:
        read_rows(str(tmp_path), name=None, split="tset")
    assert str(caught.value).startswith(f'{tmp_path} tset: cannot be loaded: Unknown split "tset"')


def test_a_hub_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    script = (
        "from leaf.errors import DataError\n"
        "from leaf.tasks.reading import read_rows\n"
        "try:\n    read_rows('openai/gsm8k', name='main', split='train')\n"
        "except DataError as error:\n    print(error)\n"
    )
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=offline, capture_output=True, text=True, check=True
    )
    (line,) = done.stdout.splitlines()
    assert line.startswith("openai/gsm8k main/train: cannot be loaded: ")
    assert "give a local .jsonl, .json, .csv or .parquet file" in line


def test_a_missing_column_is_named_with_the_nearest_and_all_that_there_are() -> None:
    row = Row(place="own.jsonl:7", name="own-7", values={"question": "?", "answer": "4"})
    with pytest.raises(DataError) as caught:
        text_of(row, "answr")
    assert str(caught.value) == (
        "own.jsonl:7: no column `answr`; did you mean `answer`? this record has: question, answer"
    )


@pytest.mark.parametrize("empty", ["", "  \n", None])
def test_an_empty_column_is_refused_where_a_text_must_be(empty: str | None) -> None:
    row = Row(place="own.jsonl:7", name="own-7", values={"answer": empty})
    with pytest.raises(DataError, match=r"own\.jsonl:7: column `answer` is empty"):
        text_of(row, "answer")
    assert optional_text_of(row, "answer") == ""


@pytest.mark.parametrize("value", [["4", "5"], {"x": 1}, True])
def test_a_column_that_is_no_text_is_refused(value: object) -> None:
    row = Row(place="own.jsonl:7", name="own-7", values={"answer": value})
    with pytest.raises(DataError, match=r"own\.jsonl:7: column `answer` must hold a text or a num"):
        text_of(row, "answer")


def parquet_bytes(**options: Any) -> bytes:
    """A Parquet file of 500 records that differ, so that its pages are no repetition."""
    sink = pa.BufferOutputStream()
    records = [{"question": f"How many pens are {n}?", "answer": str(n)} for n in range(500)]
    pq.write_table(pa.Table.from_pylist(records), sink, **options)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("codec", ["snappy", "zstd", "none"])
@pytest.mark.parametrize("place", ["cut in the middle", "magic", "footer", "pages"])
def test_a_damaged_parquet_file_is_named_with_the_way_out(
    tmp_path: Path, codec: str, place: str
) -> None:
    whole = parquet_bytes(compression=codec)
    damaged = {
        "cut in the middle": whole[: len(whole) // 2],
        "magic": whole[:-4] + b"NOPE",
        "footer": whole[:-200] + b"\xff" * 192 + whole[-8:],
        "pages": whole[:40] + b"\xfe" * 1000 + whole[1040:],
    }[place]
    path = tmp_path / "own.parquet"
    path.write_bytes(damaged)
    message = error_of(path)
    assert message.startswith(f"{path}: not a Parquet file, or a damaged one: ")
    assert message.endswith("; fetch or write it again")


def test_a_parquet_file_without_a_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.parquet"
    pq.write_table(pa.Table.from_pylist(RECORDS).slice(0, 0), path)
    assert error_of(path) == f"{path}: holds no records"


@pytest.mark.parametrize("at", [0, 40])
def test_the_damaged_file_of_a_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "data"
    folder.mkdir()
    whole = parquet_bytes()
    (folder / "a.parquet").write_bytes(whole)
    (folder / "b.parquet").write_bytes(whole[:at] + b"\xfe" * 1000 + whole[at + 1000 :])
    assert error_of(folder).startswith(f"{folder}/b.parquet: not a Parquet file, or a damaged one")


# Values that are no texts.


def one(folder: Path, column: pa.Array) -> Row:
    path = folder / "own.parquet"
    pq.write_table(pa.table({"a": column}), path)
    (row,) = read(path)
    return row


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pa.array([0.1], pa.float32()), "0.1"),
        (pa.array([1e-05], pa.float64()), "1e-05"),
        (pa.array([1e-05], pa.float32()), "1e-05"),
        (pa.array([16777216.0], pa.float32()), "16777216"),
        (pa.array([18.0], pa.float64()), "18"),
        (pa.array([1e22], pa.float64()), "1e+22"),
        (pa.array([-0.5], pa.float16()), "-0.5"),
        (pa.array([Decimal("0.10")]), "0.10"),
        (pa.array([Decimal("1E-7")], pa.decimal128(20, 7)), "0.0000001"),
        (pa.array([date(2024, 8, 1)]), "2024-08-01"),
        (pa.array([datetime(2024, 8, 1, 12, 30)]), "2024-08-01T12:30:00"),
        (pa.array([datetime(2024, 8, 1)]), "2024-08-01"),
        (pa.array([2**63 - 1]), str(2**63 - 1)),
    ],
)
def test_a_value_is_the_shortest_text_that_reads_back(
    tmp_path: Path, column: pa.Array, text: str
) -> None:
    assert text_of(one(tmp_path, column), "a") == text


def test_short_floats_inside_lists_and_records_are_what_was_written(tmp_path: Path) -> None:
    kind = pa.struct([("x", pa.list_(pa.float32()))])
    row = one(tmp_path, pa.array([{"x": [0.1, None, 0.3]}], kind))
    assert row.values == {"a": {"x": [0.1, None, 0.3]}}


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_nan_is_missing_and_never_a_text(tmp_path: Path, kind: pa.DataType) -> None:
    row = one(tmp_path, pa.array([float("nan")], kind))
    with pytest.raises(DataError, match="column `a` is empty"):
        text_of(row, "a")
    assert optional_text_of(row, "a") == ""


@pytest.mark.parametrize("value", ["Infinity", "-Infinity"])
def test_an_infinity_is_named_by_its_line(tmp_path: Path, value: str) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(f'{{"a": 1}}\n{{"a": {value}}}\n')
    row = read(path)[1]
    with pytest.raises(DataError, match=r"own\.jsonl:2: column `a` must hold a text or a number"):
        text_of(row, "a")
    path.write_text('{"a": NaN}\n')
    with pytest.raises(DataError, match="column `a` is empty"):
        text_of(read(path)[0], "a")


@pytest.mark.parametrize(
    "text", [r'{"q": "a \ud83d b"}', r'{"q": ["x", {"y": "\udc00"}]}', r'{"q": 1, "\ud800": 2}']
)
def test_half_a_character_is_named_by_its_line_and_the_rest_is_read(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(f'{{"q": "a"}}\n{text}\n{{"q": "\\ud83d\\ude00"}}\n')
    first, error, last = read_rows(str(path), name=None, split="train")
    assert isinstance(error, DataError)
    assert str(error).startswith(f"{path}:2: column `") and "holds half of a character" in str(
        error
    )
    str(error).encode()
    assert (
        isinstance(first, Row) and isinstance(last, Row) and last.values["q"] == "\N{GRINNING FACE}"
    )
    (tmp_path / "own.json").write_text(f"[{text}, {{}}]")
    error, whole = read_rows(str(tmp_path / "own.json"), name=None, split="train")
    assert "own.json record 1: column `" in str(error) and isinstance(whole, Row)


def test_what_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leaf.tasks.reading.LARGEST", 100_000)
    path = tmp_path / "own.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": "' + b"x" * 200_000 + b'"}\n'))
    assert path.stat().st_size < 1000
    assert error_of(path).startswith(f"{path}: unpacks to over 100,000 bytes")
    monkeypatch.undo()
    monkeypatch.setattr("leaf.tasks.reading._PLENTY", 100_000)
    path.write_bytes(gzip.compress(b" " * 2_000_000))  # no text shrinks to a thousandth
    assert error_of(path).startswith(f"{path}: unpacks to over ")
    monkeypatch.setattr("leaf.tasks.reading.LARGEST", 100_000)
    path = tmp_path / "own.parquet"
    pq.write_table(pa.table({"a": ["x" * 1000] * 200}), path)
    assert path.stat().st_size < 10_000
    assert error_of(path).startswith(f"{path}: unpacks to over 100,000 bytes")
