"""One attempt at one request, over the official `openai` package.

The package brings connections, TLS, proxies and the headers that endpoints expect. Its own retries are off and its parsing is not
used: retries must be counted and a reply must be whole before a deadline, and a page of HTML or a cut reply is a failure here, not an
object with missing fields.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from veneer.endpoint.bounds import bound
from veneer.endpoint.config import EndpointConfig
from veneer.errors import MissingExtra

PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529}  # worth another attempt
HOPELESS = {401, 403, 404, 405}  # the same for every request: address, key or model
FILTERED = re.compile(r"content_?(filter|policy)|content management|moderation|responsibleai", re.I)
TOO_LONG = re.compile(r"context.?(length|size|window)|maximum context|too (long|large|many tokens)", re.I)
LARGEST = 64 * 2**20  # bytes of a reply
SHORTEST_KEY = 8  # signs of a key that can be told from ordinary words


@dataclass
class Failure(Exception):
    """An attempt without a reply. status: of HTTP, or None. passing: another attempt may succeed. hopeless: no request will.
    wait: seconds that the server asked for. said: what went wrong, in words. filtered: the endpoint will not have this content;
    own: it is this request's own fault (its content, its length), others may go through."""

    said: str
    status: int | None = None
    passing: bool = False
    hopeless: bool = False
    wait: float | None = None
    filtered: bool = False
    own: bool = False


class Transport:
    """Raises MissingExtra where the package is missing."""

    def __init__(self, config: EndpointConfig):
        try:
            import openai
        except ImportError:
            raise MissingExtra("openai", "openai", "asking an endpoint") from None
        self._openai = openai
        self._key = os.environ.get(config.key_env, "").strip()
        self._timeout = config.timeout
        self._client = openai.OpenAI(
            api_key=self._key or "none", base_url=config.url, timeout=config.timeout, max_retries=0,
            default_headers={"Accept-Encoding": "gzip"},
            http_client=openai.DefaultHttpxClient(event_hooks={"response": [lambda answer: bound(answer, config.timeout)]}),
        )  # fmt: skip
        self.has_key = bool(self._key)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON of a reply. Raises Failure."""
        resource = {
            "chat/completions": self._client.chat.completions,
            "completions": self._client.completions,
            "embeddings": self._client.embeddings,
        }[path]
        named = {k: body[k] for k in ("model", "messages", "prompt", "input", "encoding_format") if k in body}
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
        except self._openai.APITimeoutError:
            raise Failure(f"no reply within {self._timeout:g} s", passing=True) from None
        except self._openai.APIStatusError as error:
            raise self._status(error.status_code, error.response.headers, _body_of(error)) from None
        except Exception as error:  # refused, reset or cut connections come under many names, some of the package below
            if not isinstance(error, self._openai.APIConnectionError) and not type(error).__module__.startswith("httpx"):
                raise
            cause = error.__cause__ or error
            raise Failure(f"no connection ({self._hide(str(cause) or type(cause).__name__)})", passing=True) from None
        raw = b"".join(chunks)
        if len(self._key) >= SHORTEST_KEY:  # a server may say it back; what it says is stored
            raw = raw.replace(self._key.encode(), b"***")
        return self._read(raw)

    def _read(self, raw: bytes) -> Any:
        try:
            data = json.loads(raw)
        except (ValueError, RecursionError):
            raise Failure(
                f"a reply that is not JSON ({self._hide(raw[:80].decode('utf-8', 'replace'))!r})", passing=True
            ) from None
        if isinstance(data, dict) and data.get("error"):  # some gateways send errors with status 200
            error = data["error"]
            code = error.get("code") if isinstance(error, dict) else None
            if isinstance(code, int) and 400 <= code < 600:
                raise self._status(code, {}, data)
            raise Failure(f"an error in place of a reply: {self._hide(_message(data))}", passing=True)
        return data

    def _status(self, status: int, headers: Any, body: Any) -> Failure:
        said = self._hide(_message(body))
        code = body["error"].get("code") if isinstance(body, dict) and isinstance(body.get("error"), dict) else ""
        own = status in (400, 413, 422)
        filtered = own and bool(FILTERED.search(f"{code} {said}"))
        own = filtered or (own and (status == 413 or bool(TOO_LONG.search(f"{code} {said}"))))
        return Failure(
            f"HTTP {status}" + (f": {said}" if said else ""), status, status in PASSING, status in HOPELESS,
            _retry_after(headers.get("retry-after"), headers.get("retry-after-ms")), filtered, own,
        )  # fmt: skip

    def _hide(self, text: str) -> str:
        """One line, short, without the key, whatever a server echoes."""
        if self._key:
            text = text.replace(self._key, "***")
        text = " ".join(text.split())
        return text if len(text) <= 300 else text[:297] + "..."


def _body_of(error: Any) -> Any:
    """The body of an error; of a streamed response it was not read yet."""
    try:
        return json.loads(error.response.read())
    except Exception:
        return getattr(error, "body", None)


def _message(body: Any) -> str:
    """The words of an error body, in the forms that servers use: {"error": {"message"}}, {"error": text}, {"detail"}, {"message"}."""
    for _ in range(3):
        if not isinstance(body, dict):
            break
        body = next((body[k] for k in ("error", "message", "detail") if body.get(k)), "")
    return body if isinstance(body, str) else "" if body is None else json.dumps(body)


def _retry_after(seconds: str | None, milliseconds: str | None) -> float | None:
    """Seconds that a server asks to wait (RFC 9110, section 10.2.3: a number or a date)."""
    for value, unit in ((milliseconds, 1000.0), (seconds, 1.0)):
        if value is None:
            continue
        try:
            wait = float(value) / unit
        except ValueError:
            try:
                wait = parsedate_to_datetime(value).timestamp() - time.time()
            except (TypeError, ValueError):
                continue
        return wait if 0 <= wait < float("inf") else 0.0
    return None
