"""A real server on loopback: uvicorn in a thread, embedded models, in the test's own process."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from veneer.serve.app import Service, create_app
from veneer.serve.connections import Connections
from veneer.serve.guard import Guard
from veneer.serve.intake import Intake
from veneer.serve.requests import Limits
from veneer.serve.scheduler import Scheduler
from veneer.serve.served import Served
from veneer.serve.server import Server, address_of, open_socket


@dataclass
class Running:
    address: str
    scheduler: Scheduler
    server: Server

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def wire(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    @property
    def url(self) -> str:
        return f"{self.address}/v1"

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any, dict[str, str]]:
        """(status, JSON, headers) of a raw request; bytes are sent as they are."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        words = {
            "Content-Type": "application/json",
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        request = urllib.request.Request(self.address + path, data, words)
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                return reply.status, json.loads(reply.read()), dict(reply.headers)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read()), dict(error.headers)


@contextlib.contextmanager
def serving(
    systems: Sequence[Served],
    *,
    guard: Guard | None = None,
    limits: Limits | None = None,
    intake: Intake | None = None,
    connections: Connections | None = None,
    **how: int,
) -> Iterator[Running]:
    """how: words of the scheduler."""
    scheduler = Scheduler(**how)
    app = create_app(
        Service({s.id: s for s in systems}, scheduler, limits or Limits(), intake),
        guard or Guard(),
    )
    listener = open_socket("127.0.0.1", 0)
    ready = threading.Event()
    server = Server(app, ready.set, scheduler.stop, connections)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        assert ready.wait(60)
        yield Running(address_of(listener), scheduler, server)
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive() and not scheduler.alive
