"""Connections: who may stay, and for how long. uvicorn's protocol, with limits for clients that
send nothing, or slowly, or do not read their answer."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from veneer.serve.errors import ApiError
from veneer.serve.intake import CLOSE, MOST_REQUESTS

RESERVE = 64  # connections beyond the requests: /health is answered also where all are in use
HEAD_SECONDS = 10.0  # for the head of a request to come in
STALL_SECONDS = 20.0  # in which a client that is sent an answer has to take `LEAST_TAKEN` bytes
LEAST_TAKEN = 2**15
LINGER_SECONDS = 2.0  # in which the rest of a refused body is read, so that the refusal arrives
MOST_UNSENT = 2**28  # bytes of answers that clients have not taken, over all connections
MOST_AHEAD = 2**16  # bytes of further requests that a client may send during an answer


class Connections:
    """All open connections. most: beyond it, one that has sent no whole request head gives way,
    first of the address that has most of them, the oldest first; then an idle one; then the new
    one."""

    def __init__(self, most: int = MOST_REQUESTS + RESERVE, head_seconds: float = HEAD_SECONDS):
        self.most, self.head_seconds = most, head_seconds
        self._open: dict[Connection, None] = {}  # in the order of arrival

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection) -> None:
        self._open[connection] = None
        if len(self._open) <= self.most:
            return
        between = [c for c in self._open if c.between_requests and c is not connection]
        addresses = Counter(c.address for c in between)
        victim = min(
            between,
            key=lambda c: (c.served, -addresses[c.address]),  # the first of equals is the oldest
            default=connection,
        )
        victim.end()

    def discard(self, connection: Connection) -> None:
        self._open.pop(connection, None)

    def sweep(self) -> None:
        """End the connections whose time is over. To be called about once per second."""
        now = time.monotonic()
        for connection in list(self._open):
            connection.check(now)
        unsent = {c: c.unsent for c in self._open}
        while sum(unsent.values()) > MOST_UNSENT:
            largest = max(unsent, key=unsent.__getitem__)
            del unsent[largest]
            largest.end()


class Connection(H11Protocol):
    """One connection. served: a request on it has been answered."""

    def __init__(self, connections: Connections, **how: Any):
        super().__init__(**how)
        self._connections = connections
        self.address = ""
        self.served = False
        self._head_since: float | None = time.monotonic()  # None: idle between requests
        self._ahead = bytearray()  # further requests that came during an answer
        self._lingers_since: float | None = None
        self._taken_at, self._taken = time.monotonic(), 0

    # What uvicorn and asyncio call.

    def connection_made(self, transport: Any) -> None:
        super().connection_made(_Transport(transport, self))
        self.address = self.client[0] if self.client else ""
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._lingers_since is not None:
            return
        if self._answers:  # keep reading: otherwise the departure of the client goes unnoticed
            self._ahead += data
            if len(self._ahead) > MOST_AHEAD:
                self.flow.pause_reading()
            return
        if self.between_requests and self._head_since is None:
            self._head_since = time.monotonic()
        super().data_received(data)
        if not self.between_requests:
            self._head_since = None

    def on_response_complete(self) -> None:
        self.served = True
        if self.conn.their_state is h11.SEND_BODY:  # refused before the body was there
            self.transport.close()
        super().on_response_complete()
        if self.transport.is_closing():
            return
        self._head_since = time.monotonic() if self.conn.trailing_data[0] else None
        if self._ahead and not self._answers:
            ahead, self._ahead = bytes(self._ahead), bytearray()
            self.data_received(ahead)

    def send_400_response(self, msg: str) -> None:
        self.refuse(ApiError(400, "the request is not valid HTTP/1.1; send one that is"))

    # Its state.

    @property
    def between_requests(self) -> bool:
        """Whether no head of a request is there that is not answered yet."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def _answers(self) -> bool:
        """Whether a complete request is being answered."""
        return not self.between_requests and not self.cycle.more_body

    @property
    def unsent(self) -> int:
        """Bytes that the client has not taken."""
        return int(self.transport.get_write_buffer_size())

    def check(self, now: float) -> None:
        """End the connection where its time is over."""
        if self._lingers_since is not None:
            if now - self._lingers_since > LINGER_SECONDS:
                self.end()
        elif self.between_requests and now - (self._head_since or now) > (
            limit := self._connections.head_seconds
        ):
            self.refuse(ApiError(408, f"the head of a request did not come within {limit:g} s"))
        taken = self.transport.written - self.unsent
        if not self.unsent or taken - self._taken >= LEAST_TAKEN:
            self._taken_at, self._taken = now, taken
        elif now - self._taken_at > STALL_SECONDS:
            self.end()

    def refuse(self, error: ApiError) -> None:
        """Answer what is no request, and close the connection."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # its body broke off
            self.cycle.message_event.set()
        body = json.dumps(error.body()).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **CLOSE}
        try:
            self.transport.write(
                self.conn.send(
                    h11.Response(
                        status_code=error.status, headers=list(headers.items()), reason=b"Refused"
                    )
                )
                + self.conn.send(h11.Data(data=body))
                + self.conn.send(h11.EndOfMessage())
            )
        except h11.LocalProtocolError:  # an answer has begun already
            self.end()
        else:
            self.linger()

    def end(self) -> None:
        """Close the connection at once; what is not sent is lost."""
        self.transport.abort()

    def close_in_order(self) -> None:
        """Close the connection after what is to be sent."""
        if self.conn.their_state is h11.SEND_BODY:
            self.linger()
        else:
            self.transport.close_now()

    def linger(self) -> None:
        """Close it in our direction only: to close it while the client still sends would take the
        answer away from it."""
        if self._lingers_since is None and not self.transport.is_closing():
            self._lingers_since = time.monotonic()
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self.flow.resume_reading()

    @property
    def lingers(self) -> bool:
        return self._lingers_since is not None


class _Transport:
    """asyncio's transport, which counts what is written and closes in order."""

    def __init__(self, transport: Any, connection: Connection):
        self._transport, self._connection = transport, connection
        self.written = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self.written += len(data)
        self._transport.write(data)

    def close(self) -> None:
        self._connection.close_in_order()

    def close_now(self) -> None:
        self._transport.close()

    def is_closing(self) -> bool:
        return self._connection.lingers or bool(self._transport.is_closing())
