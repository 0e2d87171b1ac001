"""Many requests to one endpoint: in parallel within a bound, each asked once, replies in the order of the requests."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from veneer.endpoint.adjust import Adjustments
from veneer.endpoint.backoff import MOST_ASKED, wait
from veneer.endpoint.cache import Cache, key_of
from veneer.endpoint.config import EndpointConfig
from veneer.endpoint.reply import ChatRequest, Reply, Usage, read_reply
from veneer.endpoint.transport import Failure, Transport
from veneer.errors import InputError, VeneerError

Progress = Callable[[int, int, str], None]
Read = Callable[[Any], dict[str, Any]]
Outcome = tuple[str, dict[str, Any] | Failure]  # key, what came
PRICED = 1_000_000  # prices are of so many tokens


class _Course:
    """Outcomes on their way from the workers to the caller, with the failures in a row up to each.

    `over` is set by the worker whose outcome ends the course, not by the caller who reads it later: until then the others would go on
    asking an endpoint that has said no.
    """

    def __init__(self, give_up_after: int):
        self.over = threading.Event()
        self._most, self._row, self._guard = give_up_after, 0, threading.Lock()
        self._queue: queue.SimpleQueue[tuple[str, Any, int]] = queue.SimpleQueue()

    def put(self, key: str, outcome: dict[str, Any] | BaseException) -> None:
        with self._guard:
            failure = outcome if isinstance(outcome, Failure) else None
            self._row = 0 if failure is None or failure.own else self._row + 1
            if self._row >= self._most or (failure.hopeless if failure else isinstance(outcome, BaseException)):
                self.over.set()
            self._queue.put((key, outcome, self._row))

    def get(self) -> tuple[str, Any, int]:
        """Key, outcome, failures in a row."""
        return self._queue.get()


class Endpoint:
    """usage: counts over the life of the client. Raises MissingExtra without the package `openai`."""

    def __init__(self, config: EndpointConfig):
        self.config = config
        self.usage = Usage()
        self._transport = Transport(config)
        self._cache = Cache(config.cache)
        self._adjust = Adjustments()
        self._guard = threading.Lock()
        self._draw = random.Random(0)  # of waits only: no reply depends on it

    def chat_many(self, requests: Sequence[ChatRequest], progress: Progress | None = None, what: str = "replies") -> list[Reply]:
        """A reply a request. Equal requests are asked once; what the cache holds is not asked at all; a reply is in the cache before it
        counts as done.

        A request that fails in the end, or that the endpoint refuses for itself, comes back with `error` set, is counted, and is
        asked again the next time. Raises InputError for a wrong address, key or model, VeneerError for an endpoint that is dead:
        what came until then is kept, and the same call goes on behind it.
        """
        found = self.call_many([(r.path, r.body()) for r in requests], read_reply, progress, what)
        return [
            Reply("", "content_filter" if one.filtered else "too_long" if one.own else "error", error=one.said)
            if isinstance(one, Failure)
            else Reply(**{**one, "cached": cached})
            for one, cached in found
        ]

    def call_many(
        self,
        calls: Sequence[tuple[str, dict[str, Any]]],
        read: Read,
        progress: Progress | None = None,
        what: str = "replies",
    ) -> list[tuple[dict[str, Any] | Failure, bool]]:
        """As `chat_many`, for any path that `Transport.post` knows: (path, body without the model) in, (what `read` made of the reply or
        why there is none, whether it was in the cache) out. `read` raises ValueError for a reply that is none."""
        facts = self.config.facts()
        keys = [key_of(**facts, path=path, body=body) for path, body in calls]
        first = {key: call for key, call in zip(reversed(keys), reversed(calls), strict=True)}
        held = {key for key in first if self._cache.get(key) is not None}
        self.usage.cached += sum(key in held for key in keys)
        self.usage.shared += len(keys) - sum(key in held for key in keys) - (len(first) - len(held))
        waiting = [key for key in dict.fromkeys(keys) if key not in held]
        failed: dict[str, Failure] = {}
        done = len(held)
        if progress and held:
            progress(done, len(first), what)
        for key, came in self._ask([(key, *first[key]) for key in waiting], read, known=bool(held)):
            done += 1
            if isinstance(came, Failure):
                failed[key] = came
                self.usage.failed += 1
            if progress:
                progress(done, len(first), what)
        return [(failed[key], False) if key in failed else (self._cache.get(key) or {}, key in held) for key in keys]

    def _ask(self, work: Sequence[tuple[str, str, dict[str, Any]]], read: Read, *, known: bool) -> Iterator[Outcome]:
        """Outcomes as they come. known: the endpoint answered some of the same call before, so a few that fail now are counted and
        not taken for its death. Workers are daemons, so that an interrupt need not wait for the slowest reply."""
        if not work:
            return
        todo: queue.SimpleQueue = queue.SimpleQueue()
        for one in work:
            todo.put(one)
        came = _Course(self.config.give_up_after)
        stop = came.over

        def serve() -> None:
            while not stop.is_set():
                try:
                    key, path, body = todo.get_nowait()
                except queue.Empty:
                    return
                try:
                    came.put(key, self._one(key, path, body, read, stop))
                except BaseException as error:  # handed to the caller, who would wait for ever otherwise
                    came.put(key, error)

        workers = [threading.Thread(target=serve, daemon=True) for _ in range(min(self.config.concurrency, len(work)))]
        for worker in workers:
            worker.start()
        row, good, last = 0, self.usage.replies > 0, None
        try:
            for _ in work:
                key, outcome, row = came.get()
                if isinstance(outcome, BaseException) and not isinstance(outcome, Failure):
                    raise outcome
                if isinstance(outcome, Failure):
                    last = outcome
                    if outcome.hopeless:
                        raise self._hopeless(outcome, good)
                    if row >= self.config.give_up_after:
                        raise self._dead(outcome, row)
                else:
                    good = True
                yield key, outcome
            if last is not None and row == len(work) and not known:
                raise self._dead(last, row)
        except (VeneerError, GeneratorExit):
            stop.set()
            for worker in workers:  # what is under way is finished and kept
                worker.join(timeout=self.config.timeout + 5)
            raise
        finally:
            stop.set()

    def _one(self, key: str, path: str, body: dict[str, Any], read: Read, stop: threading.Event) -> dict[str, Any] | Failure:
        attempt = adjusted = 0
        while True:
            attempt += 1
            sent = {**self._adjust.apply(body), "model": self.config.model}
            self._count(requests=1, retries=int(attempt > 1))
            try:
                data = self._transport.post(path, sent)
                try:
                    reply = read(data)
                except (ValueError, TypeError, KeyError, IndexError) as error:
                    raise Failure(f"an answer in a form that is not the endpoint's ({error})", passing=True) from None
                break
            except Failure as failure:
                with self._guard:
                    again = adjusted < 2 and self._adjust.learn(sent, failure.status, failure.said)
                    self.usage.adjusted = list(self._adjust.found)
                if again:
                    adjusted += 1
                    continue
                too_long = failure.wait is not None and failure.wait > MOST_ASKED
                if not failure.passing or too_long or attempt - adjusted > self.config.retries:
                    return failure
                with self._guard:
                    pause = wait(attempt, self.config.first_wait, self.config.longest_wait, failure.wait, self._draw)
                if stop.wait(pause):
                    return failure
        self._cache.put(key, reply)
        self._count(replies=1, prompt_tokens=reply.get("prompt_tokens", 0), completion_tokens=reply.get("completion_tokens", 0))
        with self._guard:
            if reply.get("model") and reply["model"] not in self.usage.models:
                self.usage.models.append(reply["model"])
        return reply

    def _count(self, **more: int) -> None:
        c = self.config
        with self._guard:
            for name, value in more.items():
                setattr(self.usage, name, getattr(self.usage, name) + value)
            if c.price_in is not None or c.price_out is not None:
                paid = self.usage.prompt_tokens * (c.price_in or 0) + self.usage.completion_tokens * (c.price_out or 0)
                self.usage.cost = paid / PRICED

    def _hopeless(self, failure: Failure, good: bool) -> VeneerError:
        c = self.config
        if failure.status in (401, 403):
            mend = (
                f"check the key in the environment variable {c.key_env}" if self._transport.has_key
                else f"put the key into the environment variable {c.key_env}, or name another one"
            )  # fmt: skip
        else:
            mend = f"check the address (it usually ends in /v1) and the model's name, {c.model!r}"
        kind = VeneerError if good else InputError
        return kind(f"the endpoint {c.url} says {failure.said}; {mend}")

    def _dead(self, failure: Failure, row: int) -> VeneerError:
        if not failure.passing and not self.usage.replies:
            return self._hopeless(failure, good=False)
        times = "once" if row == 1 else f"{row} times in a row"
        attempts = f" after {self.config.retries} retries each" if failure.passing and self.config.retries else ""
        return VeneerError(
            f"the endpoint {self.config.url} gave no reply {times}{attempts}, at last {failure.said}; what it said before is kept: mend it "
            "and run the same command again, it goes on there"
        )
