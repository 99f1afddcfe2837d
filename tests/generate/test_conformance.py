"""Every engine does what an engine must do (tests/generate/conformance.py)."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import GenerationConfig

from leaf.errors import ModelError, ServerError
from leaf.generate import find_for, open_engine
from leaf.models import load
from leaf.models.files import Source, find
from leaf.models.prompt_format import PromptFormat
from leaf.recipe import GenerateSection, ModelSection, ServerSection
from tests.generate import fake_vllm
from tests.generate.conformance import (
    CHECKS,
    Case,
    killed_work_goes_on_with_what_is_missing,
    problem,
)
from tests.generate.conftest import SAYINGS
from tests.marks import SMOL, needs_smol
from tests.servers import held_port, wait_for

REAL = (
    "What is 2 + 2? Answer with a number only.",
    "Name a color.",
    "Which animal says meow?",
)

GENERATE = GenerateSection()

real = [pytest.mark.real, needs_smol]


def case_of(section: ModelSection, tokenizer_of: ModelSection, **settings: Any) -> Case:
    tokenizer = load.load_tokenizer(find(tokenizer_of, weights=False))
    return Case(
        section=section,
        source=find_for(section, GENERATE),
        chat=PromptFormat(tokenizer, name="expected"),
        **settings,
    )


@pytest.fixture(scope="module")
def hf(talker: Path) -> Case:
    section = ModelSection(model=str(talker), dtype="float32", engine="hf")
    return case_of(section, section, prompts=tuple(SAYINGS), hot=2.0, context=128)


@pytest.fixture(scope="module")
def vllm(talker: Path) -> Iterator[Case]:
    section = ModelSection(model=str(talker), dtype="float32", engine="vllm")
    with pytest.MonkeyPatch.context() as patch:
        fake_vllm.install(patch)
        yield case_of(section, section, prompts=tuple(SAYINGS), hot=2.0, context=128)


@pytest.fixture(scope="module")
def llamacpp() -> Case:
    section = ModelSection(model=str(SMOL), engine="llamacpp")
    return case_of(section, section, prompts=REAL, hot=1.5, context=8192)


@pytest.fixture(scope="module")
def llama_server() -> Iterator[Case]:
    """llama.cpp's own server: its template, its tokenizer, its counts."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(SMOL)
    params.n_ctx, params.n_parallel, params.cache_prompt = 512, 1, False
    params.warmup, params.verbosity, params.cache_ram_mib = False, -1, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    url = f"{server.listening_address}/v1"
    section = ModelSection(
        model=str(SMOL), engine="openai", server=ServerSection(url=url, retries=0, workers=2)
    )
    yield case_of(section, section, prompts=REAL, hot=1.5, context=512, continues=False)
    del server


@pytest.fixture(scope="module")
def transformers_serve(talker: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """The server that comes with transformers, as a command of its own."""
    folder = str(talker)
    # It samples only where the model's own settings say so; a temperature of 0 is greedy anyhow.
    model_folder = sampling_copy(Path(folder), tmp_path_factory.mktemp("served") / "student")
    command = [str(Path(sys.executable).parent / "transformers"), "serve", str(model_folder)]
    options = ["--device", "cpu", "--dtype", "float32"]
    log = tmp_path_factory.mktemp("serve") / "log"
    quiet = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as output, held_port() as port:
        process = subprocess.Popen(
            [*command, *options, "--port", str(port)],
            stdout=output,
            stderr=output,
            env={**os.environ, **quiet},
        )
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for(f"{url}/health", process, log)
            # Its random numbers are those of the whole process: one request at a time.
            server = ServerSection(url=f"{url}/v1", retries=0, workers=1)
            section = ModelSection(model=str(model_folder), engine="openai", server=server)
            model = ModelSection(model=folder)
            yield case_of(section, model, prompts=tuple(SAYINGS), hot=2.0, continues=False)
        finally:
            process.kill()
            process.wait()


def sampling_copy(folder: Path, copy: Path) -> Path:
    shutil.copytree(folder, copy)
    config = GenerationConfig.from_pretrained(copy)
    config.do_sample, config.top_k = True, 0
    config.save_pretrained(copy)
    return copy


ENGINES_UNDER_TEST = [
    "hf",
    "vllm",
    pytest.param("llamacpp", marks=real),
    pytest.param("llama_server", marks=real),
    "transformers_serve",
]


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("case", ENGINES_UNDER_TEST, indirect=True)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_an_engine_does_what_engines_must(case: Case, check: Callable[[Case], None]) -> None:
    check(case)


@pytest.mark.parametrize("case", ENGINES_UNDER_TEST, indirect=True)
def test_killed_work_goes_on_with_what_is_missing(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_work_goes_on_with_what_is_missing(case, tmp_path, monkeypatch)


@pytest.mark.parametrize("case", ["transformers_serve"], indirect=True)
def test_a_real_server_s_refusal_of_another_model_is_one_line(case: Case) -> None:
    # llama.cpp answers with what it has, whatever it is asked for.
    assert case.section.server
    server = case.section.server.model_copy(update={"model": "unknown/model"})
    section = case.section.model_copy(update={"server": server})
    with (
        pytest.raises(ServerError, match="unknown/model"),
        open_engine(section, case.source, GENERATE),
    ):
        pass


@pytest.mark.parametrize("case", ["vllm"], indirect=True)
def test_what_vllm_refuses_is_one_line_before_a_model_is_loaded(case: Case) -> None:
    with (
        pytest.raises(ModelError, match=r"generate: .* temperature must be in \[0, 2\], got 3"),
        replace(case, source=Source(name="none", fingerprint="none")).open(temperature=3.0),
    ):
        pass


@pytest.mark.parametrize("case", ["vllm"], indirect=True)
def test_an_engine_whose_worker_died_is_one_line(case: Case) -> None:
    with (
        case.open() as engine,
        pytest.raises(ModelError, match="engine vllm gives no answers any more: Worker died"),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(fake_vllm.LLM, "generate", dead)
        engine.answer([problem(case.prompts[0])])


def dead(*_: Any, **__: Any) -> Any:
    raise RuntimeError("Worker died\nsee above")


@pytest.mark.parametrize("case", ["vllm"], indirect=True)
def test_vllm_gives_the_gpu_back_though_the_engine_is_still_named(case: Case) -> None:
    before = fake_vllm.LLM.alive
    with case.open() as engine:
        assert fake_vllm.LLM.alive == before + 1
    assert fake_vllm.LLM.alive == before
    assert engine.effort.answers == 0
