"""What a command prints: its results as a table, Markdown or JSON, and how much beside them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from veneer.foundation.dry_run import dry_run
from veneer.foundation.errors import InputError
from veneer.foundation.progress import silent
from veneer.foundation.settings import Option
from veneer.terminal.messages import messages

if TYPE_CHECKING:
    from veneer.foundation.results import Measurement


@dataclass(frozen=True, kw_only=True)
class MessageOptions:
    """What the command prints beside its result."""

    quiet: Annotated[bool, Option(recorded=False)] = False
    """Print only the result on stdout and errors on stderr: no progress, no warnings."""
    verbose: Annotated[bool, Option(recorded=False)] = False
    """Also print the progress bars and warnings of the libraries that do the work."""

    def __post_init__(self) -> None:
        """Raises InputError for options that exclude each other."""
        if self.quiet and self.verbose:
            raise InputError("found both --quiet and --verbose; give one of them")


@dataclass(frozen=True, kw_only=True)
class LongOptions(MessageOptions):
    """What the command prints, and whether it only plans."""

    dry_run: Annotated[bool, Option(recorded=False)] = False
    """Check the input, print the plan and exit. Writes nothing and reads no weights."""


@dataclass(frozen=True, kw_only=True)
class TableOptions(LongOptions):
    """What the command prints, and whether it only plans."""

    json: Annotated[bool, Option(recorded=False)] = False
    """Print the results as one JSON object, with the rows of results.jsonl."""
    markdown: Annotated[bool, Option(recorded=False)] = False
    """Print tables as Markdown."""

    def __post_init__(self) -> None:
        """Raises InputError for options that exclude each other."""
        super().__post_init__()
        if self.json and self.markdown:
            raise InputError("found both --json and --markdown; give one of them")


_current: ContextVar[MessageOptions | None] = ContextVar("_current", default=None)


@contextlib.contextmanager
def output_of(command: Any) -> Iterator[None]:
    """Print as the options of a command's object say, within the block."""
    values = (getattr(command, f.name) for f in fields(command))
    options = next((v for v in values if isinstance(v, MessageOptions)), MessageOptions())
    token = _current.set(options)
    try:
        with (
            messages(quiet=options.quiet, verbose=options.verbose),
            silent(options.quiet),
            dry_run(getattr(options, "dry_run", False)),
        ):
            yield
    finally:
        _current.reset(token)


def as_json() -> bool:
    """Whether stdout is to hold one JSON object and nothing else."""
    return bool(getattr(_current.get(), "json", False))


def as_markdown() -> bool:
    """Whether tables are to be Markdown."""
    return bool(getattr(_current.get(), "markdown", False))


def present(
    rows: Iterable[Measurement],
    out: str | Path,
    table: Callable[[], object],
    *,
    place: str | None = None,
) -> None:
    """Print a study's results: the table that `table` prints, and where the rest is; or with --json
    the rows of results.jsonl. place: instead of the line that names the report."""
    report = Path(out) / "report.html"
    if as_json():
        print_json({"out": str(out), "report": str(report), "rows": [r.to_json() for r in rows]})
        return
    table()
    print(f"\n{place or f'report: {report}'}")


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=1))
