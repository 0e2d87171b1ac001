"""Access to the server: the Host of the request, pages of other origins, and the key."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from veneer.serve.errors import ApiError

LOCAL = ("localhost", "127.0.0.1", "::1")
OPEN = "/health"  # answered without a key: it says nothing but that the server lives


def is_local(host: str) -> bool:
    """Return whether only this machine can reach a server that listens at `host`."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


@dataclass(frozen=True)
class Guard:
    """key: that every request must carry ("Authorization: Bearer KEY"), or None. hosts: names that
    a request's Host may have; an address is always allowed. An Origin, if there is one, must be the
    Host itself, with its port.

    A page in somebody's browser can make its own name resolve to 127.0.0.1 (DNS rebinding): that
    shows in Host. It can also send requests to localhost without being able to read the answer:
    that shows in Origin.
    """

    key: str | None = None
    hosts: Sequence[str] = LOCAL

    def check(self, headers: Headers, path: str) -> None:
        """Check a request. Raises ApiError (403 for Host or Origin, 401 for the key)."""
        host, port = _site("//" + headers.get("host", ""))
        if host is None or not (host in self.hosts or _is_address(host)):
            raise ApiError(
                403,
                "this server does not answer to that Host; its owner can add it with --allow-host",
                code="host_not_allowed",
            )
        if any(not _same_site(origin, host, port) for origin in headers.getlist("origin")):
            raise ApiError(
                403, "this server does not answer pages of other origins", code="origin_not_allowed"
            )
        if self.key is None or path == OPEN:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(
            given.strip().encode("latin-1", "replace"), self.key.encode()
        )  # latin-1: the bytes as they came
        if scheme.lower() != "bearer" or not same:
            message = (
                "the API key is wrong"
                if given
                else "an API key is needed: send it as Authorization: Bearer KEY"
            )
            raise ApiError(
                401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"}
            )


class Guarded:
    """The ASGI app behind its guard."""

    def __init__(self, app: Any, guard: Guard):
        self.app, self.guard = app, guard

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            try:
                self.guard.check(Headers(scope=scope), scope["path"])
            except ApiError as error:
                return await JSONResponse(error.body(), error.status, error.headers)(
                    scope, receive, send
                )
        await self.app(scope, receive, send)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _site(url: str) -> tuple[str | None, int | None]:
    """Return the host and the port that a URL names; no host where it is none, or names a user."""
    try:
        parts = urlsplit(url)
        return (None if "@" in parts.netloc else parts.hostname), parts.port
    except ValueError:
        return None, None


def _same_site(origin: str, host: str, port: int | None) -> bool:
    """Return whether a page of this origin came from `host` and `port` (None: the usual one)."""
    usual = {"http": 80, "https": 443}.get(origin.partition("://")[0].lower())
    origin_host, origin_port = _site(origin)
    return usual is not None and origin_host == host and (origin_port or usual) == (port or usual)
