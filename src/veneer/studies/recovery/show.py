"""What `veneer recover` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from veneer.report.basis import in_clusters
from veneer.terminal.tables import cell, digits, plain_console, print_table

if TYPE_CHECKING:
    from veneer.foundation.results import Measurement, Results

SUFFIX = "_similarity"
PORTION = "0 base .. 1 ceiling"
COLUMNS = ("n", "mean", "best", PORTION, "verdict")
BASE = "0 by definition"
CEILING = "1 by definition"
LEGEND = (
    "value [95 % interval]; mean and best: similarity to the teacher's first sample, the best at "
    "equal numbers of candidates; verdict: two one-sided tests against the ceiling, after Holm "
    "(verdicts.jsonl)"
)
Places = Sequence["Measurement | None"]


def show(results: Results, teacher: str) -> None:
    """One row per system: similarity and best of each measure, where it stands between base and
    ceiling, and the verdict. Reasons for what is undefined stand below."""
    from rich.table import Table

    rows = {
        (r.metric, r.of, r.system): r for r in results if r.split in (None, f"ceiling:{teacher}")
    }
    console = plain_console()
    reasons: dict[str, None] = {}
    for metric in dict.fromkeys(m for m, _, _ in rows if m.endswith(SUFFIX)):
        measure = metric.removesuffix(SUFFIX)
        systems = [s for m, _, s in rows if m == metric]
        lines = {s: _places(rows, metric, s) for s in systems}
        means = digits([x for line in lines.values() for x in line[:2]])
        portions = digits([line[2] for line in lines.values()])
        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in (measure, *COLUMNS):
            left = name in (measure, "verdict")
            table.add_column(name, justify="left" if left else "right", no_wrap=True)
        for system, line in lines.items():
            table.add_row(*_cells(line, teacher, means, portions))
            if line[2] is not None and line[2].value is None:
                reasons[f"{measure}, {system}: {_why(line)}"] = None
        print_table(console, table)
        console.print()
    console.print(LEGEND)
    for reason in reasons:
        console.print(f"undefined: {reason}", markup=False)


def _places(
    rows: Mapping[tuple[str, str | None, str], Measurement], metric: str, system: str
) -> Places:
    """Mean, best, portion, and gap to the ceiling with the verdict."""
    best = metric.removesuffix(SUFFIX) + "_best"
    places = [(metric, None), (best, None), ("portion", metric), ("gap_to_ceiling", metric)]
    return [rows.get((m, of, system)) for m, of in places]


def _cells(rows: Places, teacher: str, means: int, portions: int) -> list[str]:
    """A line of the table. Base and the teacher are the ends of the scale, so they have no place on
    it."""
    from veneer.studies.recovery.folders_0_1 import facts_of

    mean, best, portion, gap = rows
    assert mean is not None
    facts = {} if gap is None else facts_of(gap)
    end = CEILING if mean.system == teacher else BASE
    verdict = facts.get("verdict", "") if gap is not None else ""
    oracle = " (oracle)" if facts.get("oracle") else ""
    return [
        mean.system + oracle,
        f"{mean.n}{in_clusters([mean])}",
        cell(mean, means),
        cell(best, means, "too few answers"),
        cell(portion, portions, end),
        verdict or ("ceiling" if mean.system == teacher else "base"),
    ]


def _why(rows: Places) -> str:
    from veneer.studies.recovery import words
    from veneer.studies.recovery.folders_0_1 import facts_of

    portion = rows[2]
    assert portion is not None
    return words.undefined(facts_of(portion)) or words.NO_REASON
