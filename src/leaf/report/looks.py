"""The look of each arm, the same on pages and in pictures of studies: colour, marker, dashes."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from leaf.store.arms import ARMS


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """Colours that colour-blind readers tell apart, and what prints without them."""

    light: str
    """Colour on white."""
    dark: str
    """Colour on black."""
    marker: str
    """Of matplotlib."""
    dashes: Any = "-"
    """Of a line, as matplotlib takes them."""


LOOKS = {
    "before": Look(light="#80868d", dark="#9aa1a8", marker="o"),
    "kd": Look(light="#0072b2", dark="#56b4e9", marker="s", dashes=(0, (5, 2))),
    "rft": Look(light="#b5651d", dark="#e0a070", marker="v", dashes=(0, (1, 2))),
    "leaf": Look(light="#00906a", dark="#35c79a", marker="D"),
    "self": Look(light="#c2185b", dark="#f48fb1", marker="P", dashes=(0, (7, 2, 1, 2))),
    "teacher": Look(light="#8659b5", dark="#c3a0e6", marker="^"),
    "own-0": Look(light="#1d7a8c", dark="#5cc4d6", marker="X", dashes=(0, (3, 1))),
    "own-1": Look(light="#7a6a00", dark="#d0bd4a", marker="h", dashes=(0, (9, 2))),
    "own-2": Look(light="#5b5bd6", dark="#a5a5ff", marker="<", dashes=(0, (2, 2, 6, 2))),
    "own-3": Look(light="#a0522d", dark="#d99a7a", marker=">", dashes=(0, (1, 1))),
}
"""Of every arm in `leaf.store.arms`, and of those that only a recipe knows, in turn."""

BY_TITLE = {arm.title: LOOKS[name] for name, arm in ARMS.items()}
"""The look of each arm of ours by what people read."""

_SHAPES = {
    "o": "border-radius: 50%",
    "s": "",
    "D": "border-radius: 0; clip-path: polygon(50% 0, 100% 50%, 50% 100%, 0 50%)",
    "v": "border-radius: 0; clip-path: polygon(0 0, 100% 0, 50% 100%)",
    "^": "border-radius: 0; clip-path: polygon(50% 0, 100% 100%, 0 100%)",
    "<": "border-radius: 0; clip-path: polygon(100% 0, 100% 100%, 0 50%)",
    ">": "border-radius: 0; clip-path: polygon(0 0, 100% 50%, 0 100%)",
    "P": "border-radius: 0; clip-path: polygon(33% 0, 67% 0, 67% 33%, 100% 33%, 100% 67%, 67% 67%, "
    "67% 100%, 33% 100%, 33% 67%, 0 67%, 0 33%, 33% 33%)",
    "X": "border-radius: 0; clip-path: polygon(25% 0, 50% 25%, 75% 0, 100% 25%, 75% 50%, 100% 75%, "
    "75% 100%, 50% 75%, 25% 100%, 0 75%, 25% 50%, 0 25%)",
    "h": "border-radius: 0; clip-path: polygon(50% 0, 94% 25%, 94% 75%, 50% 100%, 6% 75%, 6% 25%)",
}
"""Each marker of matplotlib as a style sheet draws it from a square."""

_OWN = [name for name in LOOKS if name not in ARMS]


def looks_of(arms: Iterable[str]) -> dict[str, str]:
    """Return the name of the look of each arm that only a recipe knows, in the order given."""
    own = dict.fromkeys(arm for arm in arms if arm not in ARMS)
    return dict(zip(own, itertools.cycle(_OWN)))


def style_of_looks() -> str:
    """Return rules of a style sheet: colours as `--arm-NAME`, and `.key.NAME` as plots draw it."""
    light = " ".join(f"--arm-{name}: {look.light};" for name, look in LOOKS.items())
    dark = " ".join(f"--arm-{name}: {look.dark};" for name, look in LOOKS.items())
    keys = " ".join(
        f".key.{name} {{ background: var(--arm-{name}); {_SHAPES[look.marker]} }}"
        for name, look in LOOKS.items()
    )
    on_black = "@media screen and (prefers-color-scheme: dark)"
    return f":root {{ {light} }}\n{on_black} {{ :root {{ {dark} }} }}\n{keys}\n"
