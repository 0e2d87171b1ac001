"""Strangers' programs (chat templates) within a bound of time."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE = 2.0  # seconds for an exception to arrive, which waits for the end of a single step


class _TooLong(BaseException):
    """Raised inside the thread; no `except Exception` of the program stops it."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return or raise as `call` does; TimeoutError where it takes longer than `seconds`.

    It runs in a thread of its own, in which an exception is raised when the time is over: that ends
    any loop, since Python looks for it between two steps, but not a single long step (one huge
    product of a text), whose thread is then left behind.
    """
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["value"] = call()
        except _TooLong:
            pass
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_TooLong)
        )
        thread.join(PATIENCE)
    if "error" in outcome:
        raise outcome["error"]
    if "value" not in outcome:
        raise TimeoutError(f"it takes longer than {seconds:g} s")
    return outcome["value"]
