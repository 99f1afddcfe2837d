"""Each page that answers a question begins with a command, and it does what the page says."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from tests.command_line import Done, leaf
from tests.marks import ROOT

DOCS = ROOT / "docs"
RUN = {
    "own-data": ["leaf init customers.csv"],
    "no-teacher": ["leaf show own"],
    "marked-wrong": ["leaf grade --grader math"],
    "detectors": ["leaf show demo --set attribute.detector=gradient"],
    "scale": ["leaf show gsm8k --set runner=ray"],
    "long": ["leaf show long", "leaf grade --grader '{rouge_l"],
    "models": ["leaf doctor demo"],
    "cost": ["leaf doctor demo"],
}
"""Page to how the commands begin that are run here, its first one first."""

ON_A_RUN = {
    "report": ["leaf report runs/demo", "leaf explain runs/demo playground-train-9"],
    "explain": ["leaf explain runs/demo", "leaf explain runs/demo playground-train-9"],
    "trainer": ["leaf export runs/demo"],
}
"""The same of pages whose commands read a run of the demo."""


def commands(page: str) -> list[str]:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.S)
    lines = [line.partition("  #")[0].strip() for line in "".join(blocks).splitlines()]
    return [line for line in lines if line.startswith("leaf ")]


def run_commands(page: str, begin: list[str]) -> None:
    written = commands(page)
    for words in begin:
        command = next(line for line in written if line.startswith(words))
        done = of(command)
        assert done.code == 0, done.err
        assert done.out


@cache
def of(command: str) -> Done:
    """Run a command once, however many pages show it."""
    return leaf(*shlex.split(command)[1:])


@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"What is {n} plus 1?,{n + 1}\n" for n in range(20))
    Path("customers.csv").write_text(f"question,answer\n{rows}", encoding="utf-8")
    assert commands(page)[0].startswith(RUN[page][0])

    run_commands(page, RUN[page])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs/demo`: the demo's first problems, up to verification."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # the store is kept beside the run
        size = "data.world.size=12"
        done = leaf("run", "demo", "--until", "verify", "--set", size, "--out", "runs/demo")
    assert done.code == 0, done.err
    return folder


@pytest.mark.parametrize("page", ON_A_RUN)
def test_the_commands_of_a_page_read_a_run(
    page: str, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(demo)

    run_commands(page, ON_A_RUN[page])


def test_the_answer_of_the_page_on_marks_is_the_graders() -> None:
    text = (DOCS / "marked-wrong.md").read_text(encoding="utf-8")
    said = re.search(r"```text\n(.*?)```", text, re.S)
    assert said
    assert of(commands("marked-wrong")[0]).out == said.group(1)
