"""vLLM itself on this CPU, in an environment of its own (`make vllm`): engine, server, teacher."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from leaf.distill.served import check_model, keep_served, open_client
from leaf.errors import LeafError, MissingError, ServerError
from leaf.generate import find_for
from leaf.models import files, load
from leaf.models.prompt_format import EncodedExample, PromptFormat
from leaf.recipe import GenerateSection, ModelSection, ServedSection, ServerSection
from tests.generate.conformance import (
    CHECKS,
    Case,
    greedy_texts_are_those_of_transformers,
    killed_work_goes_on_with_what_is_missing,
    problem,
)
from tests.marks import ROOT, SMOL, VLLM, needs_smol, needs_vllm
from tests.servers import held_port, wait_for

pytestmark = [pytest.mark.real, pytest.mark.long, needs_vllm, needs_smol]

QUIET = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # else every engine takes the first core
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}

PROMPTS = (
    "What is 2 + 2? Answer with a number only.",
    "Name a color.",
    "Which animal says meow?",
    "Write one sentence about the sea.",
)

NAME, CONTEXT, MOST = "smol", 512, 64


@pytest.fixture(scope="module")
def model() -> ModelSection:
    return ModelSection(model=str(SMOL), dtype="float32")


def test_engine_vllm_does_with_vllm_what_engines_must(model: ModelSection) -> None:
    """Each claim is a test of under_vllm.py."""
    command = [str(VLLM / "bin" / "python"), "-m", "pytest", "--noconftest", "-q"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "tests/generate/under_vllm.py"],
        cwd=ROOT,
        env={**os.environ, **QUIET, "LEAF_TEST_MODEL": str(files.find(model).folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=3600,
    )
    print(done.stdout[-6000:])
    assert done.returncode == 0
    assert re.search(r"\d+ passed in", done.stdout)


@pytest.fixture(scope="module")
def url(model: ModelSection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where `vllm serve` is, as documented, with float32 and without compilation."""
    log = tmp_path_factory.mktemp("vllm") / "log"
    # The command `vllm` asks for the version of a package `vllm`; this one is called vllm-cpu.
    command = [str(VLLM / "bin" / "python"), "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(files.find(model).folder)]
    options = ["--max-logprobs", str(MOST), "--served-model-name", NAME, "--dtype", "float32"]
    small = ["--max-model-len", str(CONTEXT), "--max-num-seqs", "8", "--enforce-eager"]
    with log.open("wb") as output, held_port() as port:
        process = subprocess.Popen(
            [*command, *options, *small, "--host", "127.0.0.1", "--port", str(port)],
            stdout=output,
            stderr=output,
            env={**os.environ, **QUIET},
            start_new_session=True,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/health", process, log, patience=900.0)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # its engine is a process of its own
            process.wait()


@pytest.fixture(scope="module")
def case(url: str, model: ModelSection) -> Case:
    server = ServerSection(url=url, model=NAME, retries=0, workers=2)
    section = model.model_copy(update={"engine": "openai", "server": server})
    return Case(
        section=section,
        source=find_for(section, GenerateSection()),
        chat=PromptFormat(load.load_tokenizer(files.find(model)), name="expected"),
        prompts=PROMPTS,
        hot=1.5,
        context=CONTEXT,
        continues=False,
    )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_engine_openai_does_with_vllm_serve_what_engines_must(
    case: Case, check: Callable[[Case], None]
) -> None:
    check(case)


def test_killed_work_goes_on_with_what_vllm_serve_has_not_answered(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_work_goes_on_with_what_is_missing(case, tmp_path, monkeypatch)


def test_vllm_serve_answers_as_transformers_does(case: Case, model: ModelSection) -> None:
    greedy_texts_are_those_of_transformers(case, files.find(model).folder)


@pytest.mark.parametrize("k", [1, MOST])
def test_a_teacher_of_vllm_serve_has_the_log_probabilities_of_transformers(
    url: str, case: Case, model: ModelSection, k: int
) -> None:
    rows = [case.chat.encode(text, "It is 4, and the cat says meow.") for text in PROMPTS]
    plain = AutoModelForCausalLM.from_pretrained(files.find(model).folder, dtype=torch.float32)
    section = ServedSection(url=url, model=NAME, workers=2)
    with open_client(section, retries=0) as client:
        check_model(section, client, NAME)
        produce = keep_served(section, client, NAME, k=k, vocabulary=plain.config.vocab_size)
        # Twice: what vLLM has of a prompt already must not be left out.
        first, again = produce(rows), produce(rows)
    for row, *entries in zip(rows, first, again, strict=True):
        with torch.no_grad():
            logits_TV = plain(input_ids=torch.tensor([row.ids])).logits[0]
        log_RV = torch.log_softmax(logits_TV[row.prompt_length - 1 : -1], -1)
        for entry in entries:
            log_RK = log_RV.gather(1, entry["ids"].long())
            torch.testing.assert_close(entry["log"], log_RK, rtol=0, atol=1e-3)
            # The likeliest, whichever of two that are as likely.
            best_RK = log_RV.topk(k).values
            torch.testing.assert_close(entry["log"], best_RK, rtol=0, atol=1e-3)


def test_more_log_probabilities_than_vllm_serve_allows_are_refused_with_the_way_out(
    url: str, case: Case
) -> None:
    section = ServedSection(url=url, model=NAME, workers=1)
    rows = [case.chat.encode(PROMPTS[0], "4")]
    with (
        open_client(section, retries=0) as client,
        pytest.raises(ServerError, match=f"start vLLM with --max-logprobs {MOST + 1}"),
    ):
        keep_served(section, client, NAME, k=MOST + 1, vocabulary=49152)(rows)


@pytest.mark.parametrize("over", [0, 1])
def test_a_row_without_room_in_the_context_of_vllm_serve_is_said_with_the_way_out(
    url: str, over: int
) -> None:
    section = ServedSection(url=url, model=NAME, workers=1)
    rows = [EncodedExample(ids=(4093,) * (CONTEXT + over), prompt_length=4)]
    with (
        open_client(section, retries=0) as client,
        pytest.raises(MissingError, match=r"larger --max-model-len, or lower distill\.cutoff"),
    ):
        keep_served(section, client, NAME, k=1, vocabulary=49152)(rows)


def test_a_prompt_that_fills_the_context_to_the_last_token_fails_alone(case: Case) -> None:
    room = CONTEXT - len(case.chat.prompt_ids("pens"))
    full = problem("pens" + " pens" * room, "full")
    assert len(case.chat.prompt_ids(full.question)) == CONTEXT
    with case.open(max_new_tokens=2) as engine:
        failed, answered = engine.answer([full, problem(case.prompts[0])])
    assert failed.failure
    assert answered.failure is None


@pytest.mark.parametrize(
    ("settings", "way_out"),
    [
        ({"temperature": 3.0}, "lower generate.temperature"),
        ({"max_new_tokens": CONTEXT + 1}, "lower generate.max_new_tokens, or start vLLM"),
    ],
    ids=str,
)
def test_what_vllm_serve_refuses_names_the_setting(
    case: Case, settings: dict[str, Any], way_out: str
) -> None:
    with pytest.raises(LeafError, match=way_out), case.open(**settings) as engine:
        engine.answer([problem(case.prompts[0])])
