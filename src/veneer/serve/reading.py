"""The thread that reads requests: JSON, fields and prompts. Tokenizers may not be shared between
threads, so there is one."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from veneer.serve.errors import unavailable

STEP = 2**16  # bytes: bodies of less have the same rank
FIRST = -1  # the rank of the end: nothing else is begun before it

Result = TypeVar("Result")


class ReadingThread:
    """Short requests go first, so that a long text delays only those that come while it is being
    read. What nobody waits for any more is not begun."""

    def __init__(self) -> None:
        # (rank, number, result, function); the number keeps the order of arrival
        self._tasks: queue.PriorityQueue[tuple[int, int, Future[Any], Callable[[], Any]]] = (
            queue.PriorityQueue()
        )
        self._numbers = itertools.count()
        self._thread = threading.Thread(target=self._run, name="veneer-prompts", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread after what it is reading; what still waits is refused (503)."""
        self._put(FIRST, Future(), lambda: None)

    async def run(self, function: Callable[[], Result], size: int) -> Result:
        """Return what `function` returns in the thread. size: bytes that it reads."""
        result: Future[Result] = Future()
        self._put(size // STEP, result, function)
        return await asyncio.wrap_future(result)

    def _put(self, rank: int, result: Future[Any], function: Callable[[], Any]) -> None:
        self._tasks.put((rank, next(self._numbers), result, function))

    def _run(self) -> None:
        while True:
            rank, _, result, function = self._tasks.get()
            if rank == FIRST:
                break
            if result.set_running_or_notify_cancel():
                try:
                    result.set_result(function())
                except BaseException as error:
                    result.set_exception(error)
            del result, function  # a waiting thread would keep the last body
        while not self._tasks.empty():
            _, _, result, _ = self._tasks.get()
            if result.set_running_or_notify_cancel():
                result.set_exception(unavailable("the server is shutting down", "shutting_down"))
