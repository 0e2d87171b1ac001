"""The headline figures of a transfer on stdout; everything is in the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from veneer.report.basis import counted, judged_by
from veneer.report.words import in_plain_text, name
from veneer.terminal.show import figure
from veneer.terminal.tables import plain_console, print_table

if TYPE_CHECKING:
    from veneer.foundation.results import Results

COSTS = {
    "kl": "KL\nnats per token",
    "time_ratio": "time\nratio to base",
    "memory_ratio": "memory\nratio to base",
}

COUNTED = {"kl": "n", "time_ratio": "runs", "memory_ratio": "runs"}  # what n counts


def show(results: Results, chosen: str | None) -> None:
    """The finding, and one row per system: its first headline on each task with the portion in
    brackets, its KL from the large aligned model, and what it costs beside the large base. A column
    that nothing fills is left out. chosen: the shifted system that was chosen."""
    from rich.table import Table

    from veneer.studies.transfer.finding import finding
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
    costs = [m for m in COSTS if any(metric == m for metric, _ in whole)]
    portions = [r for (_, m, _, _), r in rows.items() if m == "portion" and r.value is not None]
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("system")
    for task, metric in heads.items():
        n = counted(r for (t, m, _, _), r in rows.items() if (t, m) == (task, metric))
        title = f"{task}\n{name(metric)}"
        table.add_column(f"{title}, n = {n}" if n else title, justify="right")
    for cost in costs:
        n = counted(r for (m, _), r in whole.items() if m == cost)
        table.add_column(f"{COSTS[cost]}, {COUNTED[cost]} = {n}", justify="right")
    for system in systems:
        cells = []
        for task, metric in heads.items():
            portion = rows.get((task, "portion", metric, system))
            share = ""
            if portion is not None and portion.value is not None:
                share = f" ({portion.value:.2f})"
            cells.append(figure(rows.get((task, metric, None, system))) + share)
        table.add_row(system, *cells, *(figure(whole.get((m, system))) for m in costs))
    console = plain_console()
    sentence = in_plain_text(finding(list(results), chosen, lambda row: ""))
    if sentence:
        console.print(sentence, style="bold")
        console.print()
    print_table(console, table)
    judged = judged_by(r for (t, m, _, _), r in rows.items() if heads.get(t) == m)
    legend = "value [95 % interval]"
    if portions:
        legend += ", in round brackets the portion: (system - base) / (aligned - base)"
    console.print("; ".join(filter(None, (legend, judged))))
