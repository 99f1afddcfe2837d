"""One report of a run: every number as JSON, and one self-contained page that shows it."""

from leaf.report.content import SMALL_N, build_report
from leaf.report.page import write_report

__all__ = ["SMALL_N", "build_report", "write_report"]
