"""What command lines share: where they print, options that recur, how failures are told."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import (
    App,
    CycloptsError,
    MissingArgumentError,
    Parameter,
    UnknownOptionError,
    UnusedCliTokensError,
)
from rich.markup import escape

from leaf.errors import LeafError, UsageError, nearest
from leaf.progress import Terminal, show_any_letter, visible

out_console = Terminal(highlight=False)
"""Standard output, for what a command was asked for."""

Overrides = Annotated[
    list[str] | None,
    Parameter(
        name=["--set"],
        help="Change one value: --set prune.threshold=0.05 (may be given again).",
        negative=(),
    ),
]
Plugins = Annotated[
    list[str] | None,
    Parameter(
        name=["--plugin"],
        help="File with a grader of your own: --plugin my_grader.py (may be given again).",
        negative=(),
    ),
]
AsJson = Annotated[bool, Parameter(name="--json", help="Print JSON for a program.", negative=())]


def load_plugins(plugins: Sequence[str]) -> None:
    """Read files of one's own, so that what they bring is known by its name.

    Raises:
        UsageError: there is no such file, or it fails.
    """
    from leaf.recipe.detectors import load_plugin

    for plugin in plugins:
        if plugin.endswith(".py") and not Path(plugin).is_file():
            raise UsageError(f"--plugin {plugin}: no such file")
        try:
            load_plugin(plugin)
        except ValueError as error:
            raise UsageError(str(error).replace("attribute.plugins:", "--plugin", 1)) from error


def say_line(text: str) -> None:
    """Print one line as it is: no markup, and no breaks but the terminal's own."""
    out_console.print(escape(text), soft_wrap=True)


def refuse_file(folder: Path) -> None:
    """Refuse an `--out` that must become a folder, but is a file.

    Raises:
        UsageError: there is such a file.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder}: is a file; name a folder")


def run_app(app: App, words: Sequence[str] | None, *, name: str) -> None:
    """Run a command line; every expected failure is one line on standard error, after `name`.

    `words` are what follows the command; None takes those of this process.
    """
    app.suppress_keyboard_interrupt = False
    app.console = Terminal(highlight=False)
    show_any_letter(sys.stdout, sys.stderr)
    try:
        app(words, exit_on_error=False, print_error=False)
    except LeafError as error:
        _fail(name, str(error), error.exit_code)
    except CycloptsError as error:
        _fail(name, _unfit_words(error, name), 2)
    except BrokenPipeError:
        # Whoever read our output has gone (`leaf show gsm8k | head`): nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(name, f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)
    except KeyboardInterrupt:
        _fail(name, "stopped; the same command resumes", 130)


def _unfit_words(error: CycloptsError, name: str) -> str:
    """Say what of a command line the command does not take, in one line."""
    command = " ".join([name, *(error.command_chain or ())])
    if isinstance(error, UnusedCliTokensError):
        words = " ".join(error.unused_tokens or ())
        return f"`{words}` is too much for `{command}`; `{command} --help` says what it takes"
    if isinstance(error, MissingArgumentError) and error.argument:
        name = f"a value for {error.keyword}" if error.keyword else error.argument.name
        return f"`{command}` needs {name}; `{command} --help` says what it is"
    if isinstance(error, UnknownOptionError):
        option = (error.token.keyword or error.token.value).partition("=")[0]
        taken = [one for known in error.argument_collection if known.parse for one in known.names]
        # Without the dashes, which all have in common.
        bare = [one.lstrip("-") for one in taken if one.startswith("--")]
        lists = f"; `{command} --help` lists those that there are"
        way_out = nearest(option.lstrip("-"), bare).replace("`", "`--", 1) or lists
        return f"`{command}` has no option `{option}`{way_out}"
    return " ".join(str(error).split())


def _fail(name: str, message: str, code: int) -> NoReturn:
    for line in message.splitlines() or [""]:
        print(f"{name}: {visible(line)}", file=sys.stderr)
    sys.exit(code)
