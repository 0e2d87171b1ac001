"""Send many requests to one endpoint: in parallel within a bound, each once, replies in the order
of the requests."""

from __future__ import annotations

import logging
import queue
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from veneer.endpoint.adjust import Adjustments
from veneer.endpoint.backoff import LONGEST_WAIT, wait
from veneer.endpoint.cache import Cache, key_of
from veneer.endpoint.config import EndpointConfig
from veneer.endpoint.course import Course
from veneer.endpoint.failure import Failure, Fault
from veneer.endpoint.mends import WRONG_INPUT, mend
from veneer.endpoint.reply import ChatRequest, Reply, Usage, read_reply
from veneer.endpoint.transport import Transport
from veneer.foundation.errors import InputError, VeneerError
from veneer.foundation.progress import Progress

Read = Callable[[Any], dict[str, Any]]
Outcome = tuple[str, dict[str, Any] | Failure]  # key, what came
PRICED = 1_000_000  # prices are of so many tokens


@runtime_checkable
class Recording(Protocol):
    """A system that uses an endpoint and can report facts on its replies for a manifest; see
    `Endpoint.record`."""

    def record(self) -> dict[str, Any]: ...


class Endpoint:
    """usage: counts over the life of the client. Raises MissingExtra without the
    package `openai`."""

    def __init__(self, config: EndpointConfig):
        self.config = config
        self.usage = Usage()
        self._transport = Transport(config)
        self._cache = Cache(config.cache)
        self._adjust = Adjustments(config.may_leave_out)
        self._guard = threading.Lock()
        self._draw = random.Random(0)  # only for waits: no reply depends on it

    def chat_many(
        self,
        requests: Sequence[ChatRequest],
        progress: Progress | None = None,
        what: str = "replies",
    ) -> list[Reply]:
        """Return one reply per request. Equal requests are sent once, and those in the cache not at
        all; a reply is in the cache before it counts as done.

        A request that fails in the end, or that the endpoint refuses for its own sake, comes back
        with `error` set, is counted, and is sent again the next time. Raises InputError for a wrong
        address, key or model, VeneerError for an endpoint that does not answer: the replies so far
        are kept, and the same call resumes.
        """
        outcomes = self.call_many(
            [(r.path, r.body()) for r in requests], read_reply, progress, what
        )
        return [
            Reply(
                "",
                "content_filter" if one.filtered else "too_long" if one.long else "error",
                error=one.message,
                own=one.own,
            )
            if isinstance(one, Failure)
            else Reply(**{**one, "cached": cached})
            for one, cached in outcomes
        ]

    def call_many(
        self,
        calls: Sequence[tuple[str, dict[str, Any]]],
        read: Read,
        progress: Progress | None = None,
        what: str = "replies",
    ) -> list[tuple[dict[str, Any] | Failure, bool]]:
        """Return as `chat_many` does, for any path that `Transport.post` takes: (path, body without
        the model) in; (the result of `read`, or the failure, and whether it was in the cache) out.
        `read` raises ValueError for a body that is no reply."""
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
        for key, came in self._ask(
            [(key, *first[key]) for key in waiting], read, answered_before=bool(held)
        ):
            done += 1
            if isinstance(came, Failure):
                failed[key] = came
                self.usage.failed += 1
            if progress:
                progress(done, len(first), what)
        replies: list[tuple[dict[str, Any] | Failure, bool]] = [
            (failed[key], False) if key in failed else (self._cache.get(key) or {}, key in held)
            for key in keys
        ]
        self._take_note([one for one, _ in replies if isinstance(one, dict)])
        return replies

    def _ask(
        self,
        requests: Sequence[tuple[str, str, dict[str, Any]]],
        read: Read,
        *,
        answered_before: bool,
    ) -> Iterator[Outcome]:
        """Yield outcomes as they come.

        answered_before: the endpoint answered a part of the same call, so that a few failures are
        counted and not treated as its death. Workers are daemons, so that an interrupt need not
        wait for the slowest reply.
        """
        if not requests:
            return
        todo: queue.SimpleQueue = queue.SimpleQueue()
        for one in requests:
            todo.put(one)
        came = Course(self.config.give_up_after)
        stop = came.over

        def serve() -> None:
            while not stop.is_set():
                try:
                    key, path, body = todo.get_nowait()
                except queue.Empty:
                    return
                try:
                    came.put(key, self._one(key, path, body, read, stop))
                # handed to the caller, who would wait for ever otherwise
                except BaseException as error:
                    came.put(key, error)

        workers = [
            threading.Thread(target=serve, daemon=True)
            for _ in range(min(self.config.concurrency, len(requests)))
        ]
        for worker in workers:
            worker.start()
        row, good, last = 0, self.usage.replies > 0, None
        try:
            for _ in requests:
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
            if last is not None and row == len(requests) and not answered_before:
                raise self._dead(last, row)
        except (VeneerError, GeneratorExit):
            stop.set()
            for worker in workers:  # requests under way finish, and their replies are kept
                worker.join(timeout=self.config.timeout + 5)
            raise
        finally:
            stop.set()

    def _one(
        self, key: str, path: str, body: dict[str, Any], read: Read, stop: threading.Event
    ) -> dict[str, Any] | Failure:
        attempt = adjusted = 0
        steady = False
        while True:
            attempt += 1
            sent = {**self._adjust.apply(body), "model": self.config.model}
            left_out = self._adjust.missing(body)
            self._count(requests=1, retries=int(attempt > 1))
            try:
                reply = self._read(path, sent, read)
                break
            except Failure as failure:
                if self._learn(sent, failure):
                    adjusted += 1
                    continue
                too_long = failure.wait is not None and failure.wait > LONGEST_WAIT
                again = steady and failure.steady
                if (
                    not failure.passing
                    or too_long
                    or again
                    or attempt - adjusted > self.config.retries
                ):
                    return failure
                steady = failure.steady
                with self._guard:
                    pause = wait(
                        attempt - adjusted,
                        self.config.first_wait,
                        self.config.longest_wait,
                        failure.wait,
                        self._draw,
                    )
                if stop.wait(pause):
                    return failure
        if left_out:
            reply = {**reply, "left_out": left_out}
        self._cache.put(key, reply)
        self._count(
            replies=1,
            prompt_tokens=reply.get("prompt_tokens", 0),
            completion_tokens=reply.get("completion_tokens", 0),
        )
        return reply

    def _read(self, path: str, sent: dict[str, Any], read: Read) -> dict[str, Any]:
        """Return the result of `read` on one attempt. Raises Failure."""
        data = self._transport.post(path, sent)
        try:
            return read(data)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            message = f"an answer in a form that is not the endpoint's ({error})"
            raise Failure(message, passing=True, steady=True) from None

    def _learn(self, sent: dict[str, Any], failure: Failure) -> bool:
        """Return whether the request is sent again without what the server refused; warn of a
        parameter that matters."""
        body = {k: v for k, v in sent.items() if k != "model"}
        with self._guard:
            warned = len(self._adjust.warnings)
            again = self._adjust.learn(body, failure)
            self.usage.adjusted = list(self._adjust.notes)
            fresh = self._adjust.warnings[warned:]
        for name in fresh:
            logging.getLogger("veneer").warning(
                "veneer: the endpoint %s does not take %s (%s); it is left out, and the server's "
                "own choice holds",
                self.config.url,
                name,
                failure.message,
            )
        return again

    def _take_note(self, replies: Sequence[dict[str, Any]]) -> None:
        """Note the models that answered and the parameters that were left out, also for replies
        from the cache."""
        with self._guard:
            for reply in replies:
                if reply.get("model") and reply["model"] not in self.usage.models:
                    self.usage.models.append(reply["model"])
                for name in reply.get("left_out") or ():
                    if (note := f"{name} left out") not in self.usage.adjusted:
                        self.usage.adjusted.append(note)

    def record(self, *, everything: bool = False) -> dict[str, Any]:
        """Return facts on the replies for a manifest, where they are not as requested: `models`
        that answered under other names (a router chose them), `adjusted` parameters. Empty where
        all is as requested. everything: include all replies in the cache, for a cache of one
        run."""
        if everything:
            self._take_note(self._cache.replies())
        models = self.usage.models
        return {
            k: v
            for k, v in (
                ("models", models if set(models) - {self.config.model} else []),
                ("adjusted", self.usage.adjusted),
            )
            if v
        }

    def _count(self, **more: int) -> None:
        c = self.config
        with self._guard:
            for name, value in more.items():
                setattr(self.usage, name, getattr(self.usage, name) + value)
            if c.price_in is not None or c.price_out is not None:
                paid = self.usage.prompt_tokens * (
                    c.price_in or 0
                ) + self.usage.completion_tokens * (c.price_out or 0)
                self.usage.cost = paid / PRICED

    def _hopeless(self, failure: Failure, good: bool) -> VeneerError:
        c, t = self.config, self._transport
        how = mend(failure, c, has_key=t.has_key, served=t.served, elsewhere=t.elsewhere)
        kind = InputError if failure.fault in WRONG_INPUT and not good else VeneerError
        return kind(f"the endpoint {c.url} says {failure.message}; {how}")

    def _dead(self, failure: Failure, row: int) -> VeneerError:
        if failure.fault is not Fault.NONE and not self.usage.replies:
            return self._hopeless(failure, good=False)
        times = "once" if row == 1 else f"{row} times in a row"
        tried = 1 if failure.steady else self.config.retries
        attempts = f" after {tried} retries each" if failure.passing and self.config.retries else ""
        late = failure.wait is not None and failure.wait > LONGEST_WAIT
        return VeneerError(
            (
                f"the endpoint {self.config.url} gave no reply {times}{attempts}, at last "
                f"{failure.message}"
            )
            + (f", and to wait {failure.wait:.0f} s" if late else "")
            + "; its earlier replies are kept: mend it and run the same command again to resume"
        )
