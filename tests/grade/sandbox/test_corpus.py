"""Programs of the kinds that sandboxes get wrong are judged as CPython judges them."""

from collections.abc import Iterator

import pytest

from benchmarks import programs
from leaf.grade.sandbox import SandboxPool
from leaf.records import Outcome
from tests.marks import needs_bwrap

pytestmark = needs_bwrap

SAMPLES = programs.samples()
UNKNOWN: dict[str, str] = {}
"""Right programs that cannot be graded, with the reason; docs/code.md lists their kinds."""


def test_there_are_a_hundred_right_and_a_hundred_wrong_programs() -> None:
    assert sum(sample.right for sample in SAMPLES) >= 100
    assert sum(not sample.right for sample in SAMPLES) >= 100


@pytest.fixture(scope="module")
def pool() -> Iterator[SandboxPool]:
    with SandboxPool(time_limit=60, memory=2**30, workers=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def judged(pool: SandboxPool) -> dict[str, tuple[Outcome, str]]:
    judgements = pool.run([sample.program for sample in SAMPLES])
    return {
        sample.name: (judgement.outcome, judgement.reason or "")
        for sample, judgement in zip(SAMPLES, judgements, strict=True)
    }


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_program_is_judged_as_it_was_written(
    sample: programs.Sample, judged: dict[str, tuple[Outcome, str]]
) -> None:
    outcome, reason = judged[sample.name]
    if sample.name in UNKNOWN:
        assert (outcome, reason) == (Outcome.UNGRADABLE, UNKNOWN[sample.name])
    else:
        assert (outcome is Outcome.RIGHT) is sample.right, reason
        assert outcome is not Outcome.UNGRADABLE, reason


@pytest.mark.long
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_cpython_says_so_too(sample: programs.Sample) -> None:
    assert programs.passes(sample.program) is sample.right
