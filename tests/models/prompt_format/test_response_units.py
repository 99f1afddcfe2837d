"""The characters of a response's tokens, for every family of tokenizers."""

import pytest

from leaf.models.prompt_format import PromptFormat

QUESTION = "What is 2 + 2?"

RESPONSES = [
    "The answer is 4.",
    "  Tom has 3 red pens.\n\nHow many   pens?\n",
    "∠ABC = 60° 👩‍👧 cafe\u0301",
    "东京",
    "4 pens   ",
    " ",
    "\n",
    "",
]


@pytest.mark.parametrize("begun", ["", "The answer is"])
@pytest.mark.parametrize("response", RESPONSES)
def test_units_tile_the_text_and_the_tokens_of_a_response(
    chat: PromptFormat, response: str, begun: str
) -> None:
    units = chat.response_units(QUESTION, response, begun)
    conversation = chat.encode(QUESTION, response, begun)
    # One unit begins where the one before it ends, from the first character to the end of turn.
    assert [unit.start for unit in units] == [0, *(unit.end for unit in units[:-1])]
    assert (units[-1].start, units[-1].end) == (len(response), len(response) + 1)
    tokens = [token for unit in units for token in unit.tokens]
    assert tokens == list(range(conversation.response_length))
    said = conversation.ids[conversation.prompt_length :]
    assert tuple(said[token] for token in units[-1].tokens) == chat.end_of_turn


def test_tokens_of_a_unit_say_its_characters(chats: dict[str, PromptFormat]) -> None:
    # A tokenizer that reports every space: what its tokens decode to is the text of their unit.
    chat = chats["qwen2.5"]
    text = "Tom has 3 red pens.\n\nHow ∠ABC"
    said = chat.encode(QUESTION, text).ids[chat.encode(QUESTION, text).prompt_length :]
    *units, _end = chat.response_units(QUESTION, text)
    assert len(units) > 8
    for unit in units:
        decoded = chat.tokenizer.decode([said[token] for token in unit.tokens])
        assert decoded == text[unit.start : unit.end]


def test_a_symbol_of_several_tokens_is_one_unit(chats: dict[str, PromptFormat]) -> None:
    # This vocabulary has never seen a tree: its four bytes are four tokens.
    units = chats["qwen2.5"].response_units(QUESTION, "a🌳b")
    assert [(unit.start, unit.end, unit.tokens) for unit in units] == [
        (0, 1, (0,)),
        (1, 2, (1, 2, 3, 4)),
        (2, 3, (5,)),
        (3, 4, (6,)),
    ]
