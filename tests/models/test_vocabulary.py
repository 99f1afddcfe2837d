"""What two tokenizers have in common, on small byte-level ones and one of SentencePiece's kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, normalizers
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast

from leaf.errors import RecipeError
from leaf.models.files import find
from leaf.models.load import load_tokenizer
from leaf.models.prompt_format import PromptFormat
from leaf.models.vocabulary import check_tokenizers, common_tokens, same_tokenizer, token_ids
from leaf.recipe import DistillSection, ModelSection

ByteLevelChat = Callable[[list[tuple[str, str]], str], PromptFormat]


def sentence_piece(pieces: list[str], end: str) -> PromptFormat:
    """A tokenizer of one-letter pieces, `▁` and all bytes, with a space put before every text."""
    named = [end, "<pad>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    model = BPE(
        vocab={piece: number for number, piece in enumerate(named)},
        merges=[(piece[:-1], piece[-1]) for piece in pieces if len(piece) > 1],
        byte_fallback=True,
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    specials = [AddedToken(text, special=True, normalized=False) for text in (end, "<pad>")]
    tokenizer.add_special_tokens(specials)
    wrapped = cast(Any, PreTrainedTokenizerFast)(
        tokenizer_object=tokenizer,
        eos_token=end,
        pad_token="<pad>",  # noqa: S106
    )
    return PromptFormat(wrapped, name=end)


def names(of: PromptFormat, tokens: Any) -> Any:
    return cast(Any, of.tokenizer).convert_ids_to_tokens(list(tokens))


@pytest.fixture(scope="module")
def student(byte_level: ByteLevelChat) -> PromptFormat:
    return byte_level([("o", "n"), ("Ġ", "a"), ("Ġa", "b"), ("c", "d"), ("cd", "e")], "<end>")


@pytest.fixture(scope="module")
def teacher(byte_level: ByteLevelChat) -> PromptFormat:
    longer = [("Ġab", "c"), ("c", "d"), ("cd", "x"), ("cdx", "y")]
    return byte_level([("Ġ", "a"), ("Ġa", "b"), *longer], "</s>")


def test_partners_say_the_same_and_ends_of_turns_are_partners(
    student: PromptFormat, teacher: PromptFormat
) -> None:
    common = common_tokens(student, teacher)
    ours, theirs = names(student, common.student), names(teacher, common.teacher)
    # 256 bytes, three merges that both have, and the ends of the turn, whose names differ.
    assert len(ours) == 256 + 3 + 1
    assert set(ours) - set(ByteLevel.alphabet()) == {"Ġa", "Ġab", "cd", "<end>"}
    assert {pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]} == {
        ("<end>", "</s>")
    }
    # 256 bytes, five merges, two special tokens.
    assert common.share == 260 / 263


def test_a_longer_token_belongs_to_the_first_that_the_other_model_would_say(
    student: PromptFormat, teacher: PromptFormat
) -> None:
    common = common_tokens(student, teacher)

    def found(own: PromptFormat, longer: Any) -> dict[str, str]:
        (own_names, firsts) = (names(own, longer), [common.student[at] for at in longer.values()])
        return dict(zip(own_names, names(student, firsts), strict=True))

    # "on" is o n to the teacher; "cde" is cd e, and "cd" is common.
    assert found(student, common.student_longer) == {"on": "o", "cde": "cd"}
    # " abc" is " ab" c to the student; "cdx" and "cdxy" begin with its "cd".
    assert found(teacher, common.teacher_longer) == {"Ġabc": "Ġab", "cdx": "cd", "cdxy": "cd"}


def test_a_chain_of_tokens_that_neither_shares_ends_at_a_common_one(
    byte_level: ByteLevelChat,
) -> None:
    # The teacher's "abcd" begins with the student's "abc", which begins with the teacher's "ab",
    # which begins with a, which is common.
    ours = byte_level([("b", "c"), ("a", "bc")], "<end>")
    theirs = byte_level([("a", "b"), ("c", "d"), ("ab", "cd")], "</s>")
    common = common_tokens(ours, theirs)
    (longest,) = (
        number
        for token, number in common.teacher_longer.items()
        if names(theirs, [token]) == ["abcd"]
    )
    assert names(ours, [common.student[longest]]) == ["a"]


def test_vocabularies_of_two_kinds_meet_on_bytes(student: PromptFormat) -> None:
    theirs = sentence_piece(["▁", "a", "b", "▁a", "é"], "</s>")
    common = common_tokens(student, theirs)
    pairs = dict(zip(names(student, common.student), names(theirs, common.teacher), strict=True))
    assert pairs["Ġa"] == "▁a"
    # The letter a goes before the byte <0x61>, which says the same.
    assert pairs["a"] == "a"
    assert pairs["Ċ"] == "<0x0A>"
    # é is one token there and two bytes here: it belongs to its first byte.
    longer = dict(
        zip(names(theirs, common.teacher_longer), common.teacher_longer.values(), strict=True)
    )
    assert names(student, [common.student[longer["é"]]]) == ["Ã"]
    # It puts a space before every text: " ab" is "▁a" b to it, but "cd" does not begin with one.
    longer = dict(
        zip(names(student, common.student_longer), common.student_longer.values(), strict=True)
    )
    assert names(student, [common.student[longer["Ġab"]]]) == ["Ġa"]
    assert names(student, [common.student[longer["cd"]]]) == ["c"]


def test_special_tokens_say_no_text(student: PromptFormat) -> None:
    assert b"<pad>" not in token_ids(student.tokenizer)
    assert token_ids(student.tokenizer)[b" ab"] == student.tokenizer.get_vocab()["Ġab"]


def test_the_same_tokenizer_is_told_from_another(cue_pair: Path, foreign_pair: Path) -> None:
    def tokenizer(folder: Path) -> Any:
        return load_tokenizer(find(ModelSection(model=str(folder))))

    student = tokenizer(cue_pair / "student")
    assert same_tokenizer(student, tokenizer(cue_pair / "teacher"))
    assert not same_tokenizer(student, tokenizer(foreign_pair / "teacher"))


def test_equal_tokenizers_have_every_token_of_text_in_common(student: PromptFormat) -> None:
    common = common_tokens(student, student)
    assert common.student == common.teacher
    # All but the padding.
    assert len(common.student) == common.student_size - 1
    assert (common.student_longer, common.teacher_longer) == ({}, {})


def test_a_line_says_what_is_common(student: PromptFormat, teacher: PromptFormat) -> None:
    assert check_tokenizers(student, student, DistillSection()) is None
    assert check_tokenizers(student, teacher, DistillSection()) == (
        "the student <end> and the teacher </s> have different tokenizers: 260 of the student's "
        "263 tokens (99%) are the teacher's too; scores and responses are aligned by characters"
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"teacher": "topk"}, "distill.teacher: topk needs a teacher with the student's tokenizer"),
        ({"teacher": "served"}, "use online or hidden"),
        ({"temperature": 2.0}, "distill.temperature: 2 needs a teacher with the student's token"),
    ],
)
def test_what_needs_the_same_tokenizer_is_refused(
    student: PromptFormat, teacher: PromptFormat, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        check_tokenizers(student, teacher, DistillSection(**settings))
    assert said in str(caught.value)
    # Without a teacher in the loss, nothing of it matters.
    assert check_tokenizers(student, teacher, DistillSection(cross_entropy=1.0, **settings))
