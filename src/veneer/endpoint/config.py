"""The settings of an endpoint: address, model, limits and patience."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from veneer.foundation.errors import InputError, SettingError
from veneer.foundation.settings import check_least


@dataclass(frozen=True)
class EndpointConfig:
    """The settings of one endpoint.

    url: up to and without "/chat/completions", such as http://localhost:8000/v1. key_env:
    environment variable that holds the key; without a value requests carry no key. timeout: seconds
    for one whole reply, however slowly it comes. retries: retries after a transient failure.
    concurrency: simultaneous requests. first_wait, longest_wait: seconds of the back-off, which
    doubles from one to the other. give_up_after: number of requests in a row that failed in the
    end, without a success between them, after which the endpoint counts as dead. price_in,
    price_out: prices of a million prompt and completion tokens, in any currency. cache: file that
    keeps replies between runs. may_leave_out: parameters that matter and that are left out, with a
    warning, where the server refuses them; any other refusal is an error.

    Raises InputError for a malformed address, and for numbers out of range.
    """

    url: str
    model: str
    key_env: str = "OPENAI_API_KEY"
    timeout: float = 120.0
    retries: int = 5
    concurrency: int = 8
    first_wait: float = 1.0
    longest_wait: float = 60.0
    give_up_after: int = 3
    price_in: float | None = None
    price_out: float | None = None
    cache: Path | None = None
    may_leave_out: tuple[str, ...] = ("seed",)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or "@" in parts.netloc
            or parts.query
            or parts.fragment
        ):
            shown = (
                self.url
                if "@" not in parts.netloc and not parts.query and not parts.fragment
                else f"{parts.scheme}://{parts.hostname}/..."
            )
            raise InputError(
                f"{shown!r} is no endpoint's address; expected http(s)://HOST[:PORT]/v1 without a "
                "name, key or query in it (the key goes into an environment variable)"
            )
        _check_place(self.url)
        if not self.model:
            raise InputError(
                f"no model is named for the endpoint {self.url}; give the name that it serves"
            )
        check_least(self, 0, "retries")
        check_least(self, 1, "concurrency", "give_up_after")
        for name in ("timeout", "first_wait", "longest_wait", "price_in", "price_out"):
            value = getattr(self, name)
            if value is not None and (
                not math.isfinite(value) or value < 0 or (value == 0 and name == "timeout")
            ):
                raise SettingError(name, f"is {value}; expected a positive number")

    def facts(self) -> dict[str, Any]:
        """Return the settings that decide a reply."""
        return {"url": self.url.rstrip("/"), "model": self.model}


_OPERATIONS = (
    "chat/completions",
    "completions",
    "embeddings",
    "models",
    "responses",
    "messages",
    "chat",
    "generate",
)


def _check_place(url: str) -> None:
    """Raises InputError for a port out of range, and for an address that goes on
    to the operation."""
    try:
        _ = urlsplit(url).port
    except ValueError as error:
        raise InputError(
            f"{url!r} is no endpoint's address ({error}); expected http(s)://HOST[:PORT]/v1"
        ) from None
    whole = url.rstrip("/")
    for operation in _OPERATIONS:
        if (
            whole.endswith(f"/{operation}")
            and urlsplit(whole).path.count("/") > operation.count("/") + 1
        ):
            raise InputError(
                f"the address {url!r} ends in /{operation}, which is put behind it; give it "
                f"without that: {whole.removesuffix(f'/{operation}')}"
            )
