"""Progress of long work: a bar with rate and time left, plain lines where there is no terminal.

Everything goes to standard error, so that a command's standard output stays for its result.
"""

import codecs
import io
import math
import re
import shutil
import sys
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
)
from rich.progress import Task as RichTask
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

# Tab and newline stay; what reorders the text after it, or cannot be encoded, is named.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def visible(text: str) -> str:
    """Replace control characters by their pictures, and direction overrides by their code."""
    return _HIDDEN.sub(lambda match: _picture(match.group()), text)


def _picture(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if unicodedata.category(character) == "Cs":
        return "\N{REPLACEMENT CHARACTER}"
    return f"[U+{code:04X}]"


_PLAIN = str.maketrans("▁▂▃▄▅▆✓✗–−…“”─━▲▼", '123456vx--~""--+-')
"""Letters that stand for those which a terminal without UTF-8 cannot show; each as wide."""


def show_any_letter(*streams: object) -> None:
    """Let streams write a stand-in where their encoding lacks a letter, in place of failing."""
    codecs.register_error("leaf", _stand_in)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="leaf")


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    plain = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(one if one.isascii() else "?" for one in plain), error.end


class Terminal(Console):
    """A console on which a text is only ever read: the name of a model cannot move the cursor."""

    @property  # type: ignore[misc]  # nobody sets it
    def size(self) -> ConsoleDimensions:
        """Columns and lines; rich takes every dumb terminal for 80 columns wide."""
        if not self.is_dumb_terminal:
            return super().size
        columns, lines = shutil.get_terminal_size()
        return ConsoleDimensions(self._width or columns, self._height or lines)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Yield the parts of what is printed; styles are rich's own, after this."""
        for part in super().render(renderable, options):
            yield part if part.control else Segment(visible(part.text), part.style)


console = Terminal(stderr=True, highlight=False)
"""Where people read what happens."""

_PLAIN_INTERVAL = 15.0
"""Seconds between two plain lines of one piece of work, where there is no terminal."""

_EARLY, _EARLY_SHARE, _EARLY_TICKS = 30.0, 0.1, 4
"""How long neither rate nor time left is told: so many seconds and reports, or such a share."""

_UNBOUNDED = 10_000
"""Columns in which any table fits, to learn its natural width."""

_PLAIN_SHORT = 1.0
"""Work that is over sooner than this prints no line there, and has no rate."""

_SHORTEST, _LONGEST = 8, 40
"""Columns of a bar, and of the label before it at least."""


class Ticker(Protocol):
    """Reports finished items of one piece of work."""

    def __call__(self, done: int = 1) -> None:
        """Say that `done` more items are finished."""
        ...


def say(message: str) -> None:
    """Print one line for people, at once."""
    console.print(message, markup=False, soft_wrap=True)
    sys.stderr.flush()


@contextmanager
def progress(label: str, total: int, *, unit: str, done: int = 0) -> Iterator[Ticker]:
    """Show the progress of `total` items, `done` of them there before, until the block ends."""
    if console.is_terminal:
        with _bar(unit) as bar:
            begun = {"there": done, "ticks": 0}
            task = bar.add_task(visible(label), total=total, completed=done, begun=begun)

            def tick(done: int = 1) -> None:
                begun["ticks"] += 1
                bar.advance(task, done)

            yield tick
    else:
        yield _plain(label, total, unit, done)


_WHOLE = Column(no_wrap=True)
"""Not narrowed by rich: only the bar is, to what all others leave it."""


class _Label(ProgressColumn):
    """What is done, cut where the numbers behind it leave no room for all of it."""

    def __init__(self, numbers: Sequence[ProgressColumn]) -> None:
        self.numbers = numbers
        super().__init__(table_column=_WHOLE)

    def render(self, task: RichTask) -> Text:
        taken = sum(console.measure(column(task)).maximum + 1 for column in self.numbers)
        label = Text(task.description, no_wrap=True)
        label.truncate(max(_SHORTEST, console.width - taken - _SHORTEST - 1), overflow="ellipsis")
        return label


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        self.unit = unit
        super().__init__(table_column=_WHOLE)

    def render(self, task: RichTask) -> Text:
        rate = _rate_here(task)
        return Text(f"{_two_digits(rate)} {self.unit}/s" if rate else f"- {self.unit}/s")


class _Elapsed(ProgressColumn):
    def render(self, task: RichTask) -> Text:
        seconds = task.finished_time if task.finished else task.elapsed
        return Text(_clock(int(seconds or 0.0)), style="progress.elapsed")


class _Left(ProgressColumn):
    max_refresh = 0.5

    def render(self, task: RichTask) -> Text:
        rate, left = _rate_here(task), task.remaining or 0.0
        shown = _clock(math.ceil(left / rate)) if rate else "-:--:--" if left else _clock(0)
        return Text(shown, style="progress.remaining")


def _rate_here(task: RichTask) -> float | None:
    """Return how many a second were done here; None where that says little yet.

    All the time counts: answers come a batch at once, and between two of its reports there is none.
    """
    begun, seconds = task.fields["begun"], task.finished_time or task.elapsed or 0.0
    here, total = task.completed - begun["there"], (task.total or 0) - begun["there"]
    early = not task.finished and _too_early(seconds, here, total, begun["ticks"])
    return here / seconds if here and seconds >= _PLAIN_SHORT and not early else None


def _clock(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _too_early(seconds: float, done: float, total: float, ticks: int) -> bool:
    """Whether what was done here, in so many reports, says little of how long the rest takes."""
    return done < _EARLY_SHARE * total and (seconds < _EARLY or ticks < _EARLY_TICKS)


def _time(seconds: float) -> str:
    """Write a time as people say it: 95 s, 12 min, 3 h 26 min."""
    minutes = round(seconds / 60)
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def _two_digits(rate: float) -> str:
    """Write a rate with two significant digits, and never as a power of ten."""
    return f"{rate:.2g}" if rate < 10 else f"{rate:.0f}"


def _bar(unit: str) -> Progress:
    numbers = (
        MofNCompleteColumn(table_column=_WHOLE),
        _Rate(unit),
        _Elapsed(table_column=_WHOLE),
        _Left(table_column=_WHOLE),
    )
    bar = BarColumn(bar_width=None, table_column=Column(max_width=_LONGEST))
    return Progress(_Label(numbers), bar, *numbers, console=console)


def _plain(label: str, total: int, unit: str, done: int) -> Ticker:
    begun = last = time.monotonic()
    finished = at_start = done
    ticks = 0

    def tick(done: int = 1) -> None:
        nonlocal finished, last, ticks
        finished += done
        ticks += 1
        now = time.monotonic()
        soon = now - begun < _PLAIN_SHORT if finished >= total else now - last < _PLAIN_INTERVAL
        if soon:
            return
        last = now
        rate = (finished - at_start) / max(now - begun, 1e-9)
        line = f"{label}: {finished}/{total} {unit}, {_two_digits(rate)} {unit}/s"
        if finished >= total:
            line += f", done in {_time(now - begun)}"
        elif rate and not _too_early(now - begun, finished - at_start, total - at_start, ticks):
            line += f", {_time((total - finished) / rate)} left"
        say(line)

    return tick


def table(*columns: str) -> Table:
    """Return an empty table for people."""
    return Table(*columns, box=None, pad_edge=False, header_style="bold")


def print_table(console: Console, *layouts: Table, room: int | None = None) -> int:
    """Print the first layout that fits, or else the last; return which.

    Args:
        console: Where to. In a file, or a pipe, a row is one line, however long.
        layouts: Of the same table, the widest first.
        room: Columns that there are; default: as the console is wide.
    """
    room = room or console.width
    unbounded = console.options.update(width=_UNBOUNDED)
    for number, layout in enumerate(layouts):
        natural = Measurement.get(console, unbounded, layout).maximum
        if natural <= room or number == len(layouts) - 1:
            break
    layout.width = min(natural, room) if console.is_terminal else natural
    # Without a terminal, a console takes itself for 80 columns and would cut the lines there.
    console.print(layout, crop=False)
    return number
