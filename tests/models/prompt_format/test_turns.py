"""A conversation before the question: rendered as the family's own template renders it whole."""

from dataclasses import replace

import pytest

from leaf.errors import ChatError
from leaf.models.prompt_format import PromptFormat
from leaf.records import Problem, Turn

SYSTEM = Turn(role="system", text="Answer in one word.")
TURNS = (
    Turn(role="user", text="What is the capital of France?"),
    Turn(role="assistant", text="Paris. leafsentinelqzx"),
)
QUESTION = "How many pens are there?"
NO_SYSTEM = {"gemma", "gemma 3", "mistral"}
"""Their templates have no system turn, or refuse it."""

WRITTEN = {
    "qwen2.5": (
        "<|im_start|>system\nAnswer in one word.<|im_end|>\n"
        "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"
        "<|im_start|>assistant\nParis. leafsentinelqzx<|im_end|>\n"
        "<|im_start|>user\nHow many pens are there?<|im_end|>\n"
        "<|im_start|>assistant\n"
    ),
    "gemma": (
        "<bos><start_of_turn>user\nWhat is the capital of France?<end_of_turn>\n"
        "<start_of_turn>model\nParis. leafsentinelqzx<end_of_turn>\n"
        "<start_of_turn>user\nHow many pens are there?<end_of_turn>\n<start_of_turn>model\n"
    ),
    "base": "What is the capital of France?\nParis. leafsentinelqzx\nHow many pens are there?\n",
}


def turns_for(chat: PromptFormat) -> tuple[Turn, ...]:
    return TURNS if chat.name in NO_SYSTEM or not chat.has_template else (SYSTEM, *TURNS)


def test_a_conversation_is_rendered_as_its_family_documents(
    chats: dict[str, PromptFormat],
) -> None:
    for name, written in WRITTEN.items():
        assert chats[name].render(QUESTION, turns_for(chats[name])).text == written


def test_a_conversation_is_tokenised_as_the_tokenizers_own_chat(chat: PromptFormat) -> None:
    if not chat.has_template:
        return
    turns = turns_for(chat)
    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    own = chat.tokenizer.apply_chat_template(
        [*messages, {"role": "user", "content": QUESTION}],
        add_generation_prompt=True,
        date_string="26 Jul 2024",
        return_dict=False,
    )
    assert chat.prompt_ids(QUESTION, turns=turns) == own
    assert list(chat.encode(QUESTION, "4", turns=turns).ids[: len(own)]) == own


def test_only_the_question_is_scored_whatever_stands_before_it(chat: PromptFormat) -> None:
    problem = Problem(id="p", question=QUESTION, answer="4", solution="")
    alone = chat.prompt(problem)
    after = chat.prompt(replace(problem, turns=turns_for(chat)))
    shift = len(after.ids) - len(alone.ids)
    assert shift > 0
    if not chat.has_template:  # its first word is another token at the beginning of a text
        assert (after.units[0].start, after.units[-1].end) == (0, len(QUESTION))
        return
    assert [(unit.start, unit.end) for unit in after.units] == [
        (unit.start, unit.end) for unit in alone.units
    ]
    assert [tuple(at - shift for at in unit.tokens) for unit in after.units] == [
        unit.tokens for unit in alone.units
    ]


def test_a_system_turn_stands_in_the_place_of_the_models_own(
    chats: dict[str, PromptFormat],
) -> None:
    qwen = PromptFormat(chats["qwen2.5"].tokenizer, name="qwen2.5", system="Be long.")
    assert qwen.render(QUESTION, (SYSTEM, *TURNS)).text == WRITTEN["qwen2.5"]
    assert qwen.render(QUESTION, TURNS).text.startswith("<|im_start|>system\nBe long.<|im_end|>")


def test_a_template_that_refuses_a_system_turn_says_so(chats: dict[str, PromptFormat]) -> None:
    with pytest.raises(ChatError, match="gemma: its chat template refuses the messages"):
        chats["gemma"].render(QUESTION, (SYSTEM, *TURNS))
