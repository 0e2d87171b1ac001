"""Tables on stdout that say all that they hold: no cut cells, and digits that tell values apart."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from veneer.terminal.output import as_markdown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from veneer.foundation.results import Measurement

MOST = 6  # digits behind the point
HUGE = 1e6
ROUNDING = 1e-6  # of single precision, around 1
ENDLESS = 10_000  # columns of a terminal that cuts nothing


def plain_console() -> Console:
    """Stdout for sentences and tables. A terminal gets its sentences wrapped between words; a pipe
    and a file get each on one line."""
    from rich.console import Console

    return Console(highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())


def print_table(console: Console, table: Table) -> None:
    """Print the table as wide as its texts are, or as Markdown where that is asked for. A narrow
    terminal wraps the lines; rich would cut the cells ("0.…")."""
    if as_markdown():
        print(markdown(table))
        return
    from rich.measure import Measurement as Width

    options = console.options.update(width=ENDLESS, max_width=ENDLESS)
    width = Width.get(console, options, table).maximum
    narrow, console.width = console.width, max(console.width, width)
    console.print(table, soft_wrap=False)
    console.width = narrow  # what follows is text, which wraps at the terminal's own width


def markdown(table: Table) -> str:
    """The table in Markdown (GitHub's), with an empty line behind it: text follows."""
    columns = [[str(column.header), *map(str, column.cells)] for column in table.columns]
    rules = ["---:" if column.justify == "right" else "---" for column in table.columns]
    head, *rows = [[_escaped(text) for text in row] for row in zip(*columns, strict=True)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rules, *rows]) + "\n"


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")


def digits(rows: Iterable[Measurement | None], least: int = 2) -> int:
    """How many digits behind the point a column of values needs: two of the narrowest interval's
    width, so that systems whose intervals are apart do not look equal. At least `least`. A width
    that is rounding, such as that of a cosine of 1, asks for none."""
    widths = [
        r.high - r.low
        for r in rows
        if r is not None and r.low is not None and r.high is not None and r.high - r.low > ROUNDING
    ]
    if not widths:
        return least
    return min(MOST, max(least, 1 - math.floor(math.log10(min(widths)))))


def cell(row: Measurement | None, places: int, missing: str = "-") -> str:
    """A value with its interval; `missing` where there is no row."""
    if row is None:
        return missing
    if row.value is None:
        return "undefined"
    limits = ""
    form = f".{places}f"
    if row.low is not None and row.high is not None:
        limits = f" [{number(row.low, form)}, {number(row.high, form)}]"
    return f"{number(row.value, form)}{limits}"


def number(x: float, form: str) -> str:
    """A number of a row in the given format; where it is huge, as an interval from two prompts may
    be, in powers of ten."""
    return f"{x:{'.0e' if abs(x) >= HUGE else form}}"
