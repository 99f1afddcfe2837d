from collections.abc import Iterator

import pytest

from leaf.grade import Graders, open_graders
from leaf.recipe import GradeSection


@pytest.fixture(scope="module")
def grader() -> Iterator[Graders]:
    with open_graders(GradeSection(workers=1, time_limit=20.0)) as opened:
        yield opened
