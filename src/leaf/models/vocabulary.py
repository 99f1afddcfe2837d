"""What two tokenizers have in common: tokens that say the same text, and tokens that begin alike.

    student           teacher           common token c
    7 " pens"    <->  3 " pens"         0               both have it
    8 "1"        <->  5 "1"             1
    9 "12"        ->                    1               the teacher cuts "12" into "1" and "2"
                  <-  6 " penstock"     0               the student cuts off " pens" first

Here `student` is (7, 8), `teacher` (3, 5), `student_longer` {9: 1} and `teacher_longer` {6: 0}: who
expects "12" expects "1" first, so its probability counts for that common token, and what both
models expect can be compared. Special tokens say no text; only those that end a turn have each
other as partners.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from transformers.convert_slow_tokenizer import bytes_to_unicode

from leaf.errors import ModelError, RecipeError
from leaf.models.load import Tokenizer
from leaf.models.prompt_format import PromptFormat
from leaf.recipe import DistillSection

_BYTES = {character: byte for byte, character in bytes_to_unicode().items()}  # type: ignore[no-untyped-call]
"""How byte-level tokenizers write bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CommonTokens:
    """The tokens that both vocabularies have, one to one, and what begins with them."""

    student: tuple[int, ...]
    """In the order of their ids."""
    teacher: tuple[int, ...]
    """`teacher[c]` says the same as `student[c]`."""
    student_longer: Mapping[int, int]
    """Token that the student alone has -> the number c of the common token that it begins with."""
    teacher_longer: Mapping[int, int]
    """The same of the teacher's own tokens."""
    student_size: int
    """Tokens of the student's vocabulary."""

    @property
    def share(self) -> float:
        """Share of the student's vocabulary that the teacher has too."""
        return len(self.student) / self.student_size


def same_tokenizer(student: Tokenizer, teacher: Tokenizer) -> bool:
    """Whether both tokenizers give every token the same id."""
    return student.get_vocab() == teacher.get_vocab()


def check_tokenizers(
    student: PromptFormat, teacher: PromptFormat, section: DistillSection
) -> str | None:
    """Say in one line how two different tokenizers meet; None where they are the same.

    Raises:
        ModelError: no token is common.
        RecipeError: a setting needs the same tokenizer.
    """
    if same_tokenizer(student.tokenizer, teacher.tokenizer):
        return None
    common = common_tokens(student, teacher)
    who = f"the student {student.name} and the teacher {teacher.name}"
    if not common.student:
        raise ModelError(f"{who} have no token in common: choose a teacher of another family")
    if section.needs_teacher:
        needs = "needs a teacher with the student's tokenizer, and"
        if section.teacher not in {"online", "hidden"}:
            raise RecipeError(
                f"distill.teacher: {section.teacher} {needs} {who} have different ones; "
                "use online or hidden"
            )
        if section.hidden:
            raise RecipeError(f"distill.hidden {needs} {who} have different ones; leave it out")
        if section.temperature != 1.0:
            raise RecipeError(
                f"distill.temperature: {section.temperature:g} {needs} {who} have different ones; "
                "use 1.0"
            )
    return (
        f"{who} have different tokenizers: {len(common.student)} of the student's "
        f"{common.student_size} tokens ({common.share:.0%}) are the teacher's too; scores and "
        "responses are aligned by characters"
    )


def common_tokens(student: PromptFormat, teacher: PromptFormat) -> CommonTokens:
    """Pair the tokens that say the same bytes, and those that end a turn with one token.

    A token that one vocabulary alone has belongs to the first token that the other tokenizer cuts
    off its text; where that one is not common either, to the first that its own would cut off that,
    and so on: each is shorter than the one before.
    """
    student_ids, teacher_ids = token_ids(student.tokenizer), token_ids(teacher.tokenizer)
    common = student_ids.keys() & teacher_ids.keys()
    # Student's token, teacher's token, text; in the order of the student's ids.
    rows = sorted((student_ids[text], teacher_ids[text], text) for text in common)
    if len(student.end_of_turn) == len(teacher.end_of_turn) == 1:
        ends = (*student.end_of_turn, *teacher.end_of_turn, b"")
        rows = sorted([*(row for row in rows if row[0] != ends[0] and row[1] != ends[1]), ends])
    numbers = {text: number for number, (_, _, text) in enumerate(rows)}
    beginnings = _beginnings(student_ids, teacher.tokenizer, teacher_ids)
    beginnings |= _beginnings(teacher_ids, student.tokenizer, student_ids)
    return CommonTokens(
        student=tuple(row[0] for row in rows),
        teacher=tuple(row[1] for row in rows),
        student_longer=_longer(student_ids, numbers, beginnings),
        teacher_longer=_longer(teacher_ids, numbers, beginnings),
        student_size=len(student.tokenizer.get_vocab()),
    )


def token_ids(tokenizer: Tokenizer) -> dict[bytes, int]:
    """Return the token that says each text, as bytes; special tokens say none.

    Of several tokens that say the same, one of text goes before one that stands for a byte.
    """
    added = tokenizer.added_tokens_decoder
    special = {token for token in added if added[token].special} | set(tokenizer.all_special_ids)
    byte_level = b'"ByteLevel"' in tokenizer.backend_tokenizer.decoder.__getstate__()
    named = sorted(tokenizer.get_vocab().items(), key=lambda item: (not _is_byte(item[0]), item[1]))
    return {
        name.encode() if token in added else _bytes_of(name, byte_level=byte_level): token
        for name, token in named
        if token not in special
    }


def _bytes_of(name: str, *, byte_level: bool) -> bytes:
    """Return the bytes of a token's text from its name in the vocabulary."""
    if byte_level:
        known = all(character in _BYTES for character in name)
        return bytes(map(_BYTES.__getitem__, name)) if known else name.encode()
    return bytes([int(name[3:5], 16)]) if _is_byte(name) else name.replace("▁", " ").encode()


def _is_byte(name: str) -> bool:
    """Whether a token stands for one byte in vocabularies of SentencePiece's kind."""
    return len(name) == 6 and name.startswith("<0x") and name.endswith(">")


def _beginnings(
    texts: Mapping[bytes, int], other: Tokenizer, others: Mapping[bytes, int]
) -> dict[bytes, bytes]:
    """Return the first piece that the other tokenizer cuts off each text that it has no token for.

    A tokenizer that puts a space before every text gets those that begin with one without it. Where
    its first piece is not how the text begins (that space again, or the text is part of a symbol),
    the longest of its tokens that is so is taken.
    """
    text_of = {token: text for text, token in others.items()}
    alone = [text for text in texts if text not in others]
    adds_space = text_of.get(other("a", add_special_tokens=False)["input_ids"][0], b"")[:1] == b" "
    readable = [text.removeprefix(b" " * adds_space).decode(errors="replace") for text in alone]
    cuts = other(readable, add_special_tokens=False)["input_ids"] if alone else []
    beginnings: dict[bytes, bytes] = {}
    for text, ids in zip(alone, cuts, strict=True):
        first = text_of.get(ids[0], b"") if ids else b""
        if not first or not text.startswith(first):
            lengths = range(len(text) - 1, 0, -1)
            first = next((text[:size] for size in lengths if text[:size] in others), b"")
        beginnings[text] = first
    return beginnings


def _longer(
    texts: Mapping[bytes, int], numbers: Mapping[bytes, int], beginnings: Mapping[bytes, bytes]
) -> dict[int, int]:
    """Return the common token's number for each token that is not common but begins with one."""
    longer: dict[int, int] = {}
    for text, token in texts.items():
        if text in numbers:
            continue
        first = beginnings.get(text, b"")
        while first and first not in numbers:
            first = beginnings.get(first, b"")
        if first:
            longer[token] = numbers[first]
    return longer
