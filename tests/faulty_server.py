"""An OpenAI-compatible server on loopback that misbehaves as a test wants, and
remembers every request."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Say = Callable[["Call"], None]


def completion(text: str | None, finish: str = "stop", **more: Any) -> dict[str, Any]:
    return {
        "id": "x",
        "object": "chat.completion",
        "model": "stand-in-1",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text, **more},
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14},
    }


class Call:
    """One request: its body, how often an equal one came (1 for the first), and
    ways to answer it."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: dict[str, Any], times: int):
        self.handler, self.body, self.times = handler, body, times

    @property
    def prompt(self) -> str:
        return (
            self.body["messages"][-1]["content"]
            if "messages" in self.body
            else str(self.body.get("prompt", self.body.get("input")))
        )

    def raw(
        self, data: bytes, status: int = 200, kind: str = "application/json", **headers: str
    ) -> None:
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", kind)
        self.handler.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()
        self.handler.wfile.write(data)

    def json(self, value: Any, status: int = 200, **headers: str) -> None:
        self.raw(json.dumps(value).encode(), status, **headers)

    def say(self, text: str | None, finish: str = "stop", **more: Any) -> None:
        self.json(completion(text, finish, **more))

    def error(self, status: int, message: str = "no", **headers: str) -> None:
        self.json({"error": {"message": message, "type": "test", "code": None}}, status, **headers)

    def html(self, status: int = 200) -> None:
        self.raw(
            b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>",
            status,
            "text/html",
        )

    def cut(self) -> None:
        """Half of a reply, of the length that the header says it has not."""
        data = json.dumps(completion("never whole")).encode()
        self.handler.send_response(200)
        self.handler.send_header("Content-Length", str(len(data)))
        self.handler.end_headers()
        self.handler.wfile.write(data[: len(data) // 2])
        self.handler.close_connection = True

    def half(self) -> None:
        """JSON that ends in the middle, and says so nowhere."""
        data = json.dumps(completion("never whole")).encode()
        self.raw(data[: len(data) // 2])

    def reset(self) -> None:
        """A connection that is reset (RST) in place of an answer."""
        self.handler.connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.handler.connection.shutdown(socket.SHUT_RD)
        self.handler.close_connection = True
        self.handler.connection.close()

    def drip(self, text: str, pause: float) -> None:
        """A byte at a time: no single read is slow, the whole is."""
        data = json.dumps(completion(text)).encode()
        self.handler.send_response(200)
        self.handler.send_header("Content-Length", str(len(data)))
        self.handler.end_headers()
        for i in range(len(data)):
            self.handler.wfile.write(data[i : i + 1])
            self.handler.wfile.flush()
            time.sleep(pause)


class Server:
    """url: of the endpoint. seen: how often each text was asked. most: the most requests under way
    at once. models: that it lists."""

    def __init__(self, answer: Say, models: Sequence[str] | None = None, host: str = "127.0.0.1"):
        self.calls: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.at: list[float] = []
        self.seen: Counter[str] = Counter()
        self.most = self.now = 0
        guard = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                listed = self.path == "/v1/models" and models is not None
                data = json.dumps(
                    {"data": [{"id": m} for m in models or ()]}
                    if listed
                    else {"detail": "Not Found"}
                ).encode()
                self.send_response(200 if listed else 404)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                body = json.loads(raw)
                with guard:
                    server.now += 1
                    server.most = max(server.most, server.now)
                    server.calls.append(body)
                    server.headers.append({k.lower(): v for k, v in self.headers.items()})
                    server.at.append(time.monotonic())
                    call = Call(self, body, 0)
                    server.seen[call.prompt] += 1
                    call.times = server.seen[call.prompt]
                try:
                    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                        answer(call)
                finally:
                    with guard:
                        server.now -= 1

            def handle_one_request(self) -> None:
                with contextlib.suppress(OSError, ValueError):
                    super().handle_one_request()

            def finish(self) -> None:
                with contextlib.suppress(OSError, ValueError):
                    super().finish()

            def log_message(self, *args: Any) -> None: ...

        class Http(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        self._http = Http((host, 0), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}/v1"
        threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@contextlib.contextmanager
def serving(
    answer: Say, models: Sequence[str] | None = None, host: str = "127.0.0.1"
) -> Iterator[Server]:
    server = Server(answer, models, host)
    try:
        yield server
    finally:
        server.close()
