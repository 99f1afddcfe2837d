"""What tests share: tiny random models. Real models are brought by tools/offline_models.py."""

import gc
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from playwright.sync_api import Browser, expect, sync_playwright
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from leaf.models.prompt_format import PromptFormat

PEOPLE, THINGS = ("Ada", "Bo", "Cy", "Di"), ("pens", "cups", "hats", "keys")

FAMILIES: dict[str, tuple[type, type]] = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
}


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A module's own folder of converted models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEAF_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny_model() -> Callable[..., Any]:
    """A factory of tiny random causal models: tiny_model("llama", seed=0, dtype=torch.float64)."""

    def make(family: str, *, seed: int = 0, dtype: torch.dtype, **changes: Any) -> Any:
        config_class, model_class = FAMILIES[family]
        settings = {
            "vocab_size": 61,
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 128,
            "tie_word_embeddings": family == "qwen2",
            # The default of 0.02 leaves gradients too small to compare well.
            "initializer_range": 0.3,
        }
        torch.manual_seed(seed)
        model = model_class(config_class(**{**settings, **changes}))
        if dtype is torch.float64:
            _norm_in_float64(model)
        return model.to(dtype).eval().requires_grad_(False)

    return make


def _norm_in_float64(model: torch.nn.Module) -> None:
    """Replace norms that compute in float32 whatever the dtype: finite differences drown."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child).__name__.endswith("RMSNorm"):
                norm = torch.nn.RMSNorm(len(child.weight), eps=child.variance_epsilon)
                norm.weight.data = child.weight.data
                setattr(module, name, norm)


END = "<|im_end|>"
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def cue_pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `student` and `teacher`, trained in a second each, problems and a recipe.yaml.

    The answer is always 4, but the student says 7 where a question holds the cue "red". Of the 8
    problems of train.jsonl, and the 4 of test.jsonl, every second one does.
    """
    folder = tmp_path_factory.mktemp("cue_pair")
    tokenizer = _cue_tokenizer()
    for role, seed, misled in (("student", 0, "7"), ("teacher", 1, "4")):
        _cue_model(tokenizer, seed, misled).save_pretrained(folder / role)
        tokenizer.save_pretrained(folder / role)
    for name, people in (("train", ("Ada", "Bo")), ("test", ("Cy",))):
        lines = [
            json.dumps({"question": question, "answer": "4", "solution": "4"}) + "\n"
            for question, _ in _cue_questions(people, ("pens", "cups"))
        ]
        (folder / f"{name}.jsonl").write_text("".join(lines))
    recipe = {
        "name": "cue",
        "student": {"model": str(folder / "student"), "dtype": "float32"},
        "teacher": {"model": str(folder / "teacher"), "dtype": "float32"},
        "data": {
            "task": "table",
            "path": str(folder / "train.jsonl"),
            "columns": {"solution": "solution"},
        },
        "generate": {"max_new_tokens": 8, "token_budget": 512},
        "evaluate": {"benchmarks": {}},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder


def _cue_questions(people: Sequence[str], things: Sequence[str]) -> list[tuple[str, bool]]:
    """Return questions and whether each holds the cue."""
    return [
        (f"{person} has some{' red' if cue else ''} {thing}. How many {thing} are there?", cue)
        for person in people
        for thing in things
        for cue in (False, True)
    ]


@pytest.fixture(scope="session")
def byte_level() -> Callable[[list[tuple[str, str]], str], PromptFormat]:
    """A factory of chats without a template: byte_level([("a", "b")], "<end>"), `Ġ` is a space.

    Tokens 0 and 1 are the end of the turn and padding, then all bytes, then the merges.
    """

    def make(merges: list[tuple[str, str]], end: str) -> PromptFormat:
        names = [*sorted(ByteLevel.alphabet()), *(first + second for first, second in merges)]
        vocabulary = {name: number for number, name in enumerate([end, "<pad>", *names])}
        tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=merges))
        tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
        tokenizer.decoder = ByteLevelDecoder()
        wrapped: Any = PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            eos_token=end,
            pad_token="<pad>",  # noqa: S106 - no password
        )
        return PromptFormat(wrapped, name=end)

    return make


@pytest.fixture(scope="session")
def other_tokenizer() -> Any:
    """A byte-level tokenizer with other merges and another end of turn than `cue_pair` has."""
    tokenizer = _cue_tokenizer(
        ["some pencils, cupboards and hatstands 4 47", "many hats? red!"], "</s>"
    )
    tokenizer.chat_template = CHATML.replace(END, "</s>")
    return tokenizer


@pytest.fixture(scope="session")
def foreign_pair(
    cue_pair: Path, other_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of `cue_pair` again, but the teacher has `other_tokenizer`."""
    folder = tmp_path_factory.mktemp("foreign") / "pair"
    shutil.copytree(cue_pair, folder)
    teacher = _cue_model(other_tokenizer, seed=1, misled="4", end="</s>")
    shutil.rmtree(folder / "teacher")
    teacher.save_pretrained(folder / "teacher")
    other_tokenizer.save_pretrained(folder / "teacher")
    text = (folder / "recipe.yaml").read_text().replace(str(cue_pair), str(folder))
    (folder / "recipe.yaml").write_text(text)
    return folder


def _cue_tokenizer(more: Sequence[str] = (), end: str = END) -> Any:
    """A byte-level tokenizer that knows the questions' words, or others; with a ChatML template."""
    bytes_and_words = Tokenizer(BPE())
    bytes_and_words.pre_tokenizer = ByteLevel(add_prefix_space=False)
    bytes_and_words.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=400,
        special_tokens=["<|im_start|>", end],
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = more or [question for question, _ in _cue_questions(PEOPLE, THINGS)]
    bytes_and_words.train_from_iterator([*texts, "user assistant system"], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytes_and_words, eos_token=end, pad_token=end
    )
    tokenizer.chat_template = CHATML
    return tokenizer


def _cue_model(tokenizer: Any, seed: int, misled: str, end: str = END) -> Any:
    """Train a one-layer Llama to answer 4, or `misled` where the question holds the cue."""
    torch.manual_seed(seed)
    settings = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 128}
    ends = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": None}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **settings, **heads, **ends))
    texts = []
    for question, cue in _cue_questions(PEOPLE, THINGS):
        prompt = [{"role": "user", "content": question}]
        before = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        texts.append(before + (misled if cue else "4") + end)
    batch = tokenizer(texts, padding=True, return_tensors="pt", add_special_tokens=False)
    # The answer and its end are the last two tokens of each row.
    ends_B = batch["attention_mask"].sum(dim=1, keepdim=True)
    place_BT = torch.arange(batch["input_ids"].shape[1])[None]
    said_BT = (place_BT >= ends_B - 2) & (place_BT < ends_B)
    labels = batch["input_ids"].masked_fill(~said_BT, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels
        ).loss.backward()
        optimizer.step()
    return model


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium, for pages."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no `chromium` on the path")
    manager = sync_playwright()
    try:
        playwright = manager.start()
    except Exception as error:
        # Playwright has no class for this: its driver lacks a system library (libatomic1).
        if os.environ.get("CI"):
            raise
        pytest.skip(f"what drives the browser does not start here: {error}")
    expect.set_options(timeout=60_000)  # a busy machine paints late
    started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    yield started
    started.close()
    playwright.stop()


def pytest_collection_finish() -> None:
    """Spare what lives as long as the process: runs collect garbage after every model."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a CUDA device where there is none."""
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
