"""The sandbox benchmark: real programs of the real data, a few of them."""

import json

import pytest

from benchmarks import sandbox
from tests.marks import DATA, needs_bwrap, needs_data

pytestmark = [needs_data, needs_bwrap]


def test_the_last_line_says_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    sandbox.main(runs=6, corpus=4, trivial=2, data=DATA, json=True)

    line = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert line["name"] == "sandbox"
    assert line["setting"]["workers"] == 2
    figures = line["figures"]
    assert figures["runs"] == 6
    assert figures["solutions_per_second"] > 0
    assert figures["leaked_processes"] == 0
    assert figures["same_as_cpython"] == 1
    assert figures["programs"] == 4
    assert figures["trivial_passes"] == 0
    assert set(figures) == {
        "solutions_per_second",
        "leaked_processes",
        "leaked_descriptors",
        "leaked_bytes",
        "runs",
        "same_as_cpython",
        "programs",
        "trivial_passes",
    }
