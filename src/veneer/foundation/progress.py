"""Progress of long tasks: a bar in a notebook or a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import html
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

# (done, total, what): `done` of `total` units of `what`; a total of 0 is unknown.
Progress = Callable[[int, int, str], None]
SECONDS = 10.0  # between two plain lines
NOTEBOOK_SECONDS = 0.5  # between two updates of a notebook's output
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
    """A bar for each kind of work in a notebook or a terminal; elsewhere a plain line on stderr
    every ten seconds."""
    if in_notebook():
        with _notebook_bars() as draw:
            yield draw
        return
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
    if not console.is_terminal:
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


@contextlib.contextmanager
def _notebook_bars() -> Iterator[Progress]:
    """One output of the cell, updated in place: it needs no widgets, and a saved notebook keeps it.
    (rich draws from a thread into a widget, which takes in what the cell prints meanwhile, and
    sends more messages than a slow front end reads.)"""
    from IPython.display import display

    bars = _Bars()
    handle = display(bars, display_id=True)
    last = 0.0

    def draw(done: int, total: int, what: str) -> None:
        nonlocal last
        bars.put(done, total, what)
        if time.monotonic() - last >= NOTEBOOK_SECONDS:
            last = time.monotonic()
            handle.update(bars)

    try:
        yield draw
    finally:
        handle.update(bars)


class _Bars:
    """The state of each kind of work, as HTML and as text."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._rows: dict[str, tuple[int, int, str, float]] = {}

    def put(self, done: int, total: int, what: str) -> None:
        seconds = time.monotonic() - self._started
        self._rows[what.split(":")[0]] = (done, total, what, seconds)

    def __repr__(self) -> str:
        return "\n".join(_line(*row) for row in self._rows.values())

    def _repr_html_(self) -> str:
        rows = []
        for done, total, what, seconds in self._rows.values():
            of = f' value="{done}" max="{total}"' if total else ""
            text = html.escape(_line(done, total, what, seconds))
            rows.append(f"<div><progress{of}></progress> {text}</div>")
        return "".join(rows)


def _line(done: int, total: int, what: str, seconds: float) -> str:
    return f"{what}: {done}{f' of {total}' if total else ''} ({seconds:.0f} s)"


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
