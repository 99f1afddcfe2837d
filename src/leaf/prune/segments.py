"""Response level: the beginning of a reference as what is scored and cut (METHOD, Fig. 6).

Two segments: [X][1*] -> [2]. Three: [X][1*] -> [2][3] and [X][1][2*] -> [3]. The segment with * is
scored and cut; the loss is on what stands behind the arrow.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import combinations, pairwise

from leaf.records import Problem
from leaf.text.units import pieces

_LINE_END = re.compile(r"\n(?:\s*\n)?")
_SPACES_AND_LINE_END = re.compile(r"[^\S\n]*\n(?:\s*\n)?")


def segments(
    problem: Problem, reference: str, count: int, says_answer: Callable[[str], bool]
) -> list[Problem] | str:
    """Return the response-level problems of a reference, or say why there are none.

    Each is a `Problem` whose question is a segment of the response: `prompt` is the user's message,
    `before` what stands before the segment, `solution` all that follows it. The three joined are
    the reference. Ids are `<problem id>/r1`, `/r2`.

    The borders are those steps' ends that are nearest to `k / count` of the reference's characters,
    all distances added up: ends of lines, or of sentences where there are too few lines. None comes
    after the final answer is said, so that the answer is always left to say. `distractors` and
    `protected` are places of the instruction, so there are none.

    Args:
        problem: Whose reference it is; an instruction-level problem.
        reference: The whole response y.
        count: How many segments: 2 or 3.
        says_answer: Whether a beginning of the reference says its final answer.
    """
    if not reference.strip():
        return "no reference response"
    borders = _borders(reference, count, says_answer)
    if borders is None:
        return f"response level: the reference has fewer than {count} steps"
    return [
        Problem(
            id=f"{problem.id}/r{number}",
            prompt=problem.content,
            before=reference[:start],
            question=reference[start:end],
            solution=reference[end:],
            answer=problem.answer,
            golds=problem.golds,
            tolerance=problem.tolerance,
            grader=problem.grader,
            grader_options=problem.grader_options,
            turns=problem.turns,
        )
        for number, (start, end) in enumerate(pairwise((0, *borders)), start=1)
    ]


def _borders(text: str, count: int, says_answer: Callable[[str], bool]) -> tuple[int, ...] | None:
    """Return the `count - 1` places, in text order, at which a text is cut; None: too few steps."""
    for ends in (_lines, _sentences):
        found = [at for at in ends(text) if text[:at].strip() and text[at:].strip()]
        # What has said its answer has said it in whatever follows.
        found = found[: bisect_left(found, True, key=lambda at: says_answer(text[:at]))]
        if len(found) >= count - 1:
            return min(
                combinations(found, count - 1),
                key=lambda chosen: sum(
                    abs(count * at - number * len(text)) for number, at in enumerate(chosen, 1)
                ),
            )
    return None


def _lines(text: str) -> Iterator[int]:
    """Yield where lines begin; the end of a line belongs to it, blank lines to the one before."""
    return (found.end() for found in _LINE_END.finditer(text))


def _sentences(text: str) -> Iterator[int]:
    """Yield where sentences begin: the space in front is theirs, as tokenizers have it."""
    for start, _ in pieces(text, "sentence")[1:]:
        found = _SPACES_AND_LINE_END.match(text, start)
        yield found.end() if found else start
