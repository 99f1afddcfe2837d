"""The benchmark of engines: its rival says what we say, and its bound counts what must be done."""

import pytest

from benchmarks.generate import operations, plain, run
from leaf.generate import HuggingFaceEngine
from leaf.models import load
from leaf.models.files import find
from leaf.models.prompt_format import prompt_format_of
from leaf.recipe import DataSection, GenerateSection, ModelSection, WorldSection
from leaf.tasks import load_problems

SECTION = ModelSection(model="package:playground/models/student", dtype="float32")


@pytest.fixture(scope="module")
def problems():
    return load_problems(
        DataSection(task="playground", split="both", world=WorldSection(size=7, seed=1))
    )


@pytest.mark.parametrize("batch", [1, 3])
def test_the_rival_gives_the_same_answers_with_the_same_counts(problems, batch):
    with load.loaded(SECTION, find(SECTION)) as loaded:
        chat = prompt_format_of(loaded.tokenizer, SECTION)
        ours = HuggingFaceEngine(loaded, chat, GenerateSection(max_new_tokens=9)).answer(problems)
        theirs = plain(loaded, chat, problems, batch, 9)
    assert [answer.text for answer in theirs] == [answer.text for answer in ours]
    assert [answer.response_tokens for answer in theirs] == [
        answer.response_tokens for answer in ours
    ]
    assert [answer.truncated for answer in theirs] == [answer.truncated for answer in ours]


def test_a_run_counts_the_tokens_said(problems):
    with load.loaded(SECTION, find(SECTION)) as loaded:
        chat = prompt_format_of(loaded.tokenizer, SECTION)
        found = run(lambda: plain(loaded, chat, problems, 4, 3))
    # No answer of the world ends within three tokens.
    assert found.tokens == 3 * len(problems)
    assert found.rate == pytest.approx(found.tokens / found.seconds)


def test_operations_are_two_a_parameter_and_token_and_the_head_where_a_token_is_chosen():
    with load.loaded(SECTION, find(SECTION)) as loaded:
        every = sum(weight.numel() for weight in loaded.model.parameters())
        config = loaded.model.config
        table = config.vocab_size * config.hidden_size
        body = every - (table if config.tie_word_embeddings else 2 * table)
        assert operations(loaded, 100, 10) == 2 * (body * 110 + table * 10)
