"""CSV and TSV: what spreadsheets write is read, what is broken is named with its line."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaf.errors import DataError
from leaf.recipe import DataSection
from leaf.tasks import load_problems, read_problems
from leaf.tasks.delimited import delimited
from leaf.tasks.reading import Row, read_rows


def write(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def rows(path: str, encoding: str | None = None) -> list[Row]:
    found = read_rows(path, name=None, split="train", encoding=encoding)
    return [row for row in found if isinstance(row, Row)]


def faults(path: Path, content: str | bytes) -> list[str]:
    found = read_rows(write(path, content), name=None, split="train")
    return [str(one) for one in found if isinstance(one, DataError)]


def test_a_csv_file_is_a_table_whose_answers_are_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "sums.csv", "question,answer\nWhat is 2 + 3?,5\n\nAdd 4 and 5.,9\n")
    problems = load_problems(DataSection(task="table", path=path))
    assert [(p.id, p.question, p.answer) for p in problems] == [
        ("sums-2", "What is 2 + 3?", "5"),
        ("sums-4", "Add 4 and 5.", "9"),
    ]


def test_a_text_in_quotes_may_hold_commas_lines_and_quotes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'question,answer\r\n"Say ""hi"",\r\nthen 2",2\r\nNext?,3\r\n')
    first, second = rows(path)
    assert first.values == {"question": 'Say "hi",\r\nthen 2', "answer": "2"}
    assert (first.place, second.place) == (f"{path}:2", f"{path}:4")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", b"question\tanswer\nHow much, all in all?\t5\n"),
        ("a.csv", b"question;answer\nHow much, all in all?;5\n"),
        ("a.csv", '\ufeffquestion,answer\n"How much, all in all?",5\n'.encode()),
        ("a.tsv", "question\tanswer\nHow much, all in all?\t5\n".encode("utf-16")),
        ("a.csv", b'question,answer,\n"How much, all in all?",5,\n'),
        ("a.csv", b"sep=|\r\nquestion|answer\r\nHow much, all in all?|5\r\n"),
    ],
)
def test_what_spreadsheets_write_is_read(tmp_path: Path, name: str, content: bytes) -> None:
    (row,) = rows(write(tmp_path / name, content))
    assert row.values == {"question": "How much, all in all?", "answer": "5"}


def test_another_encoding_is_named_and_read_when_the_recipe_says_so(tmp_path: Path) -> None:
    content = "question,answer\nUn?,1\nCombien coûte le café?,3\n".encode("cp1252")
    path = write(tmp_path / "fr.csv", content)
    with pytest.raises(DataError) as caught:
        rows(path)
    assert str(caught.value).startswith(f"{path}:3: not UTF-8: ")
    assert "data.encoding" in str(caught.value)
    section = DataSection(task="table", path=path, encoding="cp1252")
    assert load_problems(section)[1].question == "Combien coûte le café?"
    with pytest.raises(DataError, match=r"data.encoding: 'cp12' is no encoding"):
        load_problems(section.model_copy(update={"encoding": "cp12"}))
    with pytest.raises(DataError, match=r"fr.csv:3: not ascii"):
        load_problems(section.model_copy(update={"encoding": "ascii"}))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            'question,answer\nOne?,1\n"Two?,2\nThree?,3\n',
            "{}:3: a quote is opened and never closed (up to line 4); close it, or write it twice "
            "in a text",
        ),
        (
            'question,answer\n"Two "big" ones?",2\nThree?,3\n',
            "{}:2: text follows a closing quote; a quote inside a text is written twice",
        ),
        (
            "question,answer\nOne, or two?,1\nThree?,3\n",
            "{}:2: has 3 values, but the header names 2 columns; a text with ',' in it must stand "
            "in double quotes",
        ),
        ("question,question\na,b\n", "{}:1: the header names column `question` twice; rename one"),
    ],
)
def test_a_broken_record_is_one_line_with_file_line_and_way_out(
    tmp_path: Path, content: str, fault: str
) -> None:
    path = tmp_path / "bad.csv"
    (said,) = faults(path, content)
    assert said.startswith(fault.format(path))
    assert "\n" not in said


def test_records_beside_a_broken_one_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'question,answer\nOne?,1\n"Two "b"?",2\nThree?,3\n')
    problems, refused = read_problems(DataSection(task="table", path=path))
    assert [problem.answer for problem in problems] == ["1", "3"]
    assert len(refused) == 1


def test_a_sheet_of_excel_is_no_data_set_of_the_hub(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.xlsx: a data file must .*; save the sheet as CSV"):
        rows("a.xlsx")


# What a `csv.writer` writes is read back as it was: any text but the line breaks that it escapes.
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(str.strip)


@given(st.lists(st.tuples(_TEXT, _TEXT), min_size=1, max_size=5), st.booleans())
def test_what_pythons_own_writer_writes_is_read_back(
    records: list[tuple[str, str]], tabs: bool
) -> None:
    import io

    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter="\t" if tabs else ",", quoting=csv.QUOTE_ALL)
    writer.writerows([("question", "answer"), *records])
    found = [values for _, values in delimited(file.getvalue(), tabs=tabs)]
    assert found == [{"question": first, "answer": second} for first, second in records]
