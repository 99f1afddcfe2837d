"""A server of chat completions whose every answer a test decides, for faults no real one has."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    status: int = 200
    body: bytes = b""
    kind: str = "application/json"
    announced: int | None = None
    """`Content-Length`, where it is not the body's: the connection is cut before."""
    headers: tuple[tuple[str, str], ...] = ()


def said(text: Any, *, end: str = "stop", **changes: Any) -> Reply:
    """Return a whole answer; `changes` replace what stands beside the choices."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": end}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    content = {"id": "1", "object": "chat.completion", "created": 1, "model": "small"}
    return Reply(
        body=json.dumps({**content, "choices": [choice], "usage": usage} | changes).encode()
    )


def refused(status: int, message: str, **headers: str) -> Reply:
    return Reply(
        status=status,
        body=json.dumps({"error": {"message": message}}).encode(),
        headers=tuple((name.replace("_", "-"), value) for name, value in headers.items()),
    )


class ChatServer:
    """Serves until the block ends; keeps what it was asked.

    `reply` gets the user's message and how often that was asked before. The question "Hello", with
    which an engine tries a server out, is answered properly.
    """

    def __init__(
        self,
        reply: Callable[[str, int], Reply] = lambda text, before: said(f"re: {text}"),
        *,
        try_out: Reply | None = None,
        listing: Reply = Reply(body=b'{"object": "list", "data": []}'),
        port: int = 0,
    ) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.together = 0
        """Most requests for which an answer was being made at one time."""
        server, lock, now = self, threading.Lock(), 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send(listing)

            def do_POST(self) -> None:
                nonlocal now
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = body["messages"][-1]["content"]
                with lock:
                    before = sum(one["messages"][-1]["content"] == text for one in server.asked)
                    server.asked.append(body)
                    server.headers.append({key.lower(): on for key, on in self.headers.items()})
                    now += 1
                    server.together = max(server.together, now)
                try:
                    if text == "Hello":
                        found = try_out or said("x", end="length")
                    else:
                        found = reply(text, before)
                finally:
                    # Before the answer is sent: who has it may ask again at once.
                    with lock:
                        now -= 1
                self.send(found)

            def send(self, found: Reply) -> None:
                self.send_response(found.status)
                self.send_header("Content-Type", found.kind)
                length = len(found.body) if found.announced is None else found.announced
                self.send_header("Content-Length", str(length))
                for header in found.headers:
                    self.send_header(*header)
                self.end_headers()
                self.wfile.write(found.body)
                if length != len(found.body):
                    self.close_connection = True

            def log_message(self, *words: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
