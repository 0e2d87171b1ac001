"""The life of the server: its socket, the line that names its address, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from veneer.foundation.errors import InputError
from veneer.serve.connections import Connection, Connections

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

GRACE = 5  # seconds that answers under way have once the server gets a signal to end
IDLE = 30  # seconds that a connection may stay open between two requests
BACKLOG = 2048  # connections that the kernel holds until they are accepted
OWN_FILES = 128  # files that are no connections: models, the log


def open_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. It listens at once: a bound socket alone
    does not keep a second server from the port. Raises InputError where the address cannot be
    used."""
    try:
        kind, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(kind, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
        return listener
    except (OSError, OverflowError) as error:
        raise InputError(
            f"{host}:{port} cannot be listened on ({error}); give another --port (0 takes a free "
            "one) or --host"
        ) from None


def room_for_connections() -> int:
    """Return how many connections the limit of open files allows, after raising it as far as this
    process may."""
    most = Connections().most
    if resource is None:
        return most
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < (wanted := most + OWN_FILES):
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(1, min(most, soft - OWN_FILES))
    return most


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """SIGINT and SIGTERM end it in order: no new connections, `GRACE` seconds for answers under
    way, then `give_up`, which tells the clients that still wait, and `run` returns. A second SIGINT
    gives up at once. ready: called once it answers."""

    should_exit: bool

    def __init__(
        self,
        app: ASGIApp,
        ready: Callable[[], None],
        give_up: Callable[[], None],
        connections: Connections | None = None,
    ):
        self.connections = connections or Connections(most=room_for_connections())
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                ws="none",
                http=functools.partial(Connection, self.connections),
                lifespan="on",
                proxy_headers=False,
                timeout_graceful_shutdown=4 * GRACE,
                timeout_keep_alive=IDLE,
                backlog=BACKLOG,
            )
        )
        self._ready, self._give_up = ready, give_up
        self._at_once = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._sweeping = asyncio.create_task(self._sweep())
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        ending = asyncio.create_task(self._end_soon())
        await super().shutdown(sockets)
        ending.cancel()
        self._sweeping.cancel()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.connections.sweep()

    async def _end_soon(self) -> None:
        until = time.monotonic() + GRACE
        while time.monotonic() < until and not self._at_once:
            await asyncio.sleep(0.05)
        await asyncio.to_thread(self._give_up)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Return as uvicorn's own, which then raises the signal once more: an end by signal is no
        failure."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for s, handler in before.items():
                signal.signal(s, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            print(
                f"veneer: ending; answers under way have {GRACE} s (Ctrl-C again ends at once)",
                file=sys.stderr,
                flush=True,
            )
        self._at_once = self.should_exit and number == signal.SIGINT
        self.should_exit = True


def run(
    app: ASGIApp, listener: socket.socket, ready: Callable[[], None], give_up: Callable[[], None]
) -> None:
    """Serve until a signal ends it. Errors go to stderr; requests and keys are not logged, nor is
    what is no request at all: a client could fill a disk with that."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format="%(asctime)s %(name)s %(levelname)s: %(message)s",
    )
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    Server(app, ready, give_up).run(sockets=[listener])
