"""What one cut was held against, in words and plain values."""

from collections.abc import Mapping, Sequence
from typing import Any

from leaf.report.formats import as_said
from leaf.report.plain import clipped
from leaf.store.ledger import Control, Variant


def held_against(cut: Variant, placebos: Sequence[Variant]) -> dict[str, Any] | None:
    """Return what page and terminal show of a cut's control; None where there was none.

    Args:
        cut: A removal.
        placebos: Of the same problem and detector.

    Returns:
        `said`, a line, and `placebos`: each with its `text` and what the student made of the
        question without it (`reason`).
    """
    if cut.control is None:
        return None
    return {
        "said": in_words(cut.control),
        "placebos": [
            {"text": clipped(item.spans[0].text)["text"], "reason": as_said(item.reason)}
            for item in placebos
            if item.donor == cut.id
        ],
    }


def in_words(control: Control) -> str:
    """Say what a cut was held against: `right without 1 of 3 placebos`."""
    said = []
    if control.rate is not None and control.before is not None:
        said.append(
            f"right in {control.rate:.0%} of samples without it, in {control.before:.0%} with it"
        )
    if control.freed is not None and control.rate is not None:
        said.append(f"in {control.freed:.0%} without a placebo, of {control.placebos}")
    elif control.freed is not None:
        right = round(control.freed * control.placebos)
        said.append(f"right without {right} of {control.placebos} placebos")
    return "; ".join([*said, control.why_few] if control.why_few else said)


def as_line(held: Mapping[str, Any]) -> str:
    """Say what a cut was held against, and what came of each placebo."""
    each = ", ".join(f"“{one['text'].strip()}” {one['reason']}" for one in held["placebos"])
    return f"{held['said']}: {each}" if each else str(held["said"])
