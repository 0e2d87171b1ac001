"""One attempt at one request, over the official `openai` package.

The package brings connections, TLS, proxies and the headers that endpoints expect. Its own retries
are off and its parsing is not used: retries must be counted, a reply must be whole before a
deadline, and a page of HTML or a cut reply must be a failure, not an object with missing fields.
"""

from __future__ import annotations

import json
import os
import re
import time
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from veneer.endpoint import events, words
from veneer.endpoint.bounds import Redirected, bound
from veneer.endpoint.config import EndpointConfig
from veneer.endpoint.failure import Failure, Fault, of_error, of_status
from veneer.foundation.errors import InputError, MissingExtra

__all__ = ["Failure", "Transport"]

LARGEST = 64 * 2**20  # bytes of a reply
SHORTEST_KEY = 8  # characters of a key that can be distinguished from ordinary words
LOOK = 5.0  # seconds for a question about the endpoint itself
_STANDING = re.compile(
    r"name or service|nodename|getaddrinfo|no address "
    r"associated|certificate|wrong.version|unsupported protocol",
    re.I,
)
PATHS = ("chat/completions", "completions", "embeddings")


class Transport:
    """Raises MissingExtra where the package is missing, InputError for a key or a proxy
    that cannot be used."""

    def __init__(self, config: EndpointConfig):
        try:
            import openai
        except ImportError:
            raise MissingExtra("openai", "openai", "asking an endpoint") from None
        self._openai = openai
        self._key = os.environ.get(config.key_env, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise InputError(
                f"the key in the environment variable {config.key_env} holds a character that no "
                "key has (a line break, a dash or three dots of a word processor); copy it again"
            )
        self._url, self._timeout = config.url.rstrip("/"), config.timeout
        try:
            self._http = openai.DefaultHttpxClient(
                event_hooks={"response": [lambda answer: bound(answer, config.timeout)]}
            )
        except (ImportError, ValueError) as error:
            raise InputError(
                f"the proxy that the environment names cannot be used ({error}); change "
                "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, or put the endpoint's host into NO_PROXY"
            ) from None
        self._client = openai.OpenAI(
            api_key=self._key or "none",
            base_url=config.url,
            timeout=config.timeout,
            max_retries=0,
            default_headers={"Accept-Encoding": "gzip"},
            http_client=self._http,
        )
        self.has_key = bool(self._key)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the JSON of a reply. Raises Failure."""
        resource = dict(
            zip(
                PATHS,
                (self._client.chat.completions, self._client.completions, self._client.embeddings),
                strict=True,
            )
        )[path]
        named = {
            k: body[k]
            for k in ("model", "messages", "prompt", "input", "encoding_format")
            if k in body
        }
        rest = {k: v for k, v in body.items() if k not in named}
        until = time.monotonic() + self._timeout
        try:
            with resource.with_streaming_response.create(**named, extra_body=rest) as response:
                chunks, size = [], 0
                for chunk in response.iter_bytes():
                    chunks.append(chunk)
                    size += len(chunk)
                    if time.monotonic() > until:
                        raise Failure(f"no whole reply within {self._timeout:g} s", passing=True)
                    if size > LARGEST:
                        raise Failure(f"a reply of more than {LARGEST // 2**20} MiB", passing=True)
        except Failure:
            raise
        except Redirected as cause:
            message = f"HTTP {cause.status}: it redirects to {self._hide(cause.place)}"
            raise Failure(message, cause.status, hopeless=True, fault=Fault.ADDRESS) from None
        except self._openai.APITimeoutError:
            raise Failure(f"no reply within {self._timeout:g} s", passing=True) from None
        except self._openai.APIStatusError as error:
            headers = {str(k).lower(): str(v) for k, v in error.response.headers.items()}
            raise of_status(error.status_code, headers, _body_of(error), self._key) from None
        # refused, reset or cut connections come under many names, also those of the package below
        except Exception as error:
            if not isinstance(error, self._openai.APIConnectionError) and not type(
                error
            ).__module__.startswith("httpx"):
                raise
            raise self._unconnected(error.__cause__ or error) from None
        raw = b"".join(chunks)
        if len(self._key) >= SHORTEST_KEY:  # a server may say it back; what it says is stored
            raw = raw.replace(self._key.encode(), b"***")
        return self._read(raw)

    def served(self) -> list[str]:
        """Return the names of the models that the endpoint lists; none where it lists none."""
        return self._models_at(self._url) or []

    def elsewhere(self) -> str | None:
        """Return an address near the one given at which an endpoint lists its models."""
        near = [
            f"{self._url}/v1",
            f"{self._url}/openai/v1",
            f"{self._url}/api/v1",
            self._url.rpartition("/")[0],
            f"{_origin(self._url)}/v1",
        ]
        return next(
            (
                u
                for u in dict.fromkeys(near)
                if urlsplit(u).netloc and u != self._url and self._models_at(u) is not None
            ),
            None,
        )

    def _models_at(self, url: str) -> list[str] | None:
        try:
            headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
            answer = self._http.get(
                f"{url}/models", headers=headers, timeout=LOOK, follow_redirects=False
            )
            rows = answer.json()["data"] if answer.status_code == 200 else None
            return (
                None
                if rows is None
                else [words.one_line(str(r["id"]), self._key)[:80] for r in rows]
            )
        # whatever is wrong with that request, the error that is being explained is another one
        except Exception:
            return None

    def _unconnected(self, cause: BaseException) -> Failure:
        message = self._hide(str(cause) or type(cause).__name__)
        if "CERTIFICATE_VERIFY_FAILED" in message:
            message += "; SSL_CERT_FILE can name the file of your certificate authority"
        proxy = _proxy_of(self._url)
        return Failure(
            "no connection "
            f"({message}{f', through the proxy {proxy} of the environment' if proxy else ''})",
            passing=True,
            steady=bool(_STANDING.search(message)),
        )

    def _read(self, raw: bytes) -> Any:
        try:
            data = events.whole(raw) if events.is_stream(raw) else json.loads(raw)
        except (ValueError, RecursionError):
            raise self._unreadable(raw) from None
        if (failure := of_error(data, self._key)) is not None:
            raise failure
        return data

    def _unreadable(self, raw: bytes) -> Failure:
        start = raw[:400].lstrip().lower()
        if start.startswith((b"<!doctype", b"<html", b"<head", b"<body")):
            message = (
                "a web page in place of a reply "
                f"({words.one_line(str(words.read_body(raw[:4000])), self._key)[:80]!r})"
            )
            return Failure(message, passing=True, steady=True, fault=Fault.ADDRESS)
        # What is cut in the middle is worth all attempts; what is whole, and no JSON, is as it is.
        cut = start.startswith((b"{", b"["))
        shown = self._hide(raw[:80].decode("utf-8", "replace"))
        return Failure(f"a reply that is not JSON ({shown!r})", passing=True, steady=not cut)

    def _hide(self, text: str) -> str:
        return words.one_line(text, self._key)


def _body_of(error: Any) -> Any:
    """Return the body of an error; of a streamed response it was not read yet."""
    try:
        return words.read_body(error.response.read())
    except Exception:
        return getattr(error, "body", None)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _proxy_of(url: str) -> str | None:
    """Return the host of the proxy that the environment sets for an address."""
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    given = proxies.get(parts.scheme) or proxies.get("all")
    if not given or urllib.request.proxy_bypass(parts.netloc):
        return None
    return urlsplit(given if "//" in given else f"//{given}").hostname
