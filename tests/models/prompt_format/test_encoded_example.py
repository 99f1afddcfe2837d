"""A prompt with its response: where the response begins and how a turn ends."""

from collections.abc import Callable
from typing import Any

import pytest

from leaf.errors import ChatError
from leaf.models.prompt_format import PromptFormat

END_OF_TURN = {
    "llama-3": "<|eot_id|>",
    "llama-3 untrimmed": "<|eot_id|>",
    "qwen2.5": "<|im_end|>",
    "real qwen2.5": "<|im_end|>",
    "smollm2": "<|im_end|>",
    "real smollm2": "<|im_end|>",
    "gemma": "<end_of_turn>",
    "mistral": "</s>",
    "base": "<|endoftext|>",
    "base with bos": "</s>",
}

RESPONSES = [
    "The answer is 4.",
    "4",
    "\n\nThe answer\n  is 4.\n",
    "∠ABC = 60° 👩‍👧",
    "东京",
    "",
]


def test_a_conversation_is_prompt_response_and_one_end_of_turn(chat: PromptFormat) -> None:
    (end,) = chat.end_of_turn
    assert chat.tokenizer.decode([end]) == END_OF_TURN[chat.name]
    prompt = chat.prompt_ids("What is 2 + 2?")
    for response in RESPONSES:
        conversation = chat.encode("What is 2 + 2?", response)
        assert list(conversation.ids[: conversation.prompt_length]) == prompt
        *answer, last = conversation.ids[conversation.prompt_length :]
        assert last == end
        assert end not in answer
        assert chat.tokenizer.decode(answer).strip() == response.strip()
        assert conversation.response_length == len(answer) + 1


def test_a_conversation_begins_the_tokenizers_own_dialogue(chat: PromptFormat) -> None:
    if not chat.has_template:
        pytest.skip("a base model has no dialogue of its own")
    messages = [
        {"role": "user", "content": "What is 2 + 2?"},
        {"role": "assistant", "content": "The answer is 4."},
    ]
    own = chat.tokenizer.apply_chat_template(
        messages, tokenize=True, return_dict=False, date_string="26 Jul 2024"
    )
    ids = list(chat.encode("What is 2 + 2?", "The answer is 4.").ids)
    assert own[: len(ids)] == ids
    # After the end of the turn there is a line end at most.
    assert not chat.tokenizer.decode(own[len(ids) :]).strip()


def test_a_response_that_would_merge_with_the_prompt_leaves_the_prompt_as_it_is(
    chats: dict[str, PromptFormat],
) -> None:
    # A base prompt ends with a line end, and the vocabulary has a token for two of them.
    chat = chats["base"]
    prompt = chat.prompt_ids("What is 2 + 2?")
    together = chat.tokenizer("What is 2 + 2?\n\n\nFour", add_special_tokens=False)["input_ids"]
    assert together[: len(prompt)] != prompt
    conversation = chat.encode("What is 2 + 2?", "\n\nFour")
    assert list(conversation.ids[: conversation.prompt_length]) == prompt
    assert chat.tokenizer.decode(list(conversation.ids[:-1])) == "What is 2 + 2?\n\n\nFour"


@pytest.mark.parametrize(
    ("family", "template"),
    [
        # Gemma 3 ends a turn with a special token that is none of the tokenizer's named ones.
        ("gemma 3", None),
        # Phi 3 does so too, and puts the eos token after the last turn.
        (
            "phi 3",
            "{% for turn in messages %}{{ '<|' ~ turn.role ~ '|>\n' ~ turn.content"
            " ~ '<end_of_turn>\n' }}{% endfor %}"
            "{{ '<|assistant|>\n' if add_generation_prompt else eos_token }}",
        ),
    ],
)
def test_the_end_of_turn_is_found_when_it_is_no_named_special_token(
    make_tokenizer: Callable[[str], Any], family: str, template: str | None
) -> None:
    tokenizer = make_tokenizer("gemma 3")
    tokenizer.chat_template = template or tokenizer.chat_template
    end = tokenizer.convert_tokens_to_ids("<end_of_turn>")
    assert end not in tokenizer.all_special_ids
    assert PromptFormat(tokenizer, name=family).end_of_turn == (end,)


def test_a_tokenizer_without_any_end_is_refused(make_tokenizer: Callable[[str], Any]) -> None:
    tokenizer = make_tokenizer("base")
    tokenizer.eos_token = None
    with pytest.raises(ChatError, match=r"^tiny: neither its template nor its tokenizer ends"):
        PromptFormat(tokenizer, name="tiny")
