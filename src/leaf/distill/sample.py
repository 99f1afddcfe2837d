"""A training row as the models see it."""

from collections.abc import Sequence
from dataclasses import dataclass

from leaf.distill.align import Aligned, Aligner
from leaf.distill.rows import TrainingExample
from leaf.models.prompt_format import EncodedExample, PromptFormat
from leaf.store.keys import digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A row and its tokens under the student's chat template."""

    row: TrainingExample
    tokens: EncodedExample
    aligned: Aligned | None = None
    """How a teacher with another tokenizer sees it; None where the teacher has the student's."""

    @property
    def teacher_tokens(self) -> EncodedExample:
        """What the teacher is shown."""
        return self.aligned.tokens if self.aligned else self.tokens

    @property
    def length(self) -> int:
        """Tokens of the prompt and the response."""
        return len(self.tokens.ids)


def encode_rows(
    chat: PromptFormat, rows: Sequence[TrainingExample], cutoff: int, aligner: Aligner | None = None
) -> tuple[list[Sample], list[TrainingExample]]:
    """Tokenise rows; return those within `cutoff` tokens, and the rows that are longer.

    `aligner` is needed for a teacher with another tokenizer; its tokens are not counted.
    """
    kept: list[Sample] = []
    longer: list[TrainingExample] = []
    for row in rows:
        what = (row.content, row.response, row.response_prefix)
        sample = Sample(
            row=row,
            tokens=chat.encode(*what),
            aligned=aligner(*what) if aligner else None,
        )
        if sample.length > cutoff:
            longer.append(row)
        else:
            kept.append(sample)
    return kept, longer


def content_key(tokens: EncodedExample) -> str:
    """Name what a model is shown: its token ids and where the response begins."""
    return digest([tokens.prompt_length, *tokens.ids])
