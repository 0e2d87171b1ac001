"""What a server does not take, and how the same is asked without it."""

from __future__ import annotations

import re
from typing import Any

SCHEMA = re.compile(r"response_format|json_?schema|structured output|guided|grammar", re.I)
LIMIT = re.compile(r"max_completion_tokens", re.I)


class Adjustments:
    """Learned from a server's words once and kept for all requests of a client. The messages and the temperature are never
    changed: a server that refuses those is not asked in another way."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def learn(self, body: dict[str, Any], status: int | None, said: str) -> bool:
        """Whether the request of `body` is worth another attempt under what was learned from its refusal."""
        if status not in (400, 415, 422, 500, 501):
            return False
        if "response_format" in body and (SCHEMA.search(said) or status == 501):
            self._add("response_format left out")
            return True
        if status in (400, 422) and "max_tokens" in body and LIMIT.search(said):
            self._add("max_tokens sent as max_completion_tokens")
            return True
        return False

    def apply(self, body: dict[str, Any]) -> dict[str, Any]:
        body = dict(body)
        if "response_format left out" in self.found:
            body.pop("response_format", None)
        if "max_tokens sent as max_completion_tokens" in self.found and "max_tokens" in body:
            body["max_completion_tokens"] = body.pop("max_tokens")
        return body

    def _add(self, what: str) -> None:
        if what not in self.found:
            self.found.append(what)
