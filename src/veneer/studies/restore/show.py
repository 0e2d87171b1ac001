"""What `veneer restore` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from veneer.report.basis import counted, judged_by
from veneer.studies.restore.folders_0_1 import facts_of
from veneer.studies.restore.words import (
    REFUSED,
    settings_text,
    verdict_sentence,
    verdict_word,
)
from veneer.terminal.show import figure
from veneer.terminal.tables import plain_console, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from veneer.foundation.results import Measurement, Results

STUDY = "restore"
COLUMNS = {"refusal_rate": "refuses harmful", "over_refusal_rate": "refuses safe"}
BESIDE = ("harm_rate", "text_nats", "kl_from_compromised", "kl_from_aligned")  # no capability


def show(results: Results) -> None:
    """A table of the verdicts with the shares behind them, and the reasons of each verdict."""
    from veneer.report.discernment import discernment

    console = plain_console()
    verdicts = results.where(study=STUDY, metric="restored")
    shares = _shares(results)
    print_table(console, _table(results, verdicts, shares))
    judged = judged_by(row for by_system in shares.values() for row in by_system.values())
    console.print("; ".join(filter(None, ("share [95 % interval]", judged))))
    console.print(REFUSED)
    for verdict in verdicts:
        console.print(f"{verdict.system}: {verdict_sentence(facts_of(verdict))}")
    contrast = discernment(results)
    if contrast is not None:
        n = counted(contrast.systems.values())
        console.print(
            f"discernment, AUROC on {contrast.task}, n = {n} (0.50 is chance): "
            + ", ".join(f"{name} {figure(row)}" for name, row in contrast.systems.items())
        )


def _shares(results: Results) -> dict[str, dict[str, Measurement]]:
    """Metric -> system -> its row on the report part, by which a method is judged. Empty in a
    folder that an earlier version wrote."""
    rows = [
        r
        for r in results.where(study=STUDY, split="test")
        if r.of is None and r.metric != "restored" and r.metric not in BESIDE
    ]
    return {
        metric: {r.system: r for r in rows if r.metric == metric}
        for metric in dict.fromkeys(r.metric for r in rows)
    }


def _table(
    results: Results, verdicts: Sequence[Measurement], shares: dict[str, dict[str, Measurement]]
) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("system", "settings", "verdict"):
        table.add_column(name)
    for metric, rows in shares.items():
        task = next(iter(rows.values())).task
        title = COLUMNS.get(metric, f"{metric.replace('_', ' ')} on {task}")
        table.add_column(f"{title}\nn = {counted(rows.values())}", justify="right")
    chosen = {r.system: facts_of(r) for r in results.where(study=STUDY, metric="chosen")}
    words = {r.system: verdict_word(facts_of(r)) for r in verdicts}
    references = dict.fromkeys(s for rows in shares.values() for s in rows if s not in words)
    for system in (*references, *words):
        facts = chosen.get(system)
        settings = "" if facts is None else settings_text(facts.get("alpha"), facts.get("rank"))
        cells = [figure(rows.get(system)) for rows in shares.values()]
        table.add_row(system, settings, words.get(system, ""), *cells)
    return table
