"""Progress of long tasks: a bar in a notebook or a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

# (done, total, what): `done` of `total` units of `what`; a total of 0 is unknown.
Progress = Callable[[int, int, str], None]
SECONDS = 10.0  # between two plain lines
_decided: ContextVar[bool] = ContextVar("_decided", default=False)


@contextlib.contextmanager
def shown(progress: Progress | bool | None) -> Iterator[Progress | None]:
    """The report that a public function calls as its work goes on, or None for none.

    progress: a function, which is then called; True shows a bar and False none. None, the default
    of the public functions, shows a bar in a notebook and none elsewhere. The outermost function
    decides for those that it calls.
    """
    if progress is None:
        progress = in_notebook() and not _decided.get()
    token = _decided.set(True)
    try:
        if progress is True:
            with progress_line() as report:
                yield report
        else:
            yield progress or None
    finally:
        _decided.reset(token)


def in_notebook() -> bool:
    """Whether this is the process of a notebook (Jupyter, Colab, VS Code)."""
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return hasattr(shell, "kernel")


@contextlib.contextmanager
def progress_line() -> Iterator[Progress]:
    """A bar for each kind of work in a terminal, and in a notebook that has ipywidgets; elsewhere
    a plain line on stderr every ten seconds."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    widgets = in_notebook() and importlib.util.find_spec("ipywidgets") is not None
    if not (widgets or console.is_terminal):
        yield _plain_lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console) as bars:
        tasks: dict[str, Any] = {}

        def draw(done: int, total: int, what: str) -> None:
            key = what.split(":")[0]
            if key not in tasks:
                tasks[key] = bars.add_task(what, total=total or None)
            bars.update(tasks[key], completed=done, total=total or None, description=what)

        yield draw


def _plain_lines() -> Progress:
    last = 0.0

    def print_line(done: int, total: int, what: str) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS or (total and done == total):
            last = time.monotonic()
            print(
                f"{what}: {done}" + (f" of {total}" if total else ""), file=sys.stderr, flush=True
            )

    return print_line
