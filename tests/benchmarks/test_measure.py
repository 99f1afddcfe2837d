"""Bytes are those of the work alone, and a process of its own is another one."""

import os

import torch

from benchmarks._measure import alone, peak_growth, timed

CPU = torch.device("cpu")
MIB = 2**20


def test_the_peak_counts_memory_that_was_given_back_and_not_what_was_there_before():
    kept = torch.ones(96 * MIB // 4)

    def work():
        torch.ones(64 * MIB // 4)
        return "done"

    grown, found = peak_growth(work, CPU)
    assert found == "done"
    # The kernel counts pages in batches, so a little may be missing.
    assert 60 * MIB <= grown < 80 * MIB
    del kept


def test_alone_runs_in_another_process_and_hands_the_result_back():
    assert alone(os.getppid) == os.getpid()


def test_timed_returns_what_the_work_returned_and_its_seconds():
    seconds, found = timed(lambda: sum(range(10)))
    assert found == 45
    assert 0.0 < seconds < 60.0
