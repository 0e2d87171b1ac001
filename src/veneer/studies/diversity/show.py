"""The diversity study on stdout: measures by system, then the decomposition; everything
is in the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from veneer.foundation.results import Measurement, Results

ROWS = (
    "lexical_diversity",
    "lexical_diversity_nonempty",
    "lexical_diversity_matched",
    "semantic_diversity",
    "vendi_lexical_q1",
    "vendi_semantic_q1",
    "distinct_1",
    "self_bleu",
    "words",
    "empty",
    "helpfulness",
    "stance_entropy",
    "stance_disagreement",
    "stance_coverage",
)
TERMS = ("drop", "quality_control", "aggregation", "rest", "united")


def show_diversity(results: Results) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    console.width = max(console.width, 160)
    plain = {(r.metric, r.system): r for r in results if r.of is None and r.split is None}
    systems = list(
        dict.fromkeys(
            r.system for r in results if r.metric == "lexical_diversity" and r.split is None
        )
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("measure")
    for name in ("n", *systems):
        table.add_column(name, justify="right")
    for metric in ROWS:
        rows = [plain.get((metric, s)) for s in systems]
        if any(r is not None for r in rows):
            table.add_row(
                metric.replace("_", " "),
                str(max(r.n for r in rows if r)),
                *(_figure(r) for r in rows),
            )
    for metric in ("lexical_diversity", "lexical_diversity_nonempty", "semantic_diversity"):
        portions = {r.system: r for r in results if r.metric == "portion" and r.of == metric}
        if portions:
            n = str(max(r.n for r in portions.values()))
            table.add_row(
                f"portion of {metric.replace('_', ' ')}",
                n,
                *(_figure(portions.get(s)) for s in systems),
            )
    console.print(table)
    _terms(console, results)


def _terms(console, results: Results) -> None:
    from rich.table import Table

    found = {
        (r.split, r.of, r.metric.removeprefix("decomposition_")): r
        for r in results
        if r.metric.startswith("decomposition_")
    }
    if not found:
        return
    table = Table(
        box=None, header_style="bold", pad_edge=False, title="base to aligned", title_justify="left"
    )
    for name in ("answers kept", "of", "n", *(t.replace("_", " ") for t in TERMS)):
        table.add_column(name, no_wrap=True)
    for split, of in dict.fromkeys((s, o) for s, o, _ in found):
        rows = [found.get((split, of, t)) for t in TERMS]
        table.add_row(
            split,
            (of or "").replace("_", " "),
            str(next(r.n for r in rows if r)),
            *(_figure(r) for r in rows),
        )
    console.print()
    console.print(table)
    console.print(
        "value [95 % interval over prompts]; quality control + aggregation + rest = drop "
        "(docs/diversity.md)"
    )


def _figure(row: Measurement | None) -> str:
    if row is None:
        return ""
    if row.value is None:
        return "undefined"
    digits = ".1f" if abs(row.value) >= 10 else ".3f"
    limits = (
        "" if row.low is None or row.high is None else f" [{row.low:{digits}}, {row.high:{digits}}]"
    )
    return f"{row.value:{digits}}{limits}"
