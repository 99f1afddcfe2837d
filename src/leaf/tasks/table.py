"""Records of your own: a .jsonl, .json or .parquet file, or a hub data set, any column names.

With `columns: {question: problem, answer: result, solution: proof, id: key}` the line
    {"key": "a7", "problem": "What is 2 + 3?", "proof": "2 + 3 = 5.", "result": 5}
of sums.jsonl becomes the problem
    id:       a7                  (sums-1 without an id column: file stem or split, and line)
    question: What is 2 + 3?
    answer:   5
    solution: 2 + 3 = 5.          ("" without a solution column, or where it is null)

Nothing is put before or after the question, and answers are judged by `numbers`, unless the recipe
says otherwise.
"""

from leaf.errors import DataError
from leaf.recipe import ColumnsSection, DataSection
from leaf.records import Problem
from leaf.tasks.reading import Row, each, optional_text_of, text_of
from leaf.tasks.task import rows_of, task


@task("table")
def table(section: DataSection) -> list[Problem | DataError]:
    """Read `section.path` through `section.columns`, in the order of the file."""
    if section.path is None:
        raise DataError("task `table` needs `path`: a .jsonl, .json or .parquet file, or a hub id")
    return each(rows_of(section, ""), lambda row: _problem(row, section.columns))


def _problem(row: Row, columns: ColumnsSection) -> Problem:
    return Problem(
        id=text_of(row, columns.id) if columns.id else row.name,
        question=text_of(row, columns.question),
        answer=text_of(row, columns.answer),
        solution=optional_text_of(row, columns.solution) if columns.solution else "",
    )
