"""A hub that cannot be reached is said in one line, after one attempt of the time it is given."""

import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from huggingface_hub import constants

from leaf.errors import DataError, ModelError
from leaf.models.files import find
from leaf.recipe import DataSection, ModelSection
from leaf.tasks import load_problems
from leaf.tasks.reading import read_rows

SECTION = ModelSection(model="nobody/nothing")


@pytest.fixture(autouse=True)
def nothing_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A hub that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.5)
        yield listening


def taken(listening: socket.socket) -> int:
    """Count the connections that wait to be taken."""
    count = 0
    while True:
        try:
            listening.accept()[0].close()
        except TimeoutError:
            return count
        count += 1


def refused_line(monkeypatch: pytest.MonkeyPatch, port: int) -> str:
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(ModelError) as caught:
        find(SECTION)
    return str(caught.value)


def test_a_silent_hub_is_asked_once_for_as_long_as_the_user_says(
    silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "1")
    line = refused_line(monkeypatch, silent.getsockname()[1])
    assert line == (
        "nobody/nothing: not a local folder or GGUF file, and the hub cannot be reached (in 1 s; "
        "HF_HUB_ETAG_TIMEOUT sets another time); connect once to cache it, or give a local path"
    )
    assert taken(silent) == 1


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (
            lambda: read_rows("nobody/nothing", name=None, split="train"),
            "nobody/nothing train: cannot be loaded: the hub cannot be reached (in 1 s; ",
        ),
        (
            lambda: load_problems(DataSection(task="livecodebench")),
            "livecodebench/code_generation_lite release_v4: cannot be loaded: the hub cannot be "
            "reached (in 1 s; ",
        ),
    ],
)
def test_so_it_is_for_data_sets(
    silent: socket.socket, monkeypatch: pytest.MonkeyPatch, read: Callable[[], object], said: str
) -> None:
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "1")
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
    with pytest.raises(DataError) as caught:
        read()
    assert str(caught.value).startswith(said)
    assert taken(silent) == 1
    assert not constants.HF_HUB_OFFLINE


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_by_the_users_own_word_is_told_and_nobody_is_asked(
    silent: socket.socket, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    assert refused_line(monkeypatch, silent.getsockname()[1]) == (
        f"nobody/nothing: not a local folder or GGUF file, and {variable} is set and it is not in "
        f"the cache; unset {variable}, or give a local path"
    )
    assert taken(silent) == 0


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"])
@pytest.mark.parametrize(
    "read",
    [
        lambda: read_rows("nobody/nothing", name=None, split="train"),
        lambda: load_problems(DataSection(task="livecodebench")),
    ],
)
def test_so_it_is_of_data_sets(
    silent: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    read: Callable[[], object],
) -> None:
    monkeypatch.setenv(variable, "1")
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
    with pytest.raises(DataError) as caught:
        read()
    assert (
        f": cannot be loaded: {variable} is set and it is not in the cache; unset {variable}, or "
        "give a local .jsonl"
    ) in str(caught.value)
    assert taken(silent) == 0


def test_a_hub_that_refuses_connections_cannot_be_reached_either(
    silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_ETAG_TIMEOUT", raising=False)
    port = silent.getsockname()[1]
    silent.close()
    assert "cannot be reached (in 3 s; " in refused_line(monkeypatch, port)


def test_what_a_hub_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class NotFound(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), NotFound) as hub:
        Thread(target=hub.serve_forever, daemon=True).start()
        line = refused_line(monkeypatch, hub.server_port)
        hub.shutdown()
    assert line.startswith("nobody/nothing: the hub refused it: 404")
