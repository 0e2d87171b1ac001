"""Progress of long tasks: bars in a notebook, a live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import html
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING

from veneer.foundation.stages import Course, Stage, time_left

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

# (done, total, what): `done` of `total` units of `what`; a total of 0 is unknown.
Progress = Callable[[int, int, str], None]
SECONDS = 10.0  # between two plain lines
STAGE_SECONDS = 3.0  # between a plain line and that of a new stage
NOTEBOOK_SECONDS = 0.5  # between two updates of a notebook's output
_decided: ContextVar[bool] = ContextVar("_decided", default=False)
_silent: ContextVar[bool] = ContextVar("_silent", default=False)


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
def silent(yes: bool = True) -> Iterator[None]:
    """Within the block, `progress_line` shows nothing."""
    token = _silent.set(yes)
    try:
        yield
    finally:
        _silent.reset(token)


@contextlib.contextmanager
def progress_line() -> Iterator[Progress]:
    """A bar for each kind of work in a notebook, one live line in a terminal; elsewhere a plain
    line on stderr every ten seconds."""
    if _silent.get():
        yield lambda done, total, what: None
    elif in_notebook():
        with _notebook_bars() as draw:
            yield draw
    elif sys.stderr is not None and sys.stderr.isatty():
        with _live_line() as line:
            yield line
    else:
        yield PlainLines()


class ProgressLine(ABC):
    """Progress that knows the stages of a run and the time that is left. `studies.runner` gives it
    the run's plan, and `RunRecord.stage` says when a stage begins and ends."""

    def __init__(self) -> None:
        self.course = Course()

    def follow(self, stages: Sequence[Stage]) -> None:
        """Show the stages of this plan from now on."""
        self.course = Course(stages)

    def revise(self, stage: Stage) -> None:
        """Replace the stage of that name, once more is known of it."""
        self.course.revise(stage)

    def expect(self, pace: float) -> None:
        """Estimate the time by a pace that was measured before the work (`Course.expect`)."""
        self.course.expect(pace)

    def __call__(self, done: int, total: int, what: str) -> None:
        self.course.count(done, total, what)
        self.show(done, total, what)

    def enter(self, stage: str) -> None:
        before, began = self.course.where, self.course.began
        if self.course.enter(stage):
            self.at_stage(before, time.monotonic() - began)

    def leave(self) -> None:
        self.course.leave()

    @abstractmethod
    def show(self, done: int, total: int, what: str) -> None:
        """Show progress of an activity within the current stage."""

    @abstractmethod
    def at_stage(self, before: str, seconds: float) -> None:
        """The run is at another stage. before: the one that ended, which took so many seconds;
        empty for none."""

    def words(self, what: str) -> str:
        """An activity with its stage in front, which is not said twice."""
        where, stage = self.course.where, self.course.stage
        if stage is None:
            return what
        rest = "" if what == stage.name else what.removeprefix(f"{stage.name}: ")
        return f"{where}: {rest}" if rest else where

    def left(self) -> str:
        """The time left in words; empty where too little is known."""
        seconds = self.course.seconds_left()
        return "" if seconds is None else time_left(seconds)


class PlainLines(ProgressLine):
    """A line on stderr every ten seconds, and one for a new stage unless a line was just shown."""

    def __init__(self) -> None:
        super().__init__()
        self._last = float("-inf")

    def show(self, done: int, total: int, what: str) -> None:
        ended = bool(total) and done == total and not self.course.stages
        if ended or self._silent_for(SECONDS):
            of = f" of {total}" if total else ""
            self._print(f"{self.words(what)}: {done}{of}")

    def at_stage(self, before: str, seconds: float) -> None:
        if self._silent_for(STAGE_SECONDS):
            self._print(self.course.where)

    def _silent_for(self, seconds: float) -> bool:
        return time.monotonic() - self._last >= seconds

    def _print(self, text: str) -> None:
        self._last = time.monotonic()
        left = self.left()
        print(f"{text}, {left}" if left else text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _live_line() -> Iterator[ProgressLine]:
    """One line of a terminal, updated in place; finished stages stay above it with their time."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False, markup=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[count]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        yield LiveLine(bars)


class LiveLine(ProgressLine):
    """One row of rich's progress display."""

    def __init__(self, bars: Bars):
        super().__init__()
        self._bars = bars
        self._row = bars.add_task("", total=None, count="", left="")

    def show(self, done: int, total: int, what: str) -> None:
        count = f"{done:,} of {total:,}" if total else f"{done:,}" if done else ""
        self._update(self.words(what), count, completed=done, total=total or None)

    def at_stage(self, before: str, seconds: float) -> None:
        if before:
            self._bars.console.print(f"{before}: {seconds:.0f} s")
        self._update(self.course.where, "", completed=0, total=None)

    def _update(self, text: str, count: str, **state: int | None) -> None:
        words = {"description": text, "count": count, "left": self.left()}
        self._bars.update(self._row, **words, **state)  # type: ignore[arg-type]


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
