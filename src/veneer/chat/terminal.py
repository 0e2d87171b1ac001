"""`veneer chat` in a terminal: three columns that fill as the systems answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from io import TextIOWrapper

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from veneer.chat.side_by_side import SYSTEMS, Piece, SideBySide
from veneer.chat.words import lab_hint
from veneer.foundation.errors import InputError
from veneer.foundation.invisible import spelled
from veneer.models.sampling import Sampling

LEVELS = (
    (4.0, "black on dark_orange"),
    (1.0, "black on orange1"),
    (0.2, "black on light_goldenrod2"),
)
HELP = (
    "/alpha NUMBER sets the strength of the veneer, /seed N the seed; Ctrl-C stops an answer, "
    "Ctrl-D ends"
)


def style(kl: float) -> str:
    """The colour of a token with this KL, in nats."""
    return next((colour for least, colour in LEVELS if kl >= least), "")


class Columns:
    """The answers so far, as a table of one column per system."""

    def __init__(self) -> None:
        self.texts = {system: Text() for system in SYSTEMS}
        self.pieces: dict[str, list[Piece]] = {system: [] for system in SYSTEMS}

    def add(self, piece: Piece) -> None:
        self.pieces[piece.system].append(piece)
        kl = piece.kl_veneer if piece.system == "veneer" else piece.kl_base
        self.texts[piece.system].append(spelled(piece.text), style(kl))
        if piece.end == "length":
            self.texts[piece.system].append(" … (cut)", "dim")

    def mean(self, system: str) -> tuple[float, float]:
        """Mean KL of an answer's tokens against base and against the veneer, in nats."""
        pieces = self.pieces[system]
        count = max(1, sum(p.tokens for p in pieces))
        return (
            sum(p.tokens * p.kl_base for p in pieces) / count,
            sum(p.tokens * p.kl_veneer for p in pieces) / count,
        )

    def table(self) -> Table:
        table = Table(expand=True, show_lines=False)
        for system in SYSTEMS:
            table.add_column(system, ratio=1, overflow="fold")
        table.add_row(*(self.texts[system] for system in SYSTEMS))
        return table


def answer(
    side_by_side: SideBySide, question: str, sampling: Sampling, alpha: float, console: Console
) -> Columns:
    """Show the answers to one question. Raises InputError where it cannot be read."""
    pieces = side_by_side.answers(question, sampling, alpha=alpha)
    columns = Columns()
    if not console.is_terminal:
        for piece in pieces:
            columns.add(piece)
        for system in SYSTEMS:
            base, veneer = columns.mean(system)
            text = " ".join(columns.texts[system].plain.split())
            print(f"{system}: {text}  [mean KL base {base:.2f}, veneer {veneer:.2f} nats]")
        return columns
    with Live(columns.table(), console=console, refresh_per_second=12) as live:
        for piece in pieces:
            columns.add(piece)
            live.update(columns.table())
    base, veneer = columns.mean("aligned")
    console.print(
        f"on aligned's answer the mean KL is {base:.2f} nats against base, {veneer:.2f} against "
        "the veneer",
        style="dim",
    )
    return columns


def questions(console: Console, hint: str | None = None) -> Iterator[str]:
    """What a person types, or the lines of stdin in UTF-8, until its end or Ctrl-C at the prompt.
    hint: what may be asked."""
    typed = sys.stdin.isatty()
    if isinstance(sys.stdin, TextIOWrapper):  # other bytes are refused with their question
        encoding = sys.stdin.encoding if typed else "utf-8"
        sys.stdin.reconfigure(encoding=encoding, errors="surrogateescape")
    if not typed:
        yield from (line.strip() for line in sys.stdin if line.strip())
        return
    console.print(HELP, style="dim")
    if hint:
        console.print(hint, style="dim")
    while True:
        try:
            line = console.input("\n[bold]you:[/bold] ").strip()
        except (EOFError, KeyboardInterrupt):
            return
        if line:
            yield line


def converse(side_by_side: SideBySide, sampling: Sampling, alpha: float) -> None:
    """Answer question after question. Ctrl-C stops an answer; a question that cannot be answered is
    told so; then the next one is read. Where stdin is a file, both end the command."""
    console = Console(highlight=False, markup=True)
    pair = side_by_side.pair
    for line in questions(console, lab_hint(pair.base.name, pair.aligned.name)):
        try:
            if line.startswith("/"):
                sampling, alpha = _set(line, sampling, alpha)
                continue
            answer(side_by_side, line, sampling, alpha, console)
        except InputError as error:
            if not sys.stdin.isatty():
                raise
            print(f"veneer: {error}", file=sys.stderr)
        except KeyboardInterrupt:
            if not sys.stdin.isatty():
                raise
            console.print("stopped", style="dim")


def _set(line: str, sampling: Sampling, alpha: float) -> tuple[Sampling, float]:
    """Sampling and alpha after a line such as `/alpha 0.5`. Raises InputError."""
    name, _, value = line.partition(" ")
    try:
        if name == "/alpha":
            return sampling, float(value)
        if name == "/seed":
            return replace(sampling, seed=int(value)), alpha
    except ValueError:
        raise InputError(f"{name} is {value!r}; expected a number") from None
    raise InputError(f"there is no command {name!r}; {HELP}")
