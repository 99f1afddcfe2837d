"""Greedy answers of the Hugging Face engine, compared with a naive loop over the same model."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from leaf.chat import Chat
from leaf.config import GenerateSection
from leaf.generate import HuggingFaceEngine
from leaf.models import Loaded
from leaf.records import Problem
from leaf.sources import Source

WORDS = [chr(code) for code in range(ord("a"), ord("z") + 1)]


@pytest.fixture(scope="module")
def tokenizer():
    vocabulary = {word: at for at, word in enumerate(["<eos>", " ", "\n", "?", *WORDS])}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))  # noqa: S106
    plain.pre_tokenizer = pre_tokenizers.Split(pattern="", behavior="isolated")
    return PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="<eos>", unk_token="?")  # noqa: S106


@pytest.fixture
def loaded(tiny_model, tokenizer):
    model = tiny_model("llama", seed=5, dtype=torch.float32, max_position_embeddings=40)
    source = Source(name="tiny", folder=Path(), fingerprint="tiny")
    cpu = torch.device("cpu")
    return Loaded(source=source, model=model, tokenizer=tokenizer, device=cpu, dtype=torch.float32)


def problem(text: str) -> Problem:
    return Problem(id=text, question=text, answer="1", solution="")


def naive(loaded: Loaded, prompt: list[int], limit: int) -> list[int]:
    """Say the most likely token again and again, one prompt, no padding and no cache."""
    ids = list(prompt)
    while len(ids) < len(prompt) + limit:
        token = int(loaded.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
        if token == 0:
            break
        ids.append(token)
    return ids[len(prompt) :]


TEXTS = ["abc", "leaf", "a longer question than the others", "z", "two words"]


@pytest.mark.parametrize("max_batch", [1, 3, 5])
def test_batched_answers_equal_a_naive_greedy_loop_in_order(loaded, max_batch):
    chat = Chat(loaded.tokenizer, name="tiny")
    section = GenerateSection(max_new_tokens=6, token_budget=1000, max_batch=max_batch)
    answers = HuggingFaceEngine(loaded, chat, section).answer([problem(text) for text in TEXTS])
    assert [answer.problem_id for answer in answers] == TEXTS
    for text, answer in zip(TEXTS, answers, strict=True):
        limit = min(6, 40 - len(chat.prompt_ids(text)))
        expected = naive(loaded, chat.prompt_ids(text), limit)
        assert answer.text == loaded.tokenizer.decode(expected, skip_special_tokens=True)
        assert answer.truncated == (len(expected) == limit)


def test_an_answer_stops_at_the_end_of_turn_token_which_is_not_part_of_its_text(loaded):
    chat = Chat(loaded.tokenizer, name="tiny")
    section = GenerateSection(max_new_tokens=4, token_budget=1000)
    first = naive(loaded, chat.prompt_ids("abc"), 1)[0]
    # The token that the model says first is made the end of a turn.
    loaded.model.generation_config.eos_token_id = [first]
    (answer,) = HuggingFaceEngine(loaded, chat, section).answer([problem("abc")])
    assert (answer.text, answer.response_tokens, answer.truncated) == ("", 1, False)


def test_a_prompt_longer_than_the_context_fails_alone_with_its_reason(loaded):
    chat = Chat(loaded.tokenizer, name="tiny")
    section = GenerateSection(max_new_tokens=4, token_budget=1000)
    engine = HuggingFaceEngine(loaded, chat, section)
    long, short = engine.answer([problem("x" * 60), problem("abc")])
    assert long.failure == "prompt longer than the model's context of 40 tokens"
    assert short.failure is None
    assert short.response_tokens > 0


def test_an_answer_never_leaves_the_context(loaded):
    chat = Chat(loaded.tokenizer, name="tiny")
    section = GenerateSection(max_new_tokens=30, token_budget=1000)
    (answer,) = HuggingFaceEngine(loaded, chat, section).answer([problem("x" * 30)])
    assert answer.prompt_tokens + answer.response_tokens <= 40


def test_the_head_never_sees_a_strided_input(loaded):
    # A strided input would copy the head's weight once for every row of the batch.
    chat = Chat(loaded.tokenizer, name="tiny")
    engine = HuggingFaceEngine(loaded, chat, GenerateSection(max_new_tokens=3, token_budget=1000))
    seen = []
    head = loaded.model.get_output_embeddings()
    head.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].is_contiguous()))
    engine.answer([problem(text) for text in TEXTS])
    assert seen
    assert all(seen)
