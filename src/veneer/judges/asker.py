"""Judge models: one behind an endpoint, or one that runs in this process (local_asker.py). Both
keep their replies in a cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from veneer.endpoint import ChatRequest, Endpoint, EndpointConfig, Reply, Usage
from veneer.endpoint.adjust import SAMPLED
from veneer.foundation.errors import InputError
from veneer.foundation.progress import Progress
from veneer.judges.config import JudgeConfig

FILE = "replies.jsonl"  # inside a folder of verdicts
NEITHER = (
    "a judge model is needed: give --judge-url URL and --judge-model NAME, or --judge-local MODEL"
)


class Asker(Protocol):
    """A judge model. model: its name in the ids of judges. usage: the counts of requests and tokens
    so far."""

    @property
    def model(self) -> str: ...
    @property
    def usage(self) -> Usage: ...

    def ask(
        self,
        requests: Sequence[ChatRequest],
        progress: Progress | None = None,
        what: str = "judgements",
    ) -> list[Reply]:
        """Return one reply per request, in their order; equal requests are sent once.

        Raises VeneerError where the judge cannot be reached.
        """
        ...


def asker_of(config: JudgeConfig) -> Asker:
    """Build the judge model that the settings name.

    Raises InputError where they name none, MissingExtra without the package `openai`.
    """
    if config.local is not None:
        from veneer.judges.local_asker import local_asker

        return local_asker(config.local, config)
    if config.url is None or config.model is None:
        raise InputError(NEITHER)
    return EndpointAsker(config.url, config.model, config)


class EndpointAsker:
    def __init__(self, url: str, model: str, config: JudgeConfig):
        self.model = model
        self._endpoint = Endpoint(
            EndpointConfig(
                url,
                model,
                key_env=config.key_env,
                timeout=config.timeout,
                retries=config.retries,
                concurrency=config.concurrency,
                price_in=config.price_in,
                price_out=config.price_out,
                cache=None if config.cache is None else config.cache / FILE,
                may_leave_out=SAMPLED,
            )
        )

    @property
    def usage(self) -> Usage:
        return self._endpoint.usage

    def ask(
        self,
        requests: Sequence[ChatRequest],
        progress: Progress | None = None,
        what: str = "judgements",
    ) -> list[Reply]:
        return self._endpoint.chat_many(requests, progress, what)
