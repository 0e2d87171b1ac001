"""What `veneer recover` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from veneer.terminal.show import figure

if TYPE_CHECKING:
    from veneer.foundation.results import Measurement, Results

SUFFIX = "_similarity"
COLUMNS = ("n", "mean", "best", "0 base .. 1 ceiling", "verdict")
LEGEND = (
    "value [95 % interval]; mean and best: similarity to the teacher's first sample, the best at "
    "equal numbers of candidates; verdict: two one-sided tests against the ceiling, after Holm "
    "(verdicts.jsonl)"
)


def show(results: Results, teacher: str) -> None:
    """One row per system: similarity and best of each measure, where it stands between base and
    ceiling, and the verdict."""
    from rich.console import Console
    from rich.table import Table

    rows = {
        (r.metric, r.of, r.system): r for r in results if r.split in (None, f"ceiling:{teacher}")
    }
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, 120)
    for metric in dict.fromkeys(m for m, _, _ in rows if m.endswith(SUFFIX)):
        measure = metric.removesuffix(SUFFIX)
        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in (measure, *COLUMNS):
            table.add_column(name, justify="left" if name in (measure, "verdict") else "right")
        for system in (s for m, _, s in rows if m == metric):
            places = [(metric, None), (f"{measure}_best", None), ("portion", metric)]
            places.append(("gap_to_ceiling", metric))
            table.add_row(*_cells([rows.get((m, of, system)) for m, of in places], teacher))
        console.print(table)
        console.print()
    console.print(LEGEND)


def _cells(rows: Sequence[Measurement | None], teacher: str) -> list[str]:
    """A line of the table. rows: mean, best, portion, and gap to the ceiling with the verdict."""
    from veneer.studies.recovery.folders_0_1 import facts_of

    mean, best, portion, gap = rows
    assert mean is not None
    facts = {} if gap is None else facts_of(gap)
    verdict = "ceiling" if mean.system == teacher else facts.get("verdict", "")
    oracle = " (oracle)" if facts.get("oracle") else ""
    return [mean.system + oracle, str(mean.n), figure(mean), figure(best), figure(portion), verdict]
