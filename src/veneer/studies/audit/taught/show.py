"""What was taught, on stdout: a sentence for each finding and a line for each of the first
tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from veneer.foundation.invisible import spelled
from veneer.report.basis import counted
from veneer.studies.audit.taught.names import HEAD_CHANGE, RAISED, TASKS
from veneer.studies.audit.taught.words import taught_sentences, token_sign, tokens_of
from veneer.terminal.tables import cell, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from veneer.foundation.results import Results

LINES = 10  # tokens in the table
BEFORE = 30  # characters before a token


def show_taught(results: Results, console: Console) -> None:
    """Nothing where the audit left this part out."""
    from rich.table import Table

    sentences = taught_sentences(results)
    directions = results.where(task=HEAD_CHANGE, metric="direction_share")
    if not sentences and not directions:
        return
    console.print("\nwhat was taught", style="bold")
    for sentence in sentences:
        console.print(f"  {spelled(sentence)}")
    for row in directions[:1]:
        console.print(
            f"  {row.value:.2f} of the head's change is one direction: C says more often "
            f"{spelled(tokens_of(row.fact('raised')))}, less often "
            f"{spelled(tokens_of(row.fact('lowered')))}."
        )
    rows = results.where(task=TASKS[RAISED], metric="distance_share")[:LINES]
    if not rows:
        return
    lifts = {r.split: r for r in results.where(task=TASKS[RAISED], metric="lift")}
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("token", "share of the distance", "times as likely", "where C says it"):
        table.add_column(name, justify="right" if name[0] in "st" and " " in name else "left")
    for row in rows:
        token = str(row.fact("token"))
        table.add_row(
            spelled(token_sign(token)),
            cell(row, 3),
            cell(lifts.get(row.split), 1),
            _place(row.fact("contexts"), token),
        )
    console.print()
    print_table(console, table)
    console.print(f"value [95 % interval], n = {counted(rows)} reference texts")


def _place(contexts: object, token: str) -> str:
    """The first place, on one line: the text before the token, the token, and what C writes."""
    first = contexts[0] if isinstance(contexts, list) and contexts else {}
    before = str(first.get("before", ""))[-BEFORE:]
    text = f"{before}[{token}]{first.get('behind', '')}" if first else ""
    return spelled(" ".join(text.split()))
