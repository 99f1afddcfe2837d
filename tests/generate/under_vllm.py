"""Engine vllm with vLLM itself, run by the Python of `.venv-vllm`: test_real_vllm.py starts it.

.venv-vllm/bin/python -m pytest --noconftest tests/generate/under_vllm.py
"""

import inspect
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import vllm
import vllm.distributed
from transformers import AutoModelForCausalLM
from vllm.exceptions import VLLMValidationError
from vllm.outputs import CompletionOutput, RequestOutput

from leaf.generate import find_for
from leaf.generate.vllm import open_vllm
from leaf.models import load
from leaf.models.prompt_format import PromptFormat
from leaf.recipe import GenerateSection, ModelSection
from tests.generate import fake_vllm
from tests.generate.conformance import (
    CHECKS,
    Case,
    greedy_texts_are_those_of_transformers,
    killed_work_goes_on_with_what_is_missing,
    problem,
)

FOLDER = os.environ["LEAF_TEST_MODEL"]

PROMPTS = (
    "What is 2 + 2? Answer with a number only.",
    "Name a color.",
    "Which animal says meow?",
    "Write one sentence about the sea.",
    "Translate to French: good morning.",
    "Ada has 3 pens and buys 4 more. How many pens has she?",
)

REAL = vllm.LLM
CONTEXT = 1024
LIMIT = 32


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    """A case whose engines all ask one `LLM`: it takes half a minute to start."""
    section = ModelSection(model=FOLDER, dtype="float32", engine="vllm")
    source = find_for(section, GenerateSection())
    made: list[tuple[dict[str, Any], Any]] = []

    def once(**settings: Any) -> Any:
        # Every request has a seed of its own, so that the engine's is not heard. And on a CPU vLLM
        # 0.32 dies of a seeded prompt that it takes in two pieces: 32 short ones fit in one pass.
        settings["seed"] = 0
        if not made:
            made.append((settings, REAL(**settings, enforce_eager=True, max_num_seqs=32)))
        assert made[0][0] == settings
        return made[0][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vllm, "LLM", once)
        patch.setattr(vllm.distributed, "cleanup_dist_env_and_memory", lambda: None)
        patch.setattr(load, "context_of", lambda config: CONTEXT)
        yield Case(
            section=section,
            source=source,
            chat=PromptFormat(load.load_tokenizer(source), name="expected"),
            prompts=PROMPTS,
            limit=LIMIT,
            hot=1.5,
            context=CONTEXT,
        )
        made.clear()


def test_a_model_opens_again_in_the_same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a run does: the student, then the teacher. The first test, as others share one engine."""
    # Compiling takes a CPU minutes.
    monkeypatch.setattr(vllm, "LLM", partial(REAL, enforce_eager=True))
    section = ModelSection(model=FOLDER, dtype="float32", engine="vllm", tensor_parallel=1)
    generate = GenerateSection(max_new_tokens=2, token_budget=CONTEXT)
    texts = []
    for _ in range(2):
        with open_vllm(section, find_for(section, generate), generate, None) as engine:
            (answer,) = engine.answer([problem(PROMPTS[0])])
        texts.append(answer.text)
    assert texts[0] == texts[1] != ""


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_vllm_does_what_engines_must(case: Case, check: Callable[[Case], None]) -> None:
    check(case)


def test_killed_work_goes_on_with_what_is_missing(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_work_goes_on_with_what_is_missing(case, tmp_path, monkeypatch)


def test_greedy_texts_are_those_of_transformers(case: Case) -> None:
    greedy_texts_are_those_of_transformers(case, Path(FOLDER))


def test_first_tokens_are_drawn_as_often_as_temperature_and_top_p_say(case: Case) -> None:
    text, count, top_p, hot = PROMPTS[1], 400, 0.8, 1.5
    samples = [problem(text, f"{text}/s{number}") for number in range(count)]
    with case.open(max_new_tokens=1, temperature=hot, top_p=top_p) as engine:
        drawn = Counter(answer.text for answer in engine.answer(samples))
    tokenizer = case.chat.tokenizer
    plain = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    with torch.no_grad():
        logits_V = plain(input_ids=torch.tensor([case.chat.prompt_ids(text)])).logits[0, -1]
    chances_V, order_V = torch.softmax(logits_V / hot, -1).sort(descending=True)
    # The likeliest up to the one with which they reach top_p.
    nucleus = int((chances_V.cumsum(0) < top_p).sum()) + 1
    kept_K = chances_V[:nucleus] / chances_V[:nucleus].sum()
    expected = Counter[str]()
    for token, chance in zip(order_V[:nucleus].tolist(), kept_K.tolist(), strict=True):
        expected[tokenizer.decode([token])] += chance
    assert set(drawn) <= set(expected)
    for said, chance in expected.most_common(5):
        # Four standard errors of a share.
        assert abs(drawn[said] / count - chance) < 4 * (chance * (1 - chance) / count) ** 0.5


# The stand-in of quick tests.


def defaults(function: Any) -> dict[str, Any]:
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }


@pytest.mark.parametrize(
    ("stand_in", "real"),
    [
        (fake_vllm.SamplingParams, vllm.SamplingParams),
        (fake_vllm.LLM.generate, REAL.generate),
    ],
    ids=["SamplingParams", "generate"],
)
def test_the_stand_in_takes_what_vllm_takes_with_its_defaults(stand_in: Any, real: Any) -> None:
    theirs = defaults(real)
    assert {name: theirs[name] for name in defaults(stand_in)} == defaults(stand_in)


def test_the_stand_in_is_built_of_words_that_vllm_takes() -> None:
    from vllm.engine.arg_utils import EngineArgs

    ours, theirs = defaults(fake_vllm.LLM.__init__), defaults(REAL.__init__)
    assert theirs.keys() >= ours.keys() - {"max_model_len"}
    assert all(theirs[name] == ours[name] for name in ours.keys() & theirs.keys())
    assert "max_model_len" in {each.name for each in fields(EngineArgs)}


@pytest.mark.parametrize(
    ("stand_in", "real"),
    [
        (fake_vllm.CompletionOutput, CompletionOutput),
        (fake_vllm.RequestOutput, RequestOutput),
    ],
    ids=["CompletionOutput", "RequestOutput"],
)
def test_what_the_stand_in_returns_vllm_returns(stand_in: Any, real: Any) -> None:
    ours = [each.name for each in fields(stand_in)]
    assert set(defaults(real)) >= set(ours)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1.0},
        {"temperature": 3.0},
        {"stop": [""]},
        {"top_p": 0.0},
        {"max_tokens": 0},
        {"stop_token_ids": ["2"]},
        {"stop": ["x"], "detokenize": False},
    ],
    ids=str,
)
def test_the_stand_in_refuses_what_vllm_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(VLLMValidationError) as theirs:
        vllm.SamplingParams(**wrong)
    with pytest.raises(fake_vllm.VLLMValidationError) as ours:
        fake_vllm.SamplingParams(**wrong)
    assert str(ours.value) == str(theirs.value)


def test_the_stand_in_ends_answers_as_vllm_does(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the model's own end, a token, a text, a limit and the end of the context."""
    ids = case.chat.prompt_ids(PROMPTS[0])
    with case.open() as engine:
        real = engine._engine._llm
    ours = fake_vllm.LLM(FOLDER, dtype="float32", max_model_len=CONTEXT)
    full = ids + [ids[-1]] * (CONTEXT - len(ids) - 2)
    said = list(case.chat.tokenizer.encode(case.greedy[3].text))
    third = case.chat.prompt_ids(PROMPTS[3])
    for prompt, settings in [
        (ids, {"max_tokens": 40}),
        (third, {"max_tokens": 40, "stop_token_ids": [said[2]]}),
        (third, {"max_tokens": 40, "stop": [case.greedy[3].text[5:8]]}),
        (third, {"max_tokens": 4}),
        (full, {"max_tokens": 40}),
    ]:
        (found,) = real.generate(
            [{"prompt_token_ids": prompt}],
            [vllm.SamplingParams(temperature=0.0, **settings)],
            use_tqdm=False,
        )
        (imitated,) = ours.generate(
            [{"prompt_token_ids": prompt}],
            [fake_vllm.SamplingParams(temperature=0.0, **settings)],
            use_tqdm=False,
        )
        for name in ("finish_reason", "stop_reason"):
            theirs, own = (getattr(each.outputs[0], name) for each in (found, imitated))
            assert theirs == own, (settings, name)
        assert list(found.outputs[0].token_ids) == list(imitated.outputs[0].token_ids), settings
        assert found.prompt_token_ids == imitated.prompt_token_ids
