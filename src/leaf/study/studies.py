"""Every study. To add one: a file with a function from `Lab` to `Finding`, and its line here."""

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from leaf.study.finding import Finding
from leaf.study.lab import Lab


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """One figure or table of the paper, for any recipe."""

    about: str
    """What it shows, and which figure or table of the paper that is."""
    place: str
    """`module:function`; imported when it is run."""
    trains: bool = False
    """Whether students are trained: then `--seeds` says how often."""

    def run(self, lab: Lab) -> Finding:
        """Compute it, or find it computed."""
        function: Callable[[Lab], Finding] = pkgutil.resolve_name(self.place)
        return function(lab)


STUDIES: dict[str, Study] = {
    "thresholds": Study(
        about="How much each threshold cuts, how much of it is verified, and what that teaches "
        "(Fig. 9, 10, Table 7).",
        place="leaf.study.thresholds:thresholds",
        trains=True,
    ),
}
