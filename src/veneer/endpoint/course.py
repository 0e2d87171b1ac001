"""Hand outcomes from the workers that send requests to the caller that reads."""

from __future__ import annotations

import queue
import threading
from typing import Any

from veneer.endpoint.failure import Failure


class Course:
    """Outcomes on their way from the workers to the caller, with the failures in a row up to each.

    The worker whose outcome ends the course sets `over`, not the caller who reads it later: until
    then the others would continue to send requests to an endpoint that refused.
    """

    def __init__(self, give_up_after: int):
        self.over = threading.Event()
        self._most, self._row, self._guard = give_up_after, 0, threading.Lock()
        self._queue: queue.SimpleQueue[tuple[str, Any, int]] = queue.SimpleQueue()

    def put(self, key: str, outcome: dict[str, Any] | BaseException) -> None:
        with self._guard:
            failure = outcome if isinstance(outcome, Failure) else None
            self._row = 0 if failure is None or failure.own else self._row + 1
            if self._row >= self._most or (
                failure.hopeless if failure else isinstance(outcome, BaseException)
            ):
                self.over.set()
            self._queue.put((key, outcome, self._row))

    def get(self) -> tuple[str, Any, int]:
        """Return key, outcome, and the number of failures in a row."""
        return self._queue.get()
