r"""NuminaMath-CoT: 860,000 problems of many origins (hub id `AI-MO/NuminaMath-CoT`).

A record holds
    source:   amc_aime
    problem:  Let $a$ be the number of ... Find $a$.
    solution: 1. We count ... 3. Hence the answer is $\boxed{12}$.
    messages: the same two once more, as a conversation; not read
and becomes the problem
    id:       numina_math-train-<record>
    question: the problem
    answer:   12       (what the last box of the solution holds)
    solution: as above
    after:    the same request as GSM8K's
    source:   amc_aime

`sources` are amc_aime, olympiads, gsm8k and math unless named otherwise; the paper's 12,000
problems are 3,000 of each (`per_source: 3000`), drawn by `seed`. A drawn record without a filled
box (a proof) is refused and another one drawn in its place. Where the hub cannot be reached, AIME
and MATH train stand in (tasks `aime` and `math`), and results say so.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from leaf.errors import DataError, nearest
from leaf.recipe import DataSection
from leaf.records import Problem
from leaf.tasks.math import boxed_problem
from leaf.tasks.reading import Row, read_rows, text_of
from leaf.tasks.task import task

SOURCES = ("amc_aime", "olympiads", "gsm8k", "math")
"""The parts of the data set that the paper trains on."""

_COLUMNS = ("source", "problem", "solution")
_PROVED = re.compile(r"(?:\\(?:text|mathrm|textbf)\s*\{\s*)?(?:Q\.?E\.?D\b|proof\b|proven\b)", re.I)


@task("numina_math")
def numina_math(section: DataSection) -> list[Problem | DataError]:
    """Draw problems from the hub, or from `section.path`; they stay in the order of the file.

    Raises:
        DataError: a source that no record has.
    """
    wanted = tuple(section.sources or SOURCES)
    rows = read_rows(
        section.path or "AI-MO/NuminaMath-CoT",
        name=section.name,
        split=section.split or "train",
        columns=_COLUMNS,
    )
    parts: dict[str, list[int]] = {}
    refused: dict[int, Problem | DataError] = {}
    for index, row in enumerate(rows):
        try:
            if isinstance(row, DataError):
                raise row
            parts.setdefault(text_of(row, "source"), []).append(index)
        except DataError as error:
            refused[index] = error
    for name in wanted:
        if name not in parts and parts:
            raise DataError(
                f"{section.path or 'numina_math'}: no record has the source `{name}`"
                f"{nearest(name, parts) or ';'} there are: {', '.join(sorted(parts))}"
            )
    found = refused
    for name in dict.fromkeys(wanted):
        found |= _drawn(rows, parts.get(name, []), section, name)
    return [found[index] for index in sorted(found)]


def _drawn(
    rows: Sequence[Row | DataError], part: Sequence[int], section: DataSection, name: str
) -> dict[int, Problem | DataError]:
    """Draw `per_source` good problems of one source; what was refused on the way is there too."""
    order = list(part)
    if section.per_source is not None:
        random.Random(f"{section.seed} {name}").shuffle(order)
    found: dict[int, Problem | DataError] = {}
    good = 0
    for index in order:
        if good == section.per_source:
            break
        row = rows[index]
        assert isinstance(row, Row)  # noqa: S101 - a bad row has no source
        try:
            found[index] = _problem(row)
            good += 1
        except DataError as error:
            found[index] = error
    return found


def _problem(row: Row) -> Problem:
    problem = replace(
        boxed_problem(row, id=f"numina_math-{row.name}"), source=text_of(row, "source")
    )
    if _PROVED.match(problem.answer):
        raise DataError(f"{row.place}: no gold answer: the box holds {problem.answer!r:.40}")
    return problem
