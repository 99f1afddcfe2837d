"""A training row as the models see it."""

from collections.abc import Sequence
from dataclasses import dataclass

from leaf.distill.align import Aligned, Aligner
from leaf.distill.rows import TrainingExample
from leaf.errors import ChatError
from leaf.models.prompt_format import EncodedExample, PromptFormat
from leaf.store.keys import digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A row and its tokens under the student's chat template."""

    row: TrainingExample
    tokens: EncodedExample
    """What the student is shown."""
    apart: EncodedExample | None = None
    """The same response after the teacher's own prompt, in the same tokens; None where the teacher
    sees the student's prompt."""
    aligned: Aligned | None = None
    """How a teacher with another tokenizer sees it; None where the teacher has the student's."""

    @property
    def teacher_tokens(self) -> EncodedExample:
        """What the teacher is shown."""
        return self.aligned.tokens if self.aligned else self.apart or self.tokens

    @property
    def length(self) -> int:
        """Tokens of the prompt and the response, as the student sees them."""
        return len(self.tokens.ids)

    @property
    def longest(self) -> int:
        """Tokens of the longer prompt, the student's or the teacher's, and of the response."""
        return max(self.length, len(self.apart.ids) if self.apart else 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A row that cannot be trained on."""

    row: TrainingExample
    reason: str
    """Why, as what it is: "longer than ..."."""


REWRITTEN = "whose response its chat template rewrites"
"""Why a row is left out: the student would learn what its template never shows it."""

OTHER_TOKENS = "of other response tokens after the teacher's prompt than after the student's"
"""Why a row is left out: no position of one model would be that of the other."""


def encode_rows(
    chat: PromptFormat,
    rows: Sequence[TrainingExample],
    cutoff: int,
    aligner: Aligner | None = None,
    *,
    limit: str = "",
) -> tuple[list[Sample], list[LeftOut]]:
    """Tokenise rows; return them, but for those that are too long or no use, which come second.

    What is left out does not depend on `aligner`, so that a plan made without it holds.

    Args:
        chat: The student's chat template.
        rows: What is tokenised.
        cutoff: Most tokens of either prompt with the response, in the student's tokens.
        aligner: Needed for a teacher with another tokenizer; its tokens are not counted.
        limit: What `cutoff` is, for reasons; "": `distill.cutoff`.
    """
    kept: list[Sample] = []
    left: list[LeftOut] = []
    for row in rows:
        if reason := _changed(chat, row):
            left.append(LeftOut(row=row, reason=reason))
            continue
        sample = _encode(chat, row, aligner)
        if sample.longest > cutoff:
            reason = f"longer than {limit or f'distill.cutoff of {cutoff} tokens'}"
        elif sample.apart and _response(sample.apart) != _response(sample.tokens):
            reason = OTHER_TOKENS
        if reason:
            left.append(LeftOut(row=row, reason=reason))
        else:
            kept.append(sample)
    return kept, left


def _changed(chat: PromptFormat, row: TrainingExample) -> str:
    """Say why a row is not what the template makes of it; "" where it is."""
    try:
        if row.two_contexts:
            chat.render(row.to_teacher[0], row.turns)
        if chat.rewrites(row.content, row.response_prefix + row.response, row.turns):
            return REWRITTEN
    except ChatError as error:
        return f"that cannot be shown: {error}"
    return ""


def _encode(chat: PromptFormat, row: TrainingExample, aligner: Aligner | None) -> Sample:
    what = (row.content, row.response, row.response_prefix, row.turns)
    content, prefix = row.to_teacher
    return Sample(
        row=row,
        tokens=chat.encode(*what),
        apart=chat.encode(content, row.response, prefix, row.turns) if row.two_contexts else None,
        aligned=aligner(*what, to_teacher=row.to_teacher) if aligner else None,
    )


def _response(item: EncodedExample) -> tuple[int, ...]:
    return item.ids[item.prompt_length :]


def content_key(tokens: EncodedExample) -> str:
    """Name what a model is shown: its token ids and where the response begins."""
    return digest([tokens.prompt_length, *tokens.ids])
