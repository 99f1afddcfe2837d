"""The help of every command, on terminals narrow and wide."""

import io
import re
import sys
from collections.abc import Iterator

import pytest
from cyclopts import App

from leaf.cli.main import app, main
from tests.command_line import leaf

WIDTHS = (60, 200)


def commands(at: App, path: tuple[str, ...] = ()) -> Iterator[tuple[App, tuple[str, ...]]]:
    """Yield every command and the words that call it, `leaf` itself first."""
    yield at, path
    for name in at:
        if not name.startswith("-"):
            yield from commands(at[name], (*path, name))


def options(at: App) -> set[str]:
    """Return the options that a command takes; one that only has others under it takes none."""
    if at.default_command is None:
        return set()
    found = at.assemble_argument_collection(parse_docstring=False)
    return {name for one in found for name in one.names if name.startswith("--")}


@pytest.mark.parametrize("width", WIDTHS)
def test_help_fits_the_terminal_and_names_every_option_and_command(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    every = list(commands(app))
    assert ("study", "all") in [path for _, path in every]
    for at, path in every:
        done = leaf(*path, "--help")
        assert (done.code, done.err) == (0, ""), path
        assert [line for line in done.out.splitlines() if len(line) > width] == [], path
        assert "…" not in done.out, path
        shown = set(re.findall(r"--[a-z][\w-]*", done.out.partition("╭─")[2]))
        assert options(at) <= shown, path
        below = {name for name in at if not name.startswith("-")}
        assert below <= set(re.findall(r"^│ +([\w-]+)", done.out, re.MULTILINE)), path


@pytest.mark.parametrize("width", WIDTHS)
def test_a_dumb_terminal_has_the_same_help(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    piped = leaf("evaluate", "--help").out
    # The second makes it a terminal.
    for name, value in (("TERM", "dumb"), ("FORCE_COLOR", "1"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    assert leaf("evaluate", "--help").out == piped


def test_help_is_readable_where_only_ascii_can_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="ascii"))
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    sys.stdout.flush()
    lines = shown.getvalue().decode("ascii").splitlines()
    assert "+- Parameters ---------------------------------------------+" in lines
    assert max(map(len, lines)) <= 60
    assert not any("?" in line for line in lines)
