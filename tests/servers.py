"""A server of prompt log-probabilities on this machine, in the format of vLLM, for tests."""

import contextlib
import json
import math
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import torch

Answer = tuple[int, dict[str, Any]]


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    """A port of this machine that nothing listens on, and that nobody is given meanwhile.

    A server that the test itself starts there may listen: servers set SO_REUSEADDR, as this does.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def wait_for(
    url: str, process: subprocess.Popen[bytes], log: Path, *, patience: float = 180.0
) -> None:
    """Wait until a command's server answers at `url`; it must not end before."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()[-2000:]
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1):  # noqa: S310
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text()[-2000:])


class LogprobServer:
    """Answers from a real model until the block ends; keeps what it was asked.

    As vLLM does, it counts ranks from 1, names the token that came beside the likeliest, has null
    for the first token, and refuses in these words what it does not have or allow.
    """

    def __init__(
        self,
        model: Any,
        *,
        name: str = "teacher",
        most: int = 64,
        context: int | None = None,
        key: str | None = None,
        twist: Callable[[Answer], Answer] = lambda answer: answer,
    ) -> None:
        """Serve `model`.

        Args:
            model: A causal language model.
            name: What requests must call it.
            most: `--max-logprobs`.
            context: `--max-model-len`.
            key: `--api-key`.
            twist: Changes the answers to completions.
        """
        self.model, self.name, self.most, self.key, self.twist = model, name, most, key, twist
        self.context = context
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(None)

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                self.answer(json.loads(self.rfile.read(length)))

            def answer(self, body: dict[str, Any] | None) -> None:
                server.headers.append({name.lower(): text for name, text in self.headers.items()})
                status, content = server.respond(self.path, body, self.headers["Authorization"])
                data = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *words: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def respond(self, path: str, body: dict[str, Any] | None, authorization: str | None) -> Answer:
        if self.key and authorization != f"Bearer {self.key}":
            return 401, {"error": f"Unauthorized: {authorization}"}
        if path == "/v1/models":
            return 200, {"object": "list", "data": [{"id": self.name, "object": "model"}]}
        if path != "/v1/completions" or body is None:
            return 404, {"detail": "Not Found"}
        self.asked.append(body)
        return self.complete(body)

    def complete(self, body: dict[str, Any]) -> Answer:
        if body["model"] != self.name:
            said = f"The model `{body['model']}` does not exist. Valid aliases: {self.name}."
            return refusal(404, said)
        if self.context and len(body["prompt"]) > self.context:
            return refusal(
                400,
                f"This model's maximum context length is {self.context} tokens. However, your "
                f"prompt contains at least {self.context + 1} input tokens, which exceeds this "
                "limit even without any output tokens.",
            )
        room = (self.context or math.inf) - len(body["prompt"])
        if min(body["max_tokens"], room) < 1:
            most = min(body["max_tokens"], room)
            return refusal(
                400,
                f"max_tokens must be at least 1, got {most}. (parameter=max_tokens, value={most})",
            )
        wanted = body.get("prompt_logprobs")
        if wanted is not None and wanted > self.most:
            return refusal(
                400,
                f"Requested prompt logprobs of {wanted}, which is greater than max allowed: "
                f"{self.most} (parameter=prompt_logprobs, value={wanted})",
            )
        choice = {"index": 0, "text": "x", "logprobs": None, "finish_reason": "length"}
        if wanted is not None:
            choice["prompt_logprobs"] = prompt_logprobs(self.model, body["prompt"], wanted)
        content = {"id": "cmpl-1", "object": "text_completion", "created": 1, "choices": [choice]}
        return self.twist((200, {**content, "model": self.name}))


def refusal(status: int, message: str) -> Answer:
    return status, {"error": {"message": message, "type": "BadRequestError", "code": status}}


def prompt_logprobs(model: Any, ids: list[int], most: int) -> list[dict[str, Any] | None]:
    """Return what vLLM says of each token of a prompt."""
    with torch.no_grad():
        log_TV = torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0].float(), -1)
    entries: list[dict[str, Any] | None] = [None]
    for token, log_V in zip(ids[1:], log_TV[:-1], strict=True):
        order = log_V.argsort(descending=True).tolist()
        shown = dict.fromkeys([token, *order[:most]])
        entries.append(
            {
                str(one): {
                    "logprob": float(log_V[one]),
                    "rank": order.index(one) + 1,
                    "decoded_token": f"<{one}>",
                }
                for one in shown
            }
        )
    return entries
