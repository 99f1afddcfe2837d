"""How many threads are of use, from what a machine says of itself."""

import os
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest

from leaf.api.undisturbed import undisturbed
from leaf.models import threads


def control_group(root: Path, lines: str, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in files.items():
        path = root / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "own").write_text(lines)
    return root / "groups", root / "own"


@pytest.mark.parametrize(
    ("lines", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", {"a/cpu.max": "200000 100000", "a/b/cpu.max": "400000 100000"}, 2.0),
        ("0::/not/seen/here\n", {"cpu.max": "50000 100000"}, 0.5),
        (
            "3:memory:/x\n2:cpu,cpuacct:/docker/x\n",
            {
                "cpu,cpuacct/docker/x/cpu.cfs_quota_us": "300000",
                "cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000",
            },
            3.0,
        ),
        (
            "1:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            None,
        ),
        ("0::/\n", {"cpu.max": "nonsense"}, None),
        ("", {}, None),
        ("nonsense\n0:\n\n0::/\n", {"cpu.max": "100000 100000"}, 1.0),
    ],
    ids=[
        "v2",
        "v2 free",
        "a parent",
        "a path of the host",
        "v1",
        "v1 free",
        "unreadable",
        "none",
        "lines without two colons",
    ],
)
def test_a_quota_is_the_least_of_a_group_and_its_parents(
    tmp_path: Path, lines: str, files: dict[str, str], cores: float | None
) -> None:
    assert threads.quota(*control_group(tmp_path, lines, files)) == cores


@pytest.mark.parametrize(
    ("cores", "quota", "most"), [(8, None, 8), (8, 3.7, 3), (8, 0.4, 1), (2, 6, 2)]
)
def test_threads_are_whole_cores_of_affinity_and_quota(
    monkeypatch: pytest.MonkeyPatch, cores: int, quota: float | None, most: int
) -> None:
    monkeypatch.setattr(threads, "cores", lambda: cores)
    monkeypatch.setattr(threads, "quota", lambda: quota)
    monkeypatch.delenv(threads.SETTING, raising=False)
    assert threads.allowed() == most
    threads.settle()
    assert os.environ.get(threads.SETTING) == (str(most) if most < cores else None)


def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "quota", lambda: 1.0)
    monkeypatch.setattr(threads, "cores", lambda: 8)
    monkeypatch.setenv(threads.SETTING, "5")
    threads.settle()
    assert os.environ[threads.SETTING] == "5"


@pytest.mark.parametrize(
    ("before", "setting", "within"),
    [(8, None, 3), (4, None, 3), (5, None, 5), (2, None, 2), (8, "8", 8)],
    ids=["all cores", "all without hyperthreads", "torch.set_num_threads", "few", "a variable"],
)
def test_a_call_from_python_takes_the_threads_of_the_quota_and_gives_them_back(
    monkeypatch: pytest.MonkeyPatch, before: int, setting: str | None, within: int
) -> None:
    taken = [before]
    monkeypatch.setattr("torch.get_num_threads", lambda: taken[-1])
    monkeypatch.setattr("torch.set_num_threads", taken.append)
    monkeypatch.setattr("psutil.cpu_count", lambda logical=True: 8 if logical else 4)
    monkeypatch.setattr(threads, "cores", lambda: 8)
    monkeypatch.setattr(threads, "quota", lambda: 3.7)
    monkeypatch.delenv(threads.SETTING, raising=False)
    if setting is not None:
        monkeypatch.setenv(threads.SETTING, setting)
    with undisturbed():
        assert taken[-1] == within
    assert taken[-1] == before


@pytest.mark.parametrize(
    ("busy", "count", "said"),
    [(0.2, 4, None), (3.0, 4, "=1"), (1.2, 4, "=3"), (3.9, 1, None), (None, 4, None)],
)
def test_busy_cores_are_told_where_threads_would_wait_for_them(
    monkeypatch: pytest.MonkeyPatch, busy: float | None, count: int, said: str | None
) -> None:
    watch = threads.Watch()
    monkeypatch.setattr(watch, "busy", lambda: busy)
    monkeypatch.setattr(threads, "cores", lambda: 4)
    advice = watch.advice(count)
    assert advice is None if said is None else said in (advice or "")


def test_the_time_of_others_is_what_is_left_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = threads.Watch()
    seen = iter([(10.0, 100.0, 5.0), (14.0, 109.0, 8.0), (10.1, 100.0, 5.0)])
    monkeypatch.setattr(watch, "_times", lambda: next(seen))
    monkeypatch.setattr(watch, "_begun", next(seen))
    assert watch.busy() == pytest.approx((109 - 100 - (8 - 5)) / 4)
    assert watch.busy() is None


@pytest.mark.parametrize(("allowed", "others"), [([0, 1], 0.25), ([1, 2], 1.25)])
def test_only_cores_that_this_process_may_use_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, allowed: list[int], others: float
) -> None:
    class Own:
        def cpu_affinity(self) -> list[int]:
            return allowed

        def cpu_times(self) -> SimpleNamespace:
            return SimpleNamespace(user=0.0, system=0.0, children_user=0.0, children_system=0.0)

    def cores(*busy: float) -> list[tuple[float, ...]]:
        Times = namedtuple("Times", ["user", "idle"])
        return [Times(one, 4.0 - one) for one in busy]

    # In 4 seconds the second core was busy for one, the third all the time.
    seen = iter([cores(0.0, 0.0, 0.0), cores(0.0, 1.0, 4.0)])
    now = iter([10.0, 14.0])
    monkeypatch.setattr("psutil.Process", Own)
    monkeypatch.setattr("psutil.cpu_times", lambda percpu: next(seen))
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    assert threads.Watch().busy() == pytest.approx(others)
