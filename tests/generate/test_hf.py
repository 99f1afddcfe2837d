"""Greedy answers of the Hugging Face engine, compared with a naive loop over the same model."""

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from leaf.generate import HuggingFaceEngine
from leaf.models.files import Source
from leaf.models.kv_cache import RaggedCache
from leaf.models.load import Loaded
from leaf.models.paths import paths_of
from leaf.models.prompt_format import PromptFormat
from leaf.recipe import GenerateSection
from leaf.records import Problem

WORDS = [chr(code) for code in range(ord("a"), ord("z") + 1)]


@pytest.fixture(scope="module")
def tokenizer():
    vocabulary = {word: at for at, word in enumerate(["<eos>", " ", "\n", "?", *WORDS])}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))  # noqa: S106
    plain.pre_tokenizer = pre_tokenizers.Split(pattern="", behavior="isolated")
    plain.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="<eos>", unk_token="?")  # noqa: S106


@pytest.fixture
def loaded(tiny_model, tokenizer):
    model = tiny_model("llama", seed=5, dtype=torch.float32, max_position_embeddings=40)
    source = Source(name="tiny", fingerprint="tiny")
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
    chat = PromptFormat(loaded.tokenizer, name="tiny")
    section = GenerateSection(max_new_tokens=6, token_budget=1000, max_batch=max_batch)
    answers = HuggingFaceEngine(loaded, chat, section).answer([problem(text) for text in TEXTS])
    assert [answer.problem_id for answer in answers] == TEXTS
    for text, answer in zip(TEXTS, answers, strict=True):
        limit = min(6, 40 - len(chat.prompt_ids(text)))
        expected = naive(loaded, chat.prompt_ids(text), limit)
        assert answer.text == loaded.tokenizer.decode(expected, skip_special_tokens=True)
        assert answer.truncated == (len(expected) == limit)


@pytest.mark.parametrize("draft", [None, "zz", "r"])
def test_a_begun_response_goes_on_as_the_same_ids_do_and_is_shown_whole(loaded, draft):
    chat = PromptFormat(loaded.tokenizer, name="tiny")
    section = GenerateSection(max_new_tokens=6, token_budget=1000)
    # Llama's own end of turn is a line end here, which the naive loop says like any other token.
    loaded.model.generation_config.eos_token_id = None
    within = [
        Problem(id=f"{at}/r1", prompt=text, before="so ", question=said, answer="1", solution="")
        for at, (text, said) in enumerate([("abc", "it is\n"), ("leaf", "b"), ("z", "a longer on")])
    ]
    drafts = None if draft is None else [draft] * len(within)
    answers = HuggingFaceEngine(loaded, chat, section).answer([*within, problem("abc")])
    drafted = HuggingFaceEngine(loaded, chat, section).answer(within, drafts)
    assert drafted == answers[:3]
    for asked, answer in zip(within, answers, strict=False):
        # The base template is the content and a line end; each character is a token.
        ids = loaded.tokenizer(f"{asked.prompt}\nso {asked.question}")["input_ids"]
        expected = naive(loaded, ids, min(6, 40 - len(ids)))
        assert answer.text == f"so {asked.question}" + loaded.tokenizer.decode(expected)
        assert answer.prompt_tokens == len(ids)
        # The end of turn is a token of the answer as well.
        assert answer.response_tokens == len(expected) + (not answer.truncated)


def test_an_answer_stops_at_the_end_of_turn_token_which_is_not_part_of_its_text(loaded):
    chat = PromptFormat(loaded.tokenizer, name="tiny")
    section = GenerateSection(max_new_tokens=4, token_budget=1000)
    first = naive(loaded, chat.prompt_ids("abc"), 1)[0]
    # The token that the model says first is made the end of a turn.
    loaded.model.generation_config.eos_token_id = [first]
    (answer,) = HuggingFaceEngine(loaded, chat, section).answer([problem("abc")])
    assert (answer.text, answer.response_tokens, answer.truncated) == ("", 1, False)


def test_a_prompt_longer_than_the_context_fails_alone_with_its_reason(loaded):
    chat = PromptFormat(loaded.tokenizer, name="tiny")
    section = GenerateSection(max_new_tokens=4, token_budget=1000)
    engine = HuggingFaceEngine(loaded, chat, section)
    long, short = engine.answer([problem("x" * 60), problem("abc")])
    assert long.failure == "prompt longer than the model's context of 40 tokens"
    assert short.failure is None
    assert short.response_tokens > 0


def test_an_answer_never_leaves_the_context(loaded):
    chat = PromptFormat(loaded.tokenizer, name="tiny")
    section = GenerateSection(max_new_tokens=30, token_budget=1000)
    (answer,) = HuggingFaceEngine(loaded, chat, section).answer([problem("x" * 30)])
    assert answer.prompt_tokens + answer.response_tokens <= 40


@pytest.mark.parametrize("by_the_models_own_loop", [False, True])
def test_the_head_never_sees_a_strided_input_and_keeps_no_hook(
    loaded, by_the_models_own_loop, monkeypatch
):
    # A strided input would copy the head's weight once for every row of the batch.
    chat = PromptFormat(loaded.tokenizer, name="tiny")
    engine = HuggingFaceEngine(loaded, chat, GenerateSection(max_new_tokens=3, token_budget=1000))
    if by_the_models_own_loop:
        engine._head = None
    seen = []
    head = loaded.model.get_output_embeddings()
    forward = head.forward

    def spy(hidden):
        seen.append(hidden.is_contiguous())
        return forward(hidden)

    monkeypatch.setattr(head, "forward", spy)
    engine.answer([problem(text) for text in TEXTS])
    assert seen
    assert all(seen)
    assert not head._forward_pre_hooks


# With drafts.


@pytest.fixture
def talker(tiny_model, tokenizer):
    """A factory of models whose every token is a letter, so that an answer's text says it all."""

    def make(family: str = "llama", **changes) -> Loaded:
        settings = {"seed": 6, "vocab_size": len(tokenizer), "max_position_embeddings": 60}
        model = tiny_model(family, dtype=torch.float32, **{**settings, **changes})
        source = Source(name="talker", fingerprint="talker")
        cpu = torch.device("cpu")
        return Loaded(
            source=source, model=model, tokenizer=tokenizer, device=cpu, dtype=torch.float32
        )

    return make


def answers_with(loaded: Loaded, drafts, texts=TEXTS, **settings):
    chat = PromptFormat(loaded.tokenizer, name="talker")
    section = GenerateSection(**{"max_new_tokens": 20, "token_budget": 200, **settings})
    engine = HuggingFaceEngine(loaded, chat, section)
    return engine.answer([problem(text) for text in texts], drafts), engine.effort


def test_drafts_change_no_answer_and_save_passes(talker):
    loaded = talker()
    plain, plain_effort = answers_with(loaded, None)
    # Each text's own answer with a letter changed in the middle; the last has no draft.
    drafts = [f"{answer.text[:9]}q{answer.text[10:]}" for answer in plain[:-1]] + [""]
    drafted, effort = answers_with(loaded, drafts)
    assert drafted == plain
    assert effort.tokens == plain_effort.tokens
    assert effort.row_passes <= plain_effort.tokens / 2


def test_no_draft_is_looked_at_where_the_recipe_says_so(talker):
    plain, _ = answers_with(talker(), None)
    found, effort = answers_with(talker(), [answer.text for answer in plain], draft=False)
    assert found == plain
    assert (effort.proposed, effort.row_passes) == (0, effort.tokens)


def test_a_model_with_a_sliding_window_answers_without_drafts_and_says_so(talker, capsys):
    window = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0}
    loaded = talker("qwen2", **window)
    plain, _ = answers_with(loaded, None)
    found, effort = answers_with(loaded, [answer.text for answer in plain])
    assert found == plain
    assert effort.proposed == 0
    assert "talker: answers by fixed batches, without drafts" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes", [{}, {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0}]
)
def test_rules_of_a_models_own_generation_config_hold_on_no_path(talker, changes):
    loaded = talker("qwen2", **changes)
    plain, _ = answers_with(loaded, None)
    own = loaded.model.generation_config
    own.suppress_tokens, own.no_repeat_ngram_size, own.min_new_tokens = [*range(40)], 1, 15
    assert answers_with(loaded, None)[0] == plain
    assert loaded.model.generation_config is own


def test_a_drafted_answer_ends_at_the_end_of_its_turn(talker):
    loaded = talker()
    chat = PromptFormat(loaded.tokenizer, name="talker")
    said = {text: naive(loaded, chat.prompt_ids(text), 20) for text in TEXTS}
    asked = max(TEXTS, key=lambda text: len(set(said[text])))
    tokens = said[asked]
    # What is said last of all letters for the first time is made the end of a turn.
    stop = max(set(tokens), key=tokens.index)
    end = tokens.index(stop)
    assert end > 3
    loaded.model.generation_config.eos_token_id = [stop]
    draft = loaded.tokenizer.decode(tokens, skip_special_tokens=True)
    (answer,), effort = answers_with(loaded, [draft], [asked])
    expected = loaded.tokenizer.decode(tokens[:end], skip_special_tokens=True)
    assert answer.text == expected
    assert (answer.truncated, answer.response_tokens) == (False, end + 1)
    assert effort.row_passes < end


def test_drafted_answers_never_leave_the_context_and_long_prompts_fail_alone(talker):
    texts = ["x" * 50, "x" * 80, "abc"]
    plain, _ = answers_with(talker(), None, texts)
    assert plain[1].failure
    drafts = [answer.text for answer in plain]
    assert answers_with(talker(), drafts, texts)[0] == plain
    assert plain[0].prompt_tokens + plain[0].response_tokens <= 60


def test_when_memory_runs_out_halves_keep_their_own_drafts(talker, monkeypatch):
    loaded = talker()
    plain, _ = answers_with(loaded, None)
    drafts = [answer.text for answer in plain]
    _, expected = answers_with(loaded, drafts, max_batch=1)
    feed = RaggedCache.feed

    def small_machine(rows, tokens):
        if len(tokens) > 1:
            raise torch.OutOfMemoryError
        return feed(rows, tokens)

    monkeypatch.setattr(RaggedCache, "feed", small_machine)
    assert paths_of(loaded.model).shares
    found, effort = answers_with(loaded, drafts)
    assert found == plain
    assert effort == expected
    # Had an answer been given another one's draft, it would have taken longer.
    assert effort.row_passes < effort.tokens / 2


@pytest.mark.parametrize("by_the_models_own_loop", [False, True])
def test_a_text_ends_an_answer_drafted_or_not_and_few_tokens_are_computed_beyond(
    talker, by_the_models_own_loop
):
    loaded = talker()
    plain, whole = answers_with(loaded, None)
    longest = max((answer.text for answer in plain), key=len)
    stop = longest[len(longest) // 2 :][:2]
    chat = PromptFormat(loaded.tokenizer, name="talker")
    asked = [problem(text) for text in TEXTS]
    for drafts in (None, [answer.text for answer in plain]):
        engine = HuggingFaceEngine(
            loaded, chat, GenerateSection(max_new_tokens=20, token_budget=1000, stop=[stop])
        )
        if by_the_models_own_loop:
            engine._head = None
        found = engine.answer(asked, drafts)
        assert [answer.text for answer in found] == [a.text.partition(stop)[0] for a in plain]
        stopped = [answer for answer, one in zip(found, plain, strict=True) if stop in one.text]
        assert stopped and not any(answer.truncated for answer in stopped)
        assert engine.effort.tokens < whole.tokens
