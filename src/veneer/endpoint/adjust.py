"""What a server does not take, and how the same is asked without it."""

from __future__ import annotations

import re
from typing import Any

SCHEMA = re.compile(r"response_format|json_?schema|structured output|guided|grammar", re.I)
LOGPROBS = re.compile(r"log_?probs?", re.I)
FEWER = 5  # top log-probabilities that servers with a limit take
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
        if "logprobs" in body and (LOGPROBS.search(said) or status == 501):
            many = (body.get("top_logprobs") or 0) > FEWER
            self._add(f"top_logprobs lowered to {FEWER}" if many else "logprobs left out")
            return True
        return False

    def apply(self, body: dict[str, Any]) -> dict[str, Any]:
        body = dict(body)
        if "response_format left out" in self.found:
            body.pop("response_format", None)
        if "max_tokens sent as max_completion_tokens" in self.found and "max_tokens" in body:
            body["max_completion_tokens"] = body.pop("max_tokens")
        if f"top_logprobs lowered to {FEWER}" in self.found and "top_logprobs" in body:
            body["top_logprobs"] = min(body["top_logprobs"], FEWER)
        if "logprobs left out" in self.found:
            body = {k: v for k, v in body.items() if k not in ("logprobs", "top_logprobs")}
        return body

    def _add(self, what: str) -> None:
        if what not in self.found:
            self.found.append(what)
