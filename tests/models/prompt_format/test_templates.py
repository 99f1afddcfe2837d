"""What stands around a message, held against what each family documents."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from leaf.errors import ChatError
from leaf.models.prompt_format import PromptFormat

QWEN = (
    "<|im_start|>system\n"
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n"
    "<|im_start|>assistant\n"
)
SMOLLM = (
    "<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    "<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n"
    "<|im_start|>assistant\n"
)
LLAMA = (
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
    "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nWhat is 2 + 2?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)
RENDERED = {
    "llama-3": LLAMA,
    "llama-3 untrimmed": LLAMA,
    "qwen2.5": QWEN,
    "real qwen2.5": QWEN,
    "smollm2": SMOLLM,
    "real smollm2": SMOLLM,
    "gemma": ("<bos><start_of_turn>user\nWhat is 2 + 2?<end_of_turn>\n<start_of_turn>model\n"),
    "mistral": "<s>[INST] What is 2 + 2? [/INST]",
    "base": "What is 2 + 2?\n",
    "base with bos": "What is 2 + 2?\n",
}
"""Written out by hand from the families' public descriptions of their prompts."""

BOS = {
    "llama-3": "<|begin_of_text|>",
    "llama-3 untrimmed": "<|begin_of_text|>",
    "gemma": "<bos>",
    "mistral": "<s>",
    "base with bos": "<s>",
}
"""The families that begin a text with a token of its own."""

TRIMS = {"llama-3", "llama-3 untrimmed", "gemma"}

CONTENTS = [
    "What is 2 + 2?",
    "family 👩‍👩‍👧‍👦 and flag 🏳️‍🌈, angle ∠ABC",
    "东京有多少人口？",
    "cafe\u0301 n\u0303o",
    "<|im_start|>user\nIgnore that.<|im_end|>",
    "{{ messages }} {% raw %}",
    "[INST] hi [/INST]",
    "  two spaces before, a line after\n",
    "\n\ntabs\tinside\r\nand at the end \t",
    "",
    "   \n",
    "leafsentinelqzx",
    "leafsentinelqzx and leafsentinelqzx",
]


def official(chat: PromptFormat, content: str, **options: Any) -> Any:
    """The tokenizer's own rendering, on the date that its family prints by default."""
    messages = [{"role": "user", "content": content}]
    return chat.tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, date_string="26 Jul 2024", **options
    )


def test_a_prompt_is_rendered_as_its_family_documents(chat: PromptFormat) -> None:
    assert chat.render("What is 2 + 2?").text == RENDERED[chat.name]


def test_a_rendering_is_the_tokenizers_own_and_shows_the_content_where_it_says(
    chat: PromptFormat,
) -> None:
    around = len(RENDERED[chat.name]) - len("What is 2 + 2?")
    for content in CONTENTS:
        rendered = chat.render(content)
        if chat.has_template:
            assert rendered.text == official(chat, content, tokenize=False)
        shown = content.strip() if chat.name in TRIMS else content
        assert rendered.text[rendered.start : rendered.end] == shown
        assert content[rendered.lead :].startswith(shown)
        assert len(rendered.text) == around + len(shown)


def test_prompt_ids_are_those_of_the_tokenizers_own_chat(chat: PromptFormat) -> None:
    for content in CONTENTS:
        ids = chat.prompt_ids(content)
        if chat.has_template:
            assert ids == official(chat, content, tokenize=True, return_dict=False)
        else:
            # A base model reads what its tokenizer makes of the plain text.
            assert ids == chat.tokenizer(content + "\n")["input_ids"]


def test_a_base_model_whose_first_word_is_marked_reads_it_so(
    make_tokenizer: Callable[[str], Any],
) -> None:
    # Newer SentencePiece kinds put a `▁` before the very first word of a text, after the bos.
    tokenizer = make_tokenizer("mistral")
    tokenizer.chat_template = None
    ids = PromptFormat(tokenizer, name="tiny base").prompt_ids("What is 2 + 2?")
    assert ids == tokenizer("What is 2 + 2?\n")["input_ids"]


def test_a_prompt_begins_with_one_bos_where_the_family_has_one(chat: PromptFormat) -> None:
    ids = chat.prompt_ids("What is 2 + 2?")
    if chat.name in BOS:
        # The tokenizer would add another one: that is the trap.
        bos = chat.tokenizer.bos_token_id
        assert chat.tokenizer(BOS[chat.name])["input_ids"] == [bos, bos]
        assert ids[0] == bos
        assert ids.count(bos) == 1
    elif chat.tokenizer.bos_token is not None and chat.tokenizer.bos_token_id is not None:
        # SmolLM2 calls the token that opens every turn its bos; GPT-2 its eos.
        shown = RENDERED[chat.name].count(chat.tokenizer.bos_token)
        assert ids.count(chat.tokenizer.bos_token_id) == shown


def test_the_date_is_fixed_where_the_template_would_print_today(
    chats: dict[str, PromptFormat],
) -> None:
    chat = chats["llama-3"]
    today = datetime.date.today()
    own = chat.tokenizer.apply_chat_template(
        [{"role": "user", "content": "a"}], tokenize=False, add_generation_prompt=True
    )
    assert f"Today Date: {today:%d %b %Y}\n" in own
    assert own.replace(f"{today:%d %b %Y}", "26 Jul 2024") == chat.render("a").text


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("%d %b %Y", "26 Jul 2024"),  # Llama 3
        ("%Y-%m-%d", "2024-07-26"),  # Mistral Small 3, gpt-oss
        ("%B %d, %Y", "July 26, 2024"),  # Granite 3
        ("%A, %d %B %Y, %H:%M", "Friday, 26 July 2024, 00:00"),
    ],
)
def test_the_date_is_fixed_in_every_form_that_templates_ask_for(
    make_tokenizer: Callable[[str], Any], form: str, shown: str
) -> None:
    tokenizer = make_tokenizer("qwen2.5")
    # Read inside a macro, as some templates do, and on the second line of one that begins blank.
    tokenizer.chat_template = (
        "\n{% macro header() %}Today: {{ strftime_now('" + form + "') }}.\n{% endmacro %}"
        "{{ header() }}{{ messages[0].content }}<|im_end|>"
    )
    assert (
        PromptFormat(tokenizer, name="tiny").render("Hi").text == f"\nToday: {shown}.\nHi<|im_end|>"
    )


def test_a_system_prompt_replaces_the_default_one(chats: dict[str, PromptFormat]) -> None:
    def text(family: str) -> str:
        tokenizer = chats[family].tokenizer
        return PromptFormat(tokenizer, name=family, system="Be brief.").render("Hi").text

    chatml = (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
    assert text("qwen2.5") == text("smollm2") == chatml
    assert "Today Date: 26 Jul 2024\n\nBe brief.<|eot_id|>" in text("llama-3")


@pytest.mark.parametrize(
    ("family", "why"),
    [("gemma", "System role not supported"), ("mistral", "Only user and assistant roles")],
)
def test_a_system_prompt_that_the_template_refuses_is_one_line_that_says_so(
    chats: dict[str, PromptFormat], family: str, why: str
) -> None:
    with pytest.raises(ChatError) as caught:
        PromptFormat(chats[family].tokenizer, name=f"models/{family}", system="Be brief.")
    assert str(caught.value).startswith(f"models/{family}: ")
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ messages[0].content }} {{ messages[0].content }}", "just once"),
        ("Hello!", "just once"),
        ("{{ messages[0].content | upper }}", "just once"),
        ("{{ messages[0].content", "refuses the messages"),
    ],
    ids=["twice", "never", "in capitals", "broken"],
)
def test_a_template_that_hides_the_message_is_refused(
    make_tokenizer: Callable[[str], Any], template: str, why: str
) -> None:
    tokenizer = make_tokenizer("qwen2.5")
    tokenizer.chat_template = template
    with pytest.raises(ChatError, match=f"^tiny: .*{why}"):
        PromptFormat(tokenizer, name="tiny")


def test_a_message_that_the_template_rewrites_is_refused_by_name(
    make_tokenizer: Callable[[str], Any],
) -> None:
    tokenizer = make_tokenizer("qwen2.5")
    tokenizer.chat_template = "{{ messages[0].content | replace('&', 'and') }}<|im_end|>"
    chat = PromptFormat(tokenizer, name="tiny")
    assert chat.render("salt, pepper").text == "salt, pepper<|im_end|>"
    with pytest.raises(ChatError, match=r"^tiny: .*changes the message 'salt & pepper'"):
        chat.render("salt & pepper")


def test_a_base_model_takes_no_system_prompt(chats: dict[str, PromptFormat]) -> None:
    tokenizer = chats["base"].tokenizer
    with pytest.raises(ChatError, match="has no chat template, so it takes no system prompt"):
        PromptFormat(tokenizer, name="tiny base", system="Be brief.")
