"""The report's plots as inline SVG whose colours are the page's own CSS variables.

Text stays text, so that it follows the page's font and its light or dark colours.
"""

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from leaf.progress import visible
from leaf.report.looks import LOOKS, Look
from leaf.store.arms import ARMS, arm_of

if TYPE_CHECKING:  # it takes half a second to import, and most pages have no plot yet
    from matplotlib.axes import Axes

# Placeholders that matplotlib accepts; each becomes a CSS variable in the finished SVG.
_INK, _MUTED, _RULE = "#010101", "#010102", "#010103"
_ARM_INK = {name: f"#0101{number:02x}" for number, name in enumerate(LOOKS, 4)}
_VARIABLES = {_INK: "ink", _MUTED: "muted", _RULE: "rule"} | {
    colour: f"arm-{arm}" for arm, colour in _ARM_INK.items()
}

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "leaf",
    "text.parse_math": False,
    "font.size": 13,
    "text.color": _INK,
    "axes.labelcolor": _MUTED,
    "axes.edgecolor": _RULE,
    "xtick.color": _RULE,
    "ytick.color": _RULE,
    "xtick.labelcolor": _MUTED,
    "ytick.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}

_NAME_LENGTH = 28
"""Longest benchmark name in a plot; the table beside it has the whole name."""


def arm_name(arm: str) -> str:
    """Return an arm's title with a capital letter; a recipe's own arm is called as it says."""
    title = arm_of(arm).title
    return title[0].upper() + title[1:] if arm in ARMS else title


def accuracy_plot(
    results: Sequence[Mapping[str, Any]],
    description: str,
    looks: Mapping[str, str] = MappingProxyType({}),
) -> Markup:
    """Draw each arm's accuracy and 95% interval, one row an arm, benchmarks from top to bottom.

    `looks` are those of `looks_of`, the same for all plots of a page.
    """
    from matplotlib.ticker import PercentFormatter

    rows = sum(len(result["arms"]) + 1 for result in results)

    def draw(axes: "Axes") -> None:
        labels: list[tuple[float, str]] = []
        row = 0
        for result in results:
            axes.text(0, row, _short(result["benchmark"]), va="center", weight="bold")
            for arm in result["arms"]:
                row += 1
                _interval(axes, row, arm, looks.get(arm["arm"], arm["arm"]))
                labels.append((row, arm_name(arm["arm"])))
            row += 1
        axes.set_yticks([place for place, _ in labels], [name for _, name in labels])
        axes.set_ylim(rows - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xlabel("right answers, 95% interval")
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)
        axes.grid(axis="x", color=_RULE, linewidth=0.7)

    return _svg("accuracy", draw, description, height=0.8 + 0.34 * rows)


def curve_plot(
    arms: Sequence[Mapping[str, Any]],
    key: str,
    unit: str,
    description: str,
    looks: Mapping[str, str] = MappingProxyType({}),
) -> Markup:
    """Draw the values `key` of every arm that has some, over optimiser steps; `looks` as above."""
    from matplotlib.ticker import MaxNLocator

    def draw(axes: "Axes") -> None:
        for arm in arms:
            points = [(p["step"], p[key]) for p in arm["curve"] if p[key] is not None]
            if points:
                _curve(axes, arm["arm"], looks.get(arm["arm"], arm["arm"]), points)
        # Nats below a millionth are rounding: they are drawn as the 0 that they stand for.
        flat = unit and all((p[key] or 0) < 1e-6 for arm in arms for p in arm["curve"])
        axes.set_ylim(0, 1 if flat else None)
        # Every step of the training, also where only few of them have this value.
        steps = [p["step"] for arm in arms for p in arm["curve"]]
        margin = max(0.5, 0.02 * max(steps, default=1))
        axes.set_xlim(min(steps, default=1) - margin, max(steps, default=1) + margin)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        axes.set_xlabel("optimiser step")
        axes.set_ylabel(unit)
        axes.tick_params(length=3, labelcolor=_MUTED)
        axes.grid(axis="y", color=_RULE, linewidth=0.7)
        # Above the axes, where no curve runs.
        axes.legend(
            frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0
        )

    return _svg(key, draw, description, height=3.1)


def _interval(axes: "Axes", row: float, arm: Mapping[str, Any], look: str) -> None:
    # Not clipped: at 0% and 100% half of a marker stands outside the axes.
    style: Any = {"color": _ARM_INK.get(look, _INK), "clip_on": False}
    axes.plot([arm["low"], arm["high"]], [row, row], linewidth=2.2, zorder=2, **style)
    axes.plot([arm["mean"]], [row], _look(look).marker, markersize=7, zorder=3, **style)


def _curve(axes: "Axes", arm: str, look: str, points: Sequence[tuple[int, float]]) -> None:
    axes.plot(
        *zip(*points, strict=True),
        color=_ARM_INK.get(look, _INK),
        linestyle=_look(look).dashes,
        linewidth=1.8,
        marker=_look(look).marker if len(points) <= 30 else None,
        markersize=4,
        label=arm_name(arm),
    )


def _look(name: str) -> Look:
    """Return the look of that name; an arm of another version has one as well."""
    return LOOKS.get(name, LOOKS["own-0"])


def _svg(name: str, draw: Callable[["Axes"], None], description: str, *, height: float) -> Markup:
    """Run `draw` on fresh axes, 6 inches wide; `description` is the text alternative."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the browser has it
        figure = Figure(figsize=(6, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.subplots())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return Markup(_embedded(buffer.getvalue(), name, description))  # noqa: S704 - escaped inside


def _embedded(svg: str, name: str, description: str) -> str:
    """Make a stand-alone SVG file fit for a page that holds several and has its own colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Its style element would apply to the whole page, its ids would clash with the next plot's.
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    svg = re.sub(r"font: ([\d.]+px|bold [\d.]+px) [^;\"]*", r"font: \1 var(--sans)", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    label = escape(description)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return visible(svg.replace("<svg", f'<svg class="plot" role="img" aria-label="{label}"', 1))


def _short(name: str) -> str:
    name = " ".join(name.split())
    return name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + "…"
