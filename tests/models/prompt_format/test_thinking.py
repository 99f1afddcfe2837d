"""Models that think before they answer: arguments of templates, and rows as templates write them.

The templates are the families' own, as the installed TRL brings them; what they write is taken from
transformers' own rendering.
"""

from importlib.resources import files
from typing import Any

import pytest

from leaf.distill import TrainingExample, encode_rows
from leaf.errors import ModelError
from leaf.models.prompt_format import PromptFormat
from leaf.records import Problem

TEMPLATES = files("trl") / "chat_templates"

QUESTION, RESPONSE = "What is 2 + 2?", "It is 4."

TURNS = {
    "qwen3": "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "qwen3_6": "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "glm4moe": "<|assistant|>\n<think></think>\n",
    "deepseek_r1_distill": "<\uff5cAssistant\uff5c>",
    "nemotron_3_nano": "<|im_start|>assistant\n<think></think>",
    "gptoss": "<|start|>assistant<|channel|>final<|message|>",
}
"""What each writes before a response without thoughts, which is not how it asks."""

AS_ASKED = ["qwen2_5", "qwen3_instruct_2507", "llama3", "llama3_2", "gemma3", "phi3_5", "lfm2"]
"""Templates that write nothing else there than they ask with."""


def chat_of(make_tokenizer: Any, family: str, **options: Any) -> PromptFormat:
    tokenizer = make_tokenizer("qwen2.5")
    tokenizer.bos_token = "<|im_start|>"  # noqa: S105 - no password
    tokenizer.chat_template = (TEMPLATES / f"{family}.jinja").read_text(encoding="utf-8")
    return PromptFormat(tokenizer, name=family, **options)


def dialogue(chat: PromptFormat, response: str, **arguments: Any) -> str:
    """Return what transformers alone makes of a question with its response."""
    messages = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": response},
    ]
    return str(chat.tokenizer.apply_chat_template(messages, tokenize=False, **arguments))


def after(text: str) -> str:
    """Return what comes after the question, without the tokenizer's own end: some have a date."""
    return text.partition(QUESTION)[2].removesuffix("<|im_end|>")


def row_text(chat: PromptFormat, response: str, begun: str = "") -> str:
    return chat.tokenizer.decode(list(chat.encode(QUESTION, response, begun).ids))


@pytest.mark.parametrize("family", [*TURNS, *AS_ASKED])
def test_a_row_is_the_templates_own_dialogue(make_tokenizer: Any, family: str) -> None:
    chat = chat_of(make_tokenizer, family)
    assert after(dialogue(chat, RESPONSE)).startswith(after(row_text(chat, RESPONSE)))
    assert not chat.rewrites(QUESTION, RESPONSE)


@pytest.mark.parametrize("family", TURNS)
def test_an_empty_block_of_thoughts_is_context_and_no_part_of_the_loss(
    make_tokenizer: Any, family: str
) -> None:
    chat = chat_of(make_tokenizer, family)
    example = chat.encode(QUESTION, RESPONSE)
    prompt = chat.tokenizer.decode(list(example.ids[: example.prompt_length]))
    assert prompt.endswith(QUESTION + chat.opening)
    assert chat.opening.endswith(TURNS[family])
    assert chat.own_opening == chat.opening != chat.suffix


@pytest.mark.parametrize("family", AS_ASKED)
def test_other_templates_give_the_rows_that_they_gave(make_tokenizer: Any, family: str) -> None:
    chat = chat_of(make_tokenizer, family)
    asked = chat.prompt_ids(QUESTION)
    assert list(chat.encode(QUESTION, RESPONSE).ids[: len(asked)]) == asked
    assert chat.own_opening == ""
    assert not chat.thinks


@pytest.mark.parametrize("family", ["qwen3", "qwen3_6", "glm4moe", "nemotron_3_nano"])
def test_without_thoughts_the_model_is_asked_as_rows_are_written(
    make_tokenizer: Any, family: str
) -> None:
    thinking = chat_of(make_tokenizer, family)
    chat = chat_of(make_tokenizer, family, template={"enable_thinking": False})
    assert "enable_thinking" in chat.template.arguments
    assert (thinking.thinks, chat.thinks) == (True, False)
    # GLM's has a line end more there.
    assert chat.opening.rstrip() == chat.suffix.rstrip()
    own = dialogue(chat, RESPONSE, enable_thinking=False)
    assert after(own).startswith(after(row_text(chat, RESPONSE)))


def test_a_response_with_thoughts_follows_what_the_model_was_asked(make_tokenizer: Any) -> None:
    """As it was generated: templates shorten thoughts or set them anew."""
    said = "<think>\nTwo and two.\n</think>\n\nIt is 4."
    qwen = chat_of(make_tokenizer, "qwen3")
    assert row_text(qwen, said).endswith(f"assistant\n{said}<|im_end|>")
    assert dialogue(qwen, said).startswith(row_text(qwen, said))  # which this one keeps
    deepseek = chat_of(make_tokenizer, "deepseek_r1_distill")
    rest = said.removeprefix("<think>\n")
    assert f"\uff5c><think>\n{rest}" in row_text(deepseek, rest)
    assert not deepseek.rewrites(QUESTION, rest)


def test_a_begun_response_stands_where_a_whole_one_does(make_tokenizer: Any) -> None:
    chat = chat_of(make_tokenizer, "qwen3")
    begun = Problem(id="1", question=" is", answer="4", solution="", prompt=QUESTION, before="It")
    ids = chat.prompt_ids(QUESTION, "It is")
    assert chat.tokenizer.decode(ids).endswith("</think>\n\nIt is")
    whole = chat.encode(QUESTION, " 4.", "It is")
    assert list(whole.ids[: whole.prompt_length]) == ids
    (unit,) = chat.prompt(begun).units
    assert chat.tokenizer.decode([ids[token] for token in unit.tokens]) == " is"


def test_an_argument_that_a_template_does_not_take_is_refused(make_tokenizer: Any) -> None:
    with pytest.raises(ModelError) as caught:
        chat_of(make_tokenizer, "qwen3", template={"enable_thinkin": False})
    assert str(caught.value) == (
        "qwen3: its chat template has no argument `enable_thinkin`; did you mean "
        "`enable_thinking`? it has: enable_thinking"
    )
    base = make_tokenizer("base")
    with pytest.raises(ModelError, match="has no chat template, so it takes no `template:"):
        PromptFormat(base, name="base", template={"enable_thinking": False})


def test_a_row_whose_response_the_template_rewrites_is_left_out_and_named(
    make_tokenizer: Any,
) -> None:
    tokenizer = make_tokenizer("qwen2.5")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content.replace('/think', '') }}<|im_end|>"
        "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
    )
    chat = PromptFormat(tokenizer, name="it")
    rows = [
        TrainingExample(problem_id=name, content=content, response=response, counterfactual=False)
        for name, content, response in (
            ("good", "How many?", "4"),
            ("question", "How many /think-tanks?", "4"),
            ("response", "How many?", "4 /think-tanks"),
        )
    ]
    kept, left = encode_rows(chat, rows, 512)
    assert [sample.row.problem_id for sample in kept] == ["good"]
    reasons = {item.row.problem_id: item.reason for item in left}
    assert reasons["response"] == "whose response its chat template rewrites"
    assert reasons["question"].startswith("that cannot be shown: it: its chat template changes the")
