"""Ray changes where shards are worked on and nothing else; a lost worker loses nothing."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import yaml

from leaf.cli.main import main
from leaf.errors import LeafError, NonFiniteError, UsageError
from leaf.models.files import find
from leaf.pipeline.session import Session
from leaf.recipe import RaySection
from leaf.recipe.reading import check_recipe, load_recipe
from leaf.records import Drop
from leaf.store.ray import RayRunner
from leaf.store.runner import OpenWorker, Runner
from leaf.store.store import LOCAL, Store
from leaf.tasks import load_problems
from tests.works import Given, contents, drops

KEY = "0123456789abcdef"


@pytest.fixture(scope="module")
def runner() -> Iterator[RayRunner]:
    """Two workers on a Ray of three CPUs that all tests here share: each start takes seconds."""
    ray = pytest.importorskip("ray")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    runner = RayRunner(RaySection(workers=2))
    runner.connect()
    yield runner
    torch.set_num_threads(threads)
    runner.close()
    assert not ray.is_initialized()


def compute(root: Path, job: OpenWorker[int, Drop], runner: Runner, n: int = 5) -> Path:
    """Compute a stage of `n` items, two a shard; return its folder."""
    store = Store(root)
    work = Given(kind="s", named=KEY, worker=job)
    store.compute(work, range(n), shard_size=2, runner=runner)
    return store.folder("s", KEY)


def stage_1(folder: Path, root: Path, name: str) -> Session:
    """Score questions and answer them with drafts, as a run does."""
    recipe = check_recipe(
        {
            **yaml.safe_load((folder / "recipe.yaml").read_text()),
            "store": {"shard_size": 3},
            "runner": name,
        },
        source="test",
    )
    session = Session(recipe, Store(root))
    session.sources = {"student": find(recipe.student)}
    problems = load_problems(recipe.data)
    pairs = [(problem, problem.solution or "") for problem in problems]
    session.sensitivities("student", "gradient", pairs)
    session.answers_of("student", problems, drafts={item.id: "4" for item in problems})
    return session


def test_two_workers_write_the_bytes_that_one_process_writes(
    runner: RayRunner, cue_pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    here = stage_1(cue_pair, tmp_path / "here", "local")
    there = stage_1(cue_pair, tmp_path / "there", "ray")
    whole = contents(tmp_path / "here")
    # Sensitivities, answers and their scores: three shards and an end mark each.
    assert len(whole) == 3 * 4
    assert contents(tmp_path / "there") == whole
    assert [(log.key, log.computed) for log in there.logs] == [
        (log.key, log.computed) for log in here.logs
    ]


@pytest.mark.long
def test_a_killed_worker_loses_nothing(
    runner: RayRunner, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    us = os.getpid()

    def work(part: Sequence[int]) -> list[Drop]:
        if os.getpid() != us:
            (marks / str(os.getpid())).touch()
            if 2 in part and not (marks / "killed").exists():
                (marks / "killed").write_text(str(os.getpid()))
                os.kill(os.getpid(), signal.SIGKILL)
        return drops(part)

    def job(tick: object) -> nullcontext[object]:
        return nullcontext(work)

    there = compute(tmp_path / "there", job, RayRunner(RaySection(workers=1)))
    killed = int((marks / "killed").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(killed, 0)
    others = {int(path.name) for path in marks.iterdir() if path.name != "killed"} - {killed}
    assert others
    assert contents(there) == contents(compute(tmp_path / "here", job, LOCAL))


def test_an_error_in_a_worker_arrives_as_it_is_and_what_was_finished_is_kept(
    runner: RayRunner, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.touch()

    def work(part: Sequence[int]) -> list[Drop]:
        if 4 in part and broken.exists():
            raise NonFiniteError("student: NaN in problem p4")
        return drops(part)

    one = RayRunner(RaySection(workers=1))
    with pytest.raises(NonFiniteError) as caught:
        compute(tmp_path / "there", lambda tick: nullcontext(work), one)
    assert (str(caught.value), caught.value.exit_code) == ("student: NaN in problem p4", 1)
    folder = tmp_path / "there" / "s" / KEY
    assert sorted(contents(folder)) == ["part-00000.parquet", "part-00001.parquet"]
    broken.unlink()
    # What one runner began, the other one ends.
    compute(tmp_path / "there", lambda tick: nullcontext(work), LOCAL)
    here = compute(tmp_path / "here", lambda tick: nullcontext(work), LOCAL)
    assert contents(folder) == contents(here)


@pytest.mark.long
def test_a_worker_computes_with_the_threads_of_this_process_and_its_words_are_heard(
    runner: RayRunner, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def work(part: Sequence[int]) -> list[Drop]:
        from leaf.progress import say

        say(f"heard {part}")
        return drops(part, str(torch.get_num_threads()))

    ticks: list[int] = []
    torch.set_num_threads(3)
    try:
        found = dict(
            RayRunner(RaySection(workers=5)).run(
                lambda tick: nullcontext(work), [(4, [7, 8]), (9, [1])], ticks.append
            )
        )
    finally:
        torch.set_num_threads(1)
    assert found == {4: drops([7, 8], "3"), 9: drops([1], "3")}
    assert sorted(ticks) == [1, 2]
    said = capfd.readouterr().err
    assert "Ray has room for 1 of 5 workers (3 CPUs and 0 GPUs each)" in said
    assert sum(line.startswith("worker ") and "heard" in line for line in said.splitlines()) == 2


def test_a_worker_that_no_machine_has_room_for_is_refused(
    runner: RayRunner, tmp_path: Path
) -> None:
    greedy = RayRunner(RaySection(gpus=64))
    with pytest.raises(LeafError, match="no machine of Ray has the 1 CPUs and 64 GPUs"):
        compute(tmp_path, lambda tick: nullcontext(drops), greedy)


def test_what_ray_says_of_itself_as_it_starts_is_not_heard(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")

    def init(**_: object) -> None:  # as its C++ does, past Python
        os.write(2, b"[ I 1 1] logging.cc:303: Set ray log level from environment variable\n")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    RayRunner(RaySection()).connect()
    os.write(2, b"heard again\n")
    assert capfd.readouterr().err == "heard again\n"


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)


def test_without_ray_one_line_says_how_to_install_it(
    without_ray: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["run", "demo", "--set", "runner=ray", "--out", str(tmp_path / "run")])
    line = 'runner: ray needs Ray, which is not installed: pip install "leaf-distill[ray]"'
    assert capsys.readouterr().err.splitlines() == [f"leaf: {line}"]
    assert caught.value.code == UsageError.exit_code


def test_without_ray_everything_else_works(without_ray: None, tmp_path: Path) -> None:
    recipe = load_recipe("demo")
    assert recipe.runner == "local"
    assert Session(recipe, Store(tmp_path)).runner.run is not None
