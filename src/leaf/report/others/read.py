"""Whose evaluation is it? Told by the files that are there."""

from pathlib import Path

from leaf.errors import UsageError
from leaf.report.others.asked import Evaluated
from leaf.report.others.inspect_logs import find_logs, read_inspect
from leaf.report.others.lm_eval import find_samples, read_lm_eval
from leaf.report.others.ours import is_ours, read_ours


def read_evaluated(named: str, *, question: str | None = None) -> Evaluated:
    """Read one side of a comparison.

    Args:
        named: A run folder or a folder of `leaf evaluate`, with `:ARM` behind it one of its arms;
            a file or folder of lm-eval's samples; a file or folder of Inspect's logs.
        question: Column of lm-eval's records that holds the question; None, or where it is not:
            as usual.

    Raises:
        UsageError: nothing of these, or it cannot be read.
        StoreError: a file of ours is damaged.
    """
    path, arm = Path(named), None
    if not path.exists():
        before, _, after = named.rpartition(":")
        if not before or not Path(before).is_dir():
            raise UsageError(f"{named}: not there")
        path, arm = Path(before), after
    if is_ours(path):
        return read_ours(path, arm)
    if arm is not None:
        raise UsageError(f"{named}: {path} is no run of ours, so it has no arms")
    if find_samples(path):
        return read_lm_eval(path, question)
    if find_logs(path):
        return read_inspect(path)
    raise UsageError(
        f"{path}: no run folder, no folder of `leaf evaluate`, no samples of lm-eval "
        "(samples_*.jsonl, written with --log_samples), no log of Inspect (*.eval, *.json)"
    )
