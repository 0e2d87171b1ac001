"""Delay Ctrl-C until a step that must not be interrupted is done."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class HeldInterrupt:
    """`with HeldInterrupt() as interrupt:` Ctrl-C in the block takes effect at its end, and at once
    below `interrupt.let_through()`.

    A KeyboardInterrupt may otherwise come between the creation of a file and the `try` that removes
    it, or during its removal. Nothing changes outside the main thread, which gets no interrupts,
    and where Ctrl-C has no handler of Python's.
    """

    def __enter__(self) -> HeldInterrupt:
        self._holding, self._waiting = True, False
        main = threading.current_thread() is threading.main_thread()
        self._handler = signal.getsignal(signal.SIGINT) if main else None
        if callable(self._handler):
            signal.signal(signal.SIGINT, self._heard)
        return self

    def __exit__(self, *error: object) -> None:
        if callable(self._handler):
            signal.signal(signal.SIGINT, self._handler)
        if self._waiting:
            signal.raise_signal(signal.SIGINT)

    @contextlib.contextmanager
    def let_through(self) -> Iterator[None]:
        try:
            self._holding = False
            if self._waiting:
                self._waiting = False
                signal.raise_signal(signal.SIGINT)
            yield
        finally:
            self._holding = True

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self._holding:
            self._waiting = True
        elif callable(self._handler):
            self._handler(number, frame)
