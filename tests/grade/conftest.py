from collections.abc import Iterator

import pytest

from leaf.grade import open_graders
from leaf.grade.grader import Grader
from leaf.recipe import GradeSection


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with open_graders(GradeSection(workers=1, time_limit=20.0)) as opened:
        yield opened
