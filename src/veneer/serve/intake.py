"""Requests that are coming in: how many, from where, and how many bytes of bodies they hold. All of
it runs in the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from starlette.requests import Request

from veneer.serve.errors import ApiError, unavailable
from veneer.serve.job import ServeJob

BODY_SECONDS = 60.0  # for a whole body to come in
MOST_REQUESTS = 512  # answered or coming in at once
PER_ADDRESS = 384  # of them from one address: others find a place
BODIES = 16  # of the largest size that may be held at once


class Incoming:
    """One request. held: bytes of its body. arriving: more of the body is to come. gone: nobody
    waits for the answer. job: its job, once there is one."""

    def __init__(self, address: str):
        self.address, self.since = address, time.monotonic()
        self.held = 0
        self.arriving = True
        self.gone = False
        self.job: ServeJob | None = None
        self._refusal: ApiError | None = None
        self._limit: asyncio.Timeout | None = None

    @contextlib.asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        """Read the body in `seconds`, and the prompts then without a limit. Raises ApiError: 408,
        or the refusal of `drop`."""
        try:
            async with asyncio.timeout(seconds) as self._limit:
                yield
        except TimeoutError:
            raise self._refusal or ApiError(
                408, f"the body did not come within {seconds:g} s", headers=CLOSE
            ) from None
        finally:
            self._limit = None

    def complete(self) -> None:
        """Note that the body is complete."""
        self.arriving = False
        if self._limit is not None and self._refusal is None:
            self._limit.reschedule(None)

    def drop(self, refusal: ApiError) -> None:
        """Refuse the request, which waits within its limit."""
        if self._limit is not None and self._refusal is None:
            self._refusal = refusal
            self._limit.reschedule(0)

    @property
    def dropped(self) -> bool:
        return self._refusal is not None


class Intake:
    """Where there is no place for one more request, that which has been sending its body for the
    longest time gives way; where bodies hold too many bytes, the largest one does. So a client that
    sends slowly, or much, or from many connections closes the server for nobody else."""

    def __init__(
        self,
        *,
        most_body: int,
        most: int = MOST_REQUESTS,
        per_address: int = PER_ADDRESS,
        body_seconds: float = BODY_SECONDS,
    ):
        self.most_body, self.most, self.per_address = most_body, most, per_address
        self.body_seconds = body_seconds
        self._requests: dict[Incoming, None] = {}  # in the order of arrival

    def enter(self, address: str) -> Incoming:
        """Return a place. Raises ApiError: 429 where the address has too many requests, 503 where
        all have, and none of them can give way."""
        requests = [r for r in self._requests if not r.dropped]
        own = [r for r in requests if r.address == address]
        crowd = own if len(own) >= self.per_address else requests
        if len(own) >= self.per_address or len(requests) >= self.most:
            slowest = next((r for r in crowd if r.arriving), None)
            if slowest is None:
                if crowd is own:
                    raise ApiError(
                        429,
                        f"{len(own)} requests from this address are in progress; try again",
                        code="too_many_requests",
                        headers={"Retry-After": "1"},
                    )
                raise unavailable(
                    f"{len(requests)} requests are in progress; try again", "overloaded"
                )
            slowest.drop(ApiError(408, "the body came too slowly for a busy server", headers=CLOSE))
        incoming = Incoming(address)
        self._requests[incoming] = None
        return incoming

    def leave(self, incoming: Incoming) -> None:
        """Give the place back. It may be called again."""
        incoming.gone = True
        self._requests.pop(incoming, None)

    async def body(self, request: Request, incoming: Incoming) -> bytes:
        """Return the body, within the limit of `incoming`. Raises ApiError: 415 for anything but
        JSON (which pages of other origins could send without permission), 413."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise ApiError(415, "the body's Content-Type is not application/json; send JSON")
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise ApiError(415, "the body has a Content-Encoding; send plain JSON")
        too_large = ApiError(
            413, f"the body is larger than {self.most_body} bytes; send less at once", headers=CLOSE
        )
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and (len(length) > 18 or int(length) > self.most_body):
            raise too_large
        raw = bytearray()
        async for chunk in request.stream():
            raw += chunk
            incoming.held = len(raw)
            if len(raw) > self.most_body:
                raise too_large
            self._bound_bytes()
        incoming.complete()
        return bytes(raw)

    def _bound_bytes(self) -> None:
        held = sum(r.held for r in self._requests if not r.dropped)
        while held > BODIES * self.most_body:
            largest = max((r for r in self._requests if not r.dropped), key=lambda r: r.held)
            held -= largest.held
            largest.drop(unavailable("large requests fill the server; try again", "overloaded"))


CLOSE = {"Connection": "close"}
