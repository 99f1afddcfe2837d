"""How numbers and texts look on the page; nothing is rounded before it gets here."""

MINUS = "\N{MINUS SIGN}"


def percent(share: float | None) -> str:
    """Write a share in [0, 1] as percent with one decimal."""
    return "–" if share is None else f"{100 * share:.1f}%"


def points(difference: float | None) -> str:
    """Write a difference of shares in percentage points, always with its sign."""
    if difference is None:
        return "–"
    text = f"{100 * difference:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", MINUS)


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with `digits` significant digits."""
    return "–" if value is None else f"{value:.{digits}g}".replace("-", MINUS)


def whole(value: int | None) -> str:
    """Write a count with a thin space between thousands."""
    return "–" if value is None else f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def duration(seconds: float | None) -> str:
    """Write seconds as people say them: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds is None:
        return "–"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02d} min" if hours else f"{minutes} min {rest:02d} s"


def as_said(reason: str) -> str:
    """Return why something left a run in today's words; runs of version 0.1.0 say `ungradable`."""
    return reason.replace("student ungradable", "student not gradable").replace(
        "teacher ungradable", "teacher not gradable"
    )


def level(value: float, levels: int = 6) -> int:
    """Return the colour step of a value in [-1, 1], from -levels to levels."""
    return round(max(-1.0, min(1.0, value)) * levels)
