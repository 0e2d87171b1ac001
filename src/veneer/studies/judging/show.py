"""The output of `veneer judge`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from veneer.terminal.show import figure

if TYPE_CHECKING:
    from veneer.foundation.results import Results
    from veneer.studies.judging.compare import JudgeComparison
    from veneer.studies.judging.verdicts import VerdictRow

BALANCED = (
    "balanced accuracy: the mean over the labels' classes of the share that the judge found; 0.5 "
    "is as good as a coin where there are two classes"
)
KINDS = ("unparsable", "truncated", "refused", "too-long", "failed")


def show_judged(results: Results, rows: Sequence[VerdictRow], usage: Mapping[str, Any]) -> None:
    """One line per task, system and metric; below them the judges' outcomes, and what they cost."""
    from rich.table import Table

    from veneer.report.basis import in_clusters
    from veneer.terminal.tables import plain_console, print_table

    console, table = plain_console(), Table(box=None, header_style="bold", pad_edge=False)
    for name in ("task", "system", "metric", "value [95 % interval]", "n", "judge"):
        table.add_column(
            name,
            justify="right" if name in ("n", "value [95 % interval]") else "left",
            no_wrap=True,
        )
    for r in results:
        if r.of is None:
            unit = f" ({r.unit})" if r.unit != "share" else ""
            n = f"{r.n}{in_clusters([r])}"
            table.add_row(r.task, r.system, f"{r.metric}{unit}", figure(r), n, r.judge or "")
    print_table(console, table)
    for judge in dict.fromkeys(r.judge for r in rows):
        counts = Counter(r.outcome for r in rows if r.judge == judge)
        without = ", ".join(f"{counts[k]} {k}" for k in KINDS if counts[k]) or "none"
        console.print(
            f"{judge}: {counts.total()} answers, {counts['rule']} by rule; without a "
            f"verdict: {without}",
        )
        u = usage.get(judge)
        if u:
            cost = "" if u["cost"] is None else f", cost {u['cost']:.4f}"
            again = f", {u['retries']} retries" if u["retries"] else ""
            console.print(
                f"  {u['requests']} requests{again}, {u['cached']} from the cache, "
                f"{u['prompt_tokens']} tokens read, {u['completion_tokens']} written{cost}",
            )
        if counts["failed"]:
            console.print(
                f"  {counts['failed']} got no reply; run the same command again to ask for these",
            )


def show_compared(comparisons: Sequence[JudgeComparison]) -> None:
    """Kappa, raw agreement and the confusion table of each comparison."""
    from rich.table import Table

    from veneer.terminal.tables import plain_console, print_table

    console = plain_console()
    for c in comparisons:
        console.print()
        console.print(
            f"{c.task}, {c.system}: {c.judges[0]} {c.metrics[0]} (rows) and {c.judges[1]} "
            f"{c.metrics[1]} (columns)",
        )
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("")
        for category in c.agreement.categories:
            table.add_column(f"{category:g}", justify="right")
        for category, row in zip(c.agreement.categories, c.agreement.table.tolist(), strict=True):
            table.add_row(f"{category:g}", *map(str, row))
        print_table(console, table)
        for name, e in (
            ("kappa", c.agreement.kappa),
            ("kappa, quadratic weights", c.agreement.weighted),
            ("raw agreement", c.agreement.raw),
            ("balanced accuracy on people's labels", c.balanced),
        ):
            if e is not None:
                value = (
                    "undefined" if e.value is None else f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]"
                )
                console.print(
                    f"{name}: {value}, {e.n} independent prompts"
                    + (f" ({e.note})" if e.note else ""),
                )
        if c.balanced is not None:
            console.print(BALANCED)
        if c.without or c.alone:
            console.print(
                f"{c.without} answers without a verdict of both, {c.alone} that only one of "
                "them judged",
            )
