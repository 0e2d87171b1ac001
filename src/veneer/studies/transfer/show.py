"""The headline figures of a transfer on stdout; everything is in the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from veneer.terminal.show import figure
from veneer.terminal.tables import print_table

if TYPE_CHECKING:
    from veneer.foundation.results import Results


def show(results: Results) -> None:
    """A line a system: its first headline on each task with the portion in brackets, its KL from
    the large aligned model, and what it costs beside the large base."""
    from rich.console import Console
    from rich.table import Table

    from veneer.studies.transfer.order import first_headlines

    heads = first_headlines(results)
    whole = {
        (r.metric, r.system): r
        for r in results
        if r.study == "transfer"
        and r.task == "joint"
        and r.position is None
        and r.split in ("report", "timing")
    }
    rows = {
        (r.task, r.metric, r.of, r.system): r
        for r in results
        if r.study == "measure" and r.split == "test"
    }
    systems = list(
        dict.fromkeys(
            [
                *(s for _, m, _, s in rows if m == "empty_rate"),
                *(s for m, s in whole if m in ("kl", "time_ratio")),
            ]
        )
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("system")
    for task, metric in heads.items():
        table.add_column(f"{task}\n{metric.replace('_', ' ')}", justify="right")
    for name in ("KL\nnats a token", "time\nof base's", "memory\nof base's"):
        table.add_column(name, justify="right")
    for system in systems:
        cells = []
        for task, metric in heads.items():
            portion = rows.get((task, "portion", metric, system))
            share = (
                f" ({portion.value:.2f})"
                if portion is not None and portion.value is not None
                else ""
            )
            cells.append(figure(rows.get((task, metric, None, system))) + share)
        table.add_row(
            system,
            *cells,
            *(figure(whole.get((m, system))) for m in ("kl", "time_ratio", "memory_ratio")),
        )
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, 140)
    print_table(console, table)
    console.print(
        "value [95 % interval], in round brackets the portion: (system - base) / (aligned - base)"
    )
