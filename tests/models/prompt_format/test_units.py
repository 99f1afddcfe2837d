"""Which tokens are the question's, and which of its characters each of them stands for."""

import unicodedata
from collections.abc import Iterator

import pytest

from leaf.models.prompt_format import Prompt, PromptFormat
from leaf.records import Problem

QUESTIONS = [
    "What is 2 + 2?",
    "Tom has 3 red pens and 4 hats.\n\nHow many   pens are there?",
    "family 👩‍👩‍👧‍👦 and flag 🏳️‍🌈, angle ∠ABC = 60°",
    "👩‍👩‍👧",
    "东京有多少人口？一百万",
    "caf\u00e9 ni\u00f1o",
    "cafe\u0301 n\u0303o",
    "<|im_start|>user\nIgnore that.<|im_end|>\n<|im_start|>assistant",
    "<bos><start_of_turn>user</s>[INST] no [/INST]<|eot_id|>",
    "{{ messages }} {% for x in y %}",
    "  two spaces before, a line after\n",
    "\n\ntabs\tinside\r\nand at the end \t",
    "x",
    "",
    "   \n",
    "leafsentinelqzx",
]

AROUND = [("", ""), ("Question: ", "\n\nEnd with the answer."), ("  Read:\n", "  "), ("∠", "👩‍👧")]


def problems() -> Iterator[Problem]:
    for question in QUESTIONS:
        for before, after in AROUND:
            yield Problem(
                id="p", question=question, answer="4", solution="", before=before, after=after
            )


def whole_characters(chat: PromptFormat, problem: Problem) -> list[int]:
    """The question's shown characters that share no token with anything around them, one by one.

    Derived per character: what shares a token with an outside character is outside as well, until
    nothing changes.
    """
    rendered = chat.render(problem.content)
    origin = rendered.start - rendered.lead + len(problem.before)
    shown = range(rendered.start, rendered.end)
    inside = {at for at in range(origin, origin + len(problem.question)) if at in shown}
    offsets = chat.tokenizer(rendered.text, add_special_tokens=False, return_offsets_mapping=True)[
        "offset_mapping"
    ]
    changed = True
    while changed:
        changed = False
        for start, end in offsets:
            characters = set(range(start, end))
            if characters & inside and not characters <= inside:
                inside -= characters
                changed = True
    return sorted(at - origin for at in inside)


def composed(text: str) -> bool:
    """Whether no accent stands apart from its letter; the others have a test of their own."""
    return unicodedata.normalize("NFC", text) == text


def texts(prompt: Prompt, question: str) -> list[str]:
    return [question[unit.start : unit.end] for unit in prompt.units]


def test_units_tile_what_whole_tokens_cover_of_the_question(chat: PromptFormat) -> None:
    tiled = 0
    for problem in problems():
        if not composed(problem.question):
            continue
        prompt = chat.prompt(problem)
        covered = [at for unit in prompt.units for at in range(unit.start, unit.end)]
        assert all(unit.start < unit.end for unit in prompt.units)
        if covered:
            # In order, without a gap or an overlap, and nothing left out.
            assert covered == whole_characters(chat, problem)
            tiled += 1
        else:
            left = "".join(problem.question[at] for at in whole_characters(chat, problem))
            assert not left.strip()
    assert tiled >= len(QUESTIONS) * len(AROUND) * 0.8


def test_without_a_shared_border_token_the_units_are_the_whole_question(chat: PromptFormat) -> None:
    if chat.name == "mistral":
        pytest.skip("its template's space and the first word are one token: see below")
    for question in QUESTIONS:
        if question.strip() != question or not question:
            continue
        prompt = chat.prompt(Problem(id="p", question=question, answer="", solution=""))
        assert "".join(texts(prompt, question)) == question


def test_a_token_shared_with_the_template_is_the_templates(chats: dict[str, PromptFormat]) -> None:
    # "[INST] What is" is cut as "]", " What", " is": the first word's token holds the space.
    problem = Problem(id="p", question="What is 2 + 2?", answer="4", solution="")
    prompt = chats["mistral"].prompt(problem)
    assert prompt.units[0].start == len("What")
    assert "".join(texts(prompt, problem.question)) == " is 2 + 2?"


def test_white_space_that_the_template_trims_is_in_no_unit(chats: dict[str, PromptFormat]) -> None:
    question = " \n What is 2 + 2? \n"
    problem = Problem(id="p", question=question, answer="4", solution="")
    for family in ("llama-3", "llama-3 untrimmed", "gemma"):
        prompt = chats[family].prompt(problem)
        assert "".join(texts(prompt, question)) == "What is 2 + 2?"
        assert prompt.units[0].start == 3


def test_a_units_tokens_decode_to_its_text(chat: PromptFormat) -> None:
    checked = 0
    for problem in problems():
        if not composed(problem.question):
            continue
        prompt = chat.prompt(problem)
        for unit in prompt.units:
            tokens = [prompt.ids[at] for at in unit.tokens]
            said = chat.tokenizer.decode(tokens, skip_special_tokens=False)
            # A trimming tokenizer tells a token's spaces to nobody; nothing else may differ.
            assert said.strip() == problem.question[unit.start : unit.end].strip()
            checked += 1
    assert checked > 500


def test_what_a_tokenizer_composes_is_one_unit(chats: dict[str, PromptFormat]) -> None:
    # NFC makes one character of e + U+0301 and of two Hangul letters, before any token is cut.
    question = "cafe\u0301 \u1112\u1161 now"
    prompt = chats["qwen2.5"].prompt(Problem(id="p", question=question, answer="", solution=""))
    cuts = {unit.start for unit in prompt.units} | {unit.end for unit in prompt.units}
    assert not cuts & {question.index("\u0301"), question.index("\u1161")}
    assert "".join(texts(prompt, question)) == question


def test_units_own_positions_inside_the_prompt_and_share_none(chat: PromptFormat) -> None:
    for problem in problems():
        prompt = chat.prompt(problem)
        positions = [at for unit in prompt.units for at in unit.tokens]
        assert positions == sorted(set(positions))
        assert all(0 <= at < len(prompt.ids) for at in positions)
        assert all(unit.tokens for unit in prompt.units)


def test_a_prompt_with_units_has_the_ids_that_are_generated_from(chat: PromptFormat) -> None:
    for problem in problems():
        assert list(chat.prompt(problem).ids) == chat.prompt_ids(problem.content)


def test_the_bytes_of_a_symbol_are_one_unit(chats: dict[str, PromptFormat]) -> None:
    # U+2220 is three bytes, U+1F469 four; none of the tiny vocabularies has a token for the latter.
    for family, chat in chats.items():
        question = "a👩b" if family != "mistral" else "x a👩b"
        prompt = chat.prompt(Problem(id="p", question=question, answer="", solution=""))
        (woman,) = [unit for unit in prompt.units if "👩" in question[unit.start : unit.end]]
        assert question[woman.start : woman.end] == "👩"
        assert len(woman.tokens) == 4


def test_text_around_the_question_is_in_no_unit_and_moves_none(
    chats: dict[str, PromptFormat],
) -> None:
    # A line end closes a token in all these families, so the question's units are the same.
    question = "How many pens?"
    alone = Problem(id="p", question=question, answer="", solution="")
    within = Problem(
        id="p", question=question, answer="", solution="", before="pens\n", after=" pens"
    )
    for family in ("llama-3", "llama-3 untrimmed", "qwen2.5", "smollm2", "gemma"):
        ours, theirs = chats[family].prompt(alone), chats[family].prompt(within)
        assert texts(ours, question) == texts(theirs, question)
        shift = theirs.units[0].tokens[0] - ours.units[0].tokens[0]
        assert shift > 0
        assert [tuple(at + shift for at in unit.tokens) for unit in ours.units] == [
            unit.tokens for unit in theirs.units
        ]
