"""One report of a run: every number as JSON, one self-contained page, a few closing lines."""

from leaf.report.content import build_report
from leaf.report.page import write_explanation, write_report
from leaf.report.terminal import consistency_table, print_lengths, print_results, robustness_table

__all__ = [
    "build_report",
    "consistency_table",
    "print_lengths",
    "print_results",
    "robustness_table",
    "write_explanation",
    "write_report",
]
