"""What the modules of the command line share: where they print, and the options that recur."""

from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

out_console = Console(highlight=False)
"""Standard output, for what a command was asked for."""

Overrides = Annotated[
    list[str] | None,
    Parameter(
        name=["--set"],
        help="Change one value: --set prune.threshold=0.05 (may be given again).",
        negative=(),
    ),
]
AsJson = Annotated[bool, Parameter(name="--json", help="Print JSON for a program.", negative=())]


def table(*columns: str) -> Table:
    """Return an empty table for people."""
    return Table(*columns, box=None, pad_edge=False, header_style="bold")


def say_line(text: str) -> None:
    """Print one line as it is: no markup, and no breaks but the terminal's own."""
    out_console.print(escape(text), soft_wrap=True)
