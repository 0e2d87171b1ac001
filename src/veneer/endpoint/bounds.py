"""Bounds on time and size of every body that a server sends, including those of errors and
redirects, which libraries read whole."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from typing import Any

LARGEST = 64 * 2**20  # bytes of a reply as it is sent
LARGEST_ERROR = 64 * 2**10  # bytes of an error: the rest is not read, and these count
PLAIN = ("", "identity", "gzip", "deflate")  # encodings whose worst case (a thousandfold) is known
LOSSY = (301, 302, 303)  # redirects behind which a POST becomes a GET without its body


class Redirected(Exception):
    """A redirect that would lose the request. place: its target."""

    def __init__(self, status: int, place: str):
        super().__init__(f"HTTP {status} to {place}")
        self.status, self.place = status, place


def bound(answer: Any, seconds: float) -> None:
    """A hook of httpx: bound the body of `answer` (a Response) in time and size, and in the
    encodings that it may have.

    Raises its RemoteProtocolError for another encoding, and Redirected where following would turn
    the POST into a GET; reading the body then raises its ReadTimeout or RemoteProtocolError.
    """
    if (
        answer.status_code in LOSSY
        and answer.request.method == "POST"
        and (place := answer.headers.get("location"))
    ):
        raise Redirected(answer.status_code, str(place))
    # httpx, or httpx2 of newer releases of openai
    package = type(answer).__module__.partition(".")[0]
    httpx: Any = importlib.import_module(package)
    encoding = answer.headers.get("content-encoding", "").strip().lower()
    if encoding not in PLAIN:
        raise httpx.RemoteProtocolError(
            f"a reply in the encoding {encoding[:40]!r}, which was not requested",
            request=answer.request,
        )
    inner, request, error, until = (
        answer.stream,
        answer.request,
        answer.status_code >= 300,
        time.monotonic() + seconds,
    )

    class Bounded(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            size = 0
            for chunk in inner:
                size += len(chunk)
                if error and size > LARGEST_ERROR:
                    return
                if size > LARGEST:
                    raise httpx.RemoteProtocolError(
                        f"a reply of more than {LARGEST >> 20} MiB", request=request
                    )
                yield chunk
                if time.monotonic() > until:
                    raise httpx.ReadTimeout(f"no whole reply within {seconds:g} s", request=request)

        def close(self) -> None:
            inner.close()

    answer.stream = Bounded()
