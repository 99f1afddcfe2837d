"""Each page that answers a question begins with a command, and it does what the page says."""

import re
import shlex
from pathlib import Path

import pytest

from tests.command_line import leaf
from tests.marks import ROOT

DOCS = ROOT / "docs"
FIRST = {
    "own-data": "leaf init customers.csv",
    "no-teacher": "leaf show own",
    "marked-wrong": "leaf grade --grader math",
    "detectors": "leaf show demo --set attribute.detector=gradient",
    "scale": "leaf show gsm8k --set runner=ray",
}
"""Page to how its first command begins. Those of models and cost are `leaf doctor` (test_doctor),
of the report and one prompt `leaf report` and `leaf explain` (tests/cli, one_problem), and the
trainer's is an example (tests/examples)."""


def commands(page: str) -> list[str]:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.S)
    return [line.partition("  #")[0].strip() for line in "".join(blocks).splitlines()]


@pytest.mark.parametrize("page", FIRST)
def test_the_first_command_of_a_page_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"What is {n} plus 1?,{n + 1}\n" for n in range(20))
    Path("customers.csv").write_text(f"question,answer\n{rows}", encoding="utf-8")
    first = next(line for line in commands(page) if line.startswith("leaf "))
    assert first.startswith(FIRST[page])

    done = leaf(*shlex.split(first)[1:])

    assert done.code == 0, done.err
    assert done.out


def test_the_answer_of_the_page_on_marks_is_the_graders() -> None:
    text = (DOCS / "marked-wrong.md").read_text(encoding="utf-8")
    said = re.search(r"```text\n(.*?)```", text, re.S)
    assert said
    assert leaf(*shlex.split(commands("marked-wrong")[0])[1:]).out == said.group(1)
