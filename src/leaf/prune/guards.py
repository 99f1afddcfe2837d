"""Spans that must not be cut: each refusal is a reason, and reasons are counted.

A guard refuses and never widens: who wants more than a token taken out names wider `prune.units`.
"""

import re
from collections.abc import Sequence

from leaf.records import Problem, Span

WHOLE = {
    # 1,000 and 3.50 are one number, and so are 3/4 and 12:30.
    "number": re.compile(r"\d+(?:[.,:/]\d+)*"),
    "word": re.compile(r"\w+(?:['’-]\w+)*"),
}
"""What `prune.whole` may keep whole; numbers come first, as their digits are letters of words."""


def refusal(problem: Problem, span: Span, whole: Sequence[str]) -> str | None:
    """Say why a span must stay in the question, or return None.

    Args:
        problem: Whose question would be cut; `protected` names what its grader needs.
        span: What would be removed.
        whole: Names of `WHOLE`: a removal may neither cut inside one of these nor join two.
    """
    question = problem.question
    for place in problem.protected:
        if max(place.start, span.start) < min(place.end, span.end):
            return f"would cut what the answer is checked by ({place.what})"
    named = [(name, pattern) for name, pattern in WHOLE.items() if name in whole]
    for name, pattern in named:
        if any(cuts_inside(question, border, pattern) for border in (span.start, span.end)):
            return f"would cut inside a {name}"
    left = question[: span.start] + question[span.end :]
    for name, pattern in named:
        if cuts_inside(left, span.start, pattern):
            return f"would join two {name}s"
    return None


def cuts_inside(text: str, border: int, pattern: re.Pattern[str]) -> bool:
    """Whether a border between two characters lies inside a match, not at its ends."""
    return any(found.start() < border < found.end() for found in pattern.finditer(text))
