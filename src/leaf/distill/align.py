"""One response in the tokens of two models, cut where both have a border.

Both models see the same message and the same response, each under its own chat template. The
response's characters, with its end of the turn as one more, fall into the smallest pieces that
begin and end between tokens of both models: tokens are never matched by their text.

    response     d  r  i  v  e  w  a  y  _  i  n
    student     [d  r  i  v][e  w  a  y][_  i  n][end]
    teacher     [d  r  i  v  e  w  a  y][_  i  n][end]
    pieces      |        event         |  pair  |pair|

A piece that is one token to each model, the same one, is a pair; any other is an event
(`leaf.distill.aligned`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leaf.models.prompt_format import EncodedExample, PromptFormat
from leaf.models.token_units import Unit
from leaf.models.vocabulary import CommonTokens
from leaf.records import Turn


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A piece of a response that both models say in whole tokens."""

    characters: int
    """Characters of the response; 0 for the end of the turn."""
    student: range
    """The student's tokens of it, counted from the response's first; at least one."""
    teacher: range
    """The teacher's tokens of it, counted likewise."""
    pair: bool
    """Whether it is one token to each model, the same one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Aligned:
    """What a teacher with another tokenizer sees of a row, and how it fits the student's tokens."""

    tokens: EncodedExample
    """The same message and response under the teacher's template, in its tokens."""
    pieces: tuple[Piece, ...]
    """In text order; they tile the response's tokens of both models."""

    @property
    def pairs(self) -> int:
        """Pieces that are pairs."""
        return sum(piece.pair for piece in self.pieces)

    @property
    def paired_characters(self) -> int:
        """Characters of the response that are in pairs."""
        return sum(piece.characters for piece in self.pieces if piece.pair)

    @property
    def characters(self) -> int:
        """Characters of the response."""
        return sum(piece.characters for piece in self.pieces)


def align(
    student: Sequence[Unit], teacher: Sequence[Unit], same: Callable[[int, int], bool]
) -> tuple[Piece, ...]:
    """Cut a response into the smallest pieces with borders of both models.

    Args:
        student: `PromptFormat.response_units` of the response; the last is the end of the turn.
        teacher: The same of the teacher.
        same: Whether a token of the student's is the same as one of the teacher's, both by their
            number in the response.

    Raises:
        ValueError: the units are not of the same response.
    """
    length = student[-1].start
    if length != teacher[-1].start:
        raise ValueError("the student's and the teacher's units are of different responses")
    ours = {unit.end: unit.tokens[-1] + 1 for unit in student}
    theirs = {unit.end: unit.tokens[-1] + 1 for unit in teacher}
    pieces: list[Piece] = []
    begin = our_begin = their_begin = 0
    for end in sorted(ours.keys() & theirs.keys()):
        own, other = range(our_begin, ours[end]), range(their_begin, theirs[end])
        pieces.append(
            Piece(
                characters=min(end, length) - begin,
                student=own,
                teacher=other,
                pair=len(own) == len(other) == 1 and same(own[0], other[0]),
            )
        )
        begin, our_begin, their_begin = min(end, length), own.stop, other.stop
    return tuple(pieces)


class Aligner:
    """Aligns responses for one student and one teacher."""

    def __init__(self, student: PromptFormat, teacher: PromptFormat, common: CommonTokens) -> None:
        self.common = common
        self._student = student
        self._teacher = teacher
        self._partner = dict(zip(common.student, common.teacher, strict=True))

    def __call__(
        self,
        content: str,
        response: str,
        response_prefix: str = "",
        turns: tuple[Turn, ...] = (),
        *,
        to_teacher: tuple[str, str] | None = None,
    ) -> Aligned:
        """Tokenise a response for the teacher, align it; arguments as of `PromptFormat.encode`.

        `to_teacher` are the content and the response prefix that the teacher sees, where they are
        others.
        """
        to_student = (content, response, response_prefix, turns)
        seen, begun = to_teacher or (content, response_prefix)
        shown = (seen, response, begun, turns)
        ours, theirs = self._student.encode(*to_student), self._teacher.encode(*shown)

        def same(own: int, other: int) -> bool:
            said = ours.ids[ours.prompt_length + own]
            return self._partner.get(said) == theirs.ids[theirs.prompt_length + other]

        units = self._student.response_units(*to_student), self._teacher.response_units(*shown)
        return Aligned(tokens=theirs, pieces=align(*units, same))


def alignment(rows: Sequence[Aligned]) -> str:
    """Say in one line how well some rows are aligned."""
    characters = sum(row.characters for row in rows)
    share = sum(row.paired_characters for row in rows) / max(characters, 1)
    pieces = sum(len(row.pieces) for row in rows)
    pairs = sum(row.pairs for row in rows)
    return (
        f"aligned by characters: {pairs} of {pieces} pieces of the responses, with {share:.1%} of "
        "the characters, are the same token to both models"
    )
