"""The command `leaf report`."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from leaf.cli.options import AsJson, out_console, say_line
from leaf.errors import UsageError


def report(  # noqa: D417 - `AsJson` says what it is
    run_folders: Annotated[list[Path], Parameter(name="RUN")],
    /,
    *,
    out: Path | None = None,
    json_: AsJson = False,
) -> None:
    """Write the page of a run again from its report.json, finished or not.

    Several runs are compared: what differs in their recipes, their results side by side, and the
    students of each against those of the first, question by question.

    Args:
        run_folders: What `leaf run` wrote, one or several.
        out: Page of a comparison to write; default: it is only printed. Of a single run the page
            always stands in its folder.
    """
    from jinja2 import UndefinedError

    from leaf.report import write_report
    from leaf.store.run_folder import repeat, report_of

    if len(run_folders) > 1:
        _compare(run_folders, out, as_json=json_)
        return
    (folder,) = run_folders
    if out is not None:
        raise UsageError(f"--out {out}: is for a comparison; the page of one run is in its folder")
    content = report_of(folder)
    try:
        page = write_report(content, folder)
    except (UndefinedError, KeyError, TypeError) as error:
        raise UsageError(
            f"{folder / 'report.json'}: damaged ({error}); `{repeat(folder)}` writes it again"
        ) from error
    if json_:
        print(json.dumps(content, indent=1))
        return
    say_line(f"report:   {page}")


def _compare(folders: list[Path], out: Path | None, *, as_json: bool) -> None:
    from leaf.report.compare import print_comparison, write_comparison
    from leaf.report.compare_runs import compare

    if out is not None and out.is_dir():
        raise UsageError(f"--out {out}: is a folder; name a file, such as {out / 'compare.html'}")
    found = compare(folders)
    if out is not None:
        write_comparison(found, out)
    if as_json:
        print(json.dumps(found, indent=1))
        return
    print_comparison(found, out_console)
    say_line(f"page:     {out}" if out else "Next: the same with --out FILE.html writes a page.")
