"""Chats of real template families on tiny tokenizers of their kinds, trained here.

The templates in `tests/data/templates` give the families' renderings; `test_templates.py` holds
them against renderings that are written out by hand.
"""

# ruff: noqa: S106 - special tokens are no passwords

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers import decoders as decode_with
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

from leaf.models import files, load
from leaf.models.prompt_format import PromptFormat

TEMPLATES = Path(__file__).parents[2] / "data" / "templates"

CORPUS = [
    "What is the capital of France? What is 2 + 2? How many pens are there?\n\n",
    "Tom has 3 red pens and 4 hats.\n\nHow many   pens are there?\n  user system model\n",
    "The answer is 4.\n    assistant: the café has a hat, what are the angles ∠ABC and ∠ABD?\n",
]

_LLAMA_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Llama 3 cuts a text before it merges; Qwen the same with single digits."""

_SENTENCEPIECE = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def _bytes_bpe(words: Any, *, trim_offsets: bool | None, normalizer: Any = None) -> Tokenizer:
    """Train a byte-level BPE tokenizer; `trim_offsets` None leaves the post-processor out."""
    tokenizer = Tokenizer(BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = words
    tokenizer.decoder = decode_with.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    if trim_offsets is not None:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim_offsets)
    return tokenizer


def _fallback_bpe(*, normalizer: Any = None, words: Any = None) -> Tokenizer:
    """Train a BPE tokenizer of SentencePiece's kind: `▁` for a space, unknown symbols as bytes."""
    trained = Tokenizer(BPE())
    lines = pre_tokenizers.Split("\n", "isolated")
    trained.pre_tokenizer = pre_tokenizers.Sequence([lines, pre_tokenizers.Metaspace()])
    trained.train_from_iterator(CORPUS, BpeTrainer(vocab_size=200, show_progress=False))
    learned = json.loads(trained.to_str())["model"]
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *learned["vocab"]]
    model = BPE(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=[tuple(pair) for pair in learned["merges"]],
        unk_token="<unk>",
        fuse_unk=True,
        byte_fallback=True,
    )
    tokenizer = Tokenizer(model)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if words is not None:
        tokenizer.pre_tokenizer = words
    tokenizer.decoder = decode_with.Sequence(
        [decode_with.Replace("▁", " "), decode_with.ByteFallback(), decode_with.Fuse()]
    )
    return tokenizer


def _finish(
    tokenizer: Tokenizer,
    template: str | None,
    *,
    specials: Sequence[str] = (),
    adds_bos: bool = False,
    **named: str,
) -> load.Tokenizer:
    """Wrap a tokenizer as transformers does, with its special tokens and its template.

    `specials` become part of the vocabulary as special tokens without a name of their own.
    """
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True, normalized=False) for text in (*specials, *named.values())]
    )
    if adds_bos:
        bos = named["bos_token"]
        with_bos = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
        before = tokenizer.post_processor
        steps = [with_bos] if before is None else [before, with_bos]
        tokenizer.post_processor = processors.Sequence(steps)
    wrapped: Any = cast(Any, PreTrainedTokenizerFast)(tokenizer_object=tokenizer, **named)
    if template is not None:
        wrapped.chat_template = (TEMPLATES / f"{template}.jinja").read_text(encoding="utf-8")
    return cast(load.Tokenizer, wrapped)


def _llama(*, trim_offsets: bool) -> load.Tokenizer:
    return _finish(
        _bytes_bpe(
            pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Split(Regex(_LLAMA_WORDS), "isolated"),
                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
                ]
            ),
            trim_offsets=trim_offsets,
        ),
        "llama-3",
        specials=["<|start_header_id|>", "<|end_header_id|>"],
        adds_bos=True,
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
    )


def _qwen() -> load.Tokenizer:
    return _finish(
        _bytes_bpe(
            pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Split(Regex(_LLAMA_WORDS.replace("{1,3}", "")), "isolated"),
                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
                ]
            ),
            trim_offsets=False,
            normalizer=normalizers.NFC(),
        ),
        "qwen2.5",
        specials=["<|im_start|>"],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    )


def _smollm() -> load.Tokenizer:
    return _finish(
        _bytes_bpe(
            pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Digits(individual_digits=True),
                    pre_tokenizers.ByteLevel(add_prefix_space=False),
                ]
            ),
            trim_offsets=None,
        ),
        "smollm2",
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        unk_token="<|endoftext|>",
    )


def _gemma_3() -> load.Tokenizer:
    return _finish(
        _fallback_bpe(
            normalizer=normalizers.Replace(" ", "▁"),
            words=pre_tokenizers.Split(" ", "merged_with_previous"),
        ),
        "gemma",
        specials=["<start_of_turn>", "<end_of_turn>"],
        adds_bos=True,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
    )


def _gemma() -> load.Tokenizer:
    """Gemma 1 and 2, which list their turn tokens among the special ones."""
    tokenizer = _gemma_3()
    turns = {"additional_special_tokens": ["<start_of_turn>", "<end_of_turn>"]}
    cast(Any, tokenizer).add_special_tokens(turns)
    return tokenizer


def _mistral() -> load.Tokenizer:
    """Mistral's newer kind: only the very first word of a text gets a `▁` that it had not."""
    first = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return _finish(_fallback_bpe(words=first), "mistral", adds_bos=True, **_SENTENCEPIECE)


def _llama_2() -> load.Tokenizer:
    """The older kind, of a base model: every text between special tokens gets a `▁`."""
    always = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return _finish(_fallback_bpe(normalizer=always), None, adds_bos=True, **_SENTENCEPIECE)


def _gpt2() -> load.Tokenizer:
    return _finish(
        _bytes_bpe(pre_tokenizers.ByteLevel(add_prefix_space=False), trim_offsets=True),
        None,
        bos_token="<|endoftext|>",
        eos_token="<|endoftext|>",
    )


FAMILIES: Mapping[str, Callable[[], load.Tokenizer]] = {
    "llama-3": lambda: _llama(trim_offsets=True),
    "llama-3 untrimmed": lambda: _llama(trim_offsets=False),
    "qwen2.5": _qwen,
    "smollm2": _smollm,
    "gemma": _gemma,
    "mistral": _mistral,
    "base": _gpt2,
    "base with bos": _llama_2,
}

REAL = {"real qwen2.5": "qwen2.5*0.5b-*", "real smollm2": "smollm2*"}
"""Converted models whose tokenizers are used where they are there: name and folder pattern."""


def _real(name: str) -> load.Tokenizer:
    folder = files.cache_folder() / "converted"
    found = next(iter(sorted(folder.glob(REAL[name]))), None)
    if found is None:
        pytest.skip(f"no converted model {REAL[name]} in {folder}")
    return load.load_tokenizer(files.Source(name=name, files=found, fingerprint=""))


@pytest.fixture(scope="session")
def chats() -> dict[str, PromptFormat]:
    """A chat of each family, by name."""
    return {name: PromptFormat(make(), name=name) for name, make in FAMILIES.items()}


@pytest.fixture(
    scope="session",
    params=[*FAMILIES, *(pytest.param(name, marks=pytest.mark.real) for name in REAL)],
)
def chat(request: pytest.FixtureRequest, chats: dict[str, PromptFormat]) -> PromptFormat:
    """The chat of one family after the other; `chat.name` says which."""
    name = str(request.param)
    return chats[name] if name in chats else PromptFormat(_real(name), name=name)


@pytest.fixture
def make_tokenizer() -> Callable[[str], Any]:
    """Makes a family's tokenizer anew, to be given another template."""
    return lambda family: _gemma_3() if family == "gemma 3" else FAMILIES[family]()
