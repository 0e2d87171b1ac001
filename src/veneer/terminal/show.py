"""The headline figures on stdout; everything is in the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from veneer.terminal.tables import number

if TYPE_CHECKING:
    from veneer.foundation.results import Measurement, Results
    from veneer.report.discernment import MeasuredContrast
    from veneer.report.over_refusal import OverRefusal

THREE = ("base", "veneer", "aligned")
NAMES = {
    "kl": "KL",
    "top1_agreement": "top-1 agreement",
    "refusal_rate": "refusals",
    "empty_rate": "empty answers",
    "unfinished_rate": "cut within reasoning",
    "well_formed": "well formed",
    "nll": "NLL of the responses",
    "token_accuracy": "tokens predicted",
    "discernment_auroc": "discernment AUROC",
    "probe_auroc": "linear probe AUROC",
}
GAINED = {"kl": "kl_recovered", "nll": "nll_gain"}
ALWAYS = (
    "refusal_rate",
    "empty_rate",
    "unfinished_rate",
    "well_formed",
    "probe_auroc",
)  # beside a task's own headlines
HELD_OUT = ("kl", "top1_agreement", "nll", "token_accuracy")  # metrics of the joint veneer


def show(results: Results) -> None:
    """One line per task and metric, base, veneer and aligned side by side; where there are more
    systems, a table of them by task."""

    from veneer.report.discernment import discernment
    from veneer.report.discernment import missing as no_discernment
    from veneer.report.over_refusal import missing, over_refusal, safety_tasks
    from veneer.terminal import legend
    from veneer.terminal.tables import plain_console, print_table

    console = plain_console()
    rows = {
        (r.task, r.metric, r.of, r.system): r
        for r in results
        if r.position is None
        and r.split in (None, "report", "noise", "test")
        and r.study in ("extract", "measure")
    }
    refused, contrast = over_refusal(results), discernment(results)
    print_table(console, _three(rows, refused, contrast))
    caption = "KL in nats per token on held-out prompts, under aligned: its noise floor"
    if any(metric == "nll" for _, metric, _, _ in rows):
        caption = (
            "NLL in nats per token on held-out prompts: the right column is the gain; only "
            "responses were known, so there is no KL"
        )
    console.print(f"value [95 % interval]; {caption}")
    shown = [rows[key] for key in _shown(rows)]
    named = {metric: _metric_words(metric) for _, metric in _lines(rows)}
    for line in (*legend.remarks(shown), *legend.meanings(named, shown)):
        console.print(line)
    if safety_tasks(results):
        where = (
            missing(results)
            if refused is None
            else f"full refusals of harmless prompts, {refused.task}, veneer beside aligned"
        )
        console.print(f"over-refusal: {where}")
        where = (
            no_discernment(results)
            if contrast is None
            else f"AUROC of harmful against harmless prompts of {contrast.task}, veneer beside "
            "aligned; 0.50 is chance"
        )
        console.print(f"discernment: {where}")
    others = list(
        dict.fromkeys(s for _, metric, _, s in rows if metric == "empty_rate" and s not in THREE)
    )
    if others:
        console.print()
        print_table(console, _systems(rows, [*THREE, *others]))
        console.print(
            "each system by task: value [95 % interval], in round brackets the portion: (system - "
            "base) / (aligned - base)"
        )
        for line in legend.systems(others):
            console.print(line)


def figure(row: Measurement | None) -> str:
    """A value with its interval in as few signs as say it."""
    if row is None:
        return ""
    if row.value is None:
        return "undefined"
    digits = ".0e" if abs(row.value) < 1e-3 and row.metric in GAINED else ".2f"
    limits = (
        ""
        if row.low is None or row.high is None
        else f" [{number(row.low, digits)}, {number(row.high, digits)}]"
    )
    return f"{number(row.value, digits)}{limits}"


def _three(rows, refused: OverRefusal | None, contrast: MeasuredContrast | None):
    from rich.table import Table

    from veneer.report.basis import in_clusters

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("task")
    table.add_column("metric")
    for name in ("n", *THREE, "portion or share", "discernment", "over-refusal"):
        table.add_column(name, justify="right")
    for task, metric in _lines(rows):
        three = [rows.get((task, metric, None, system)) for system in THREE]
        key = (
            (task, GAINED[metric], None, "veneer")
            if metric in GAINED
            else (task, "portion", metric, "veneer")
        )
        portion = rows.get(key)
        n = max((r.n for r in three if r is not None and r.split != "noise"), default=0)
        table.add_row(
            task,
            _metric_words(metric),
            f"{n}{in_clusters(r for r in three if r is not None and r.split != 'noise')}",
            *(figure(r) for r in three),
            figure(portion),
            *(
                _beside(task, metric, figures) if key in rows else ""
                for figures in (contrast, refused)
            ),
        )
    return table


def _beside(task: str, metric: str, figures: OverRefusal | MeasuredContrast | None) -> str:
    """What stands beside a figure of safety, of the veneer and of the aligned model: how often they
    refuse harmless prompts, or how well they tell these from harmful ones."""
    from veneer.report.over_refusal import is_safety

    if not is_safety(task, metric):
        return ""
    if figures is None:
        return "not measured"
    both = [figures.systems.get(s) for s in ("veneer", "aligned")]
    return " | ".join("-" if r is None or r.value is None else f"{r.value:.2f}" for r in both)


def _systems(rows, systems):
    """The layout of the paper's tables: one row per system, one column per task."""
    from rich.table import Table

    from veneer.report.basis import counted

    first: dict[str, str] = {}  # one headline per task, its most important one
    for task, metric, of, system in rows:
        if metric == "portion" and system == "veneer":
            first.setdefault(task, of)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("system")
    for task, metric in first.items():
        n = counted(rows.get((task, metric, None, s)) for s in systems)
        table.add_column(f"{task}\n{_metric_words(metric)}, n = {n}", justify="right")
    for system in systems:
        table.add_row(
            system, *(_cell(rows, task, metric, system) for task, metric in first.items())
        )
    return table


def _cell(rows, task: str, metric: str, system: str) -> str:
    row, portion = (
        rows.get((task, metric, None, system)),
        rows.get((task, "portion", metric, system)),
    )
    if row is None or row.value is None:
        return ""
    if portion is None or portion.value is None:
        return figure(row)
    return f"{figure(row)} ({portion.value:.2f})"


def _lines(rows) -> list[tuple[str, str]]:
    """(task, metric) in the order of the results: held-out figures, then each task's headlines,
    refusals and empty answers."""
    headlines = {(task, of) for task, metric, of, _ in rows if metric == "portion"}
    measured = [(task, metric) for task, metric, of, _ in rows if of is None]
    return [
        (task, metric)
        for task, metric in dict.fromkeys(measured)
        if (task, metric) in headlines
        or metric in ALWAYS
        or (task == "joint" and metric in HELD_OUT)
    ]


def _shown(rows) -> list[tuple]:
    """The keys of the rows in the table of three systems."""
    keys: list[tuple] = []
    for task, metric in _lines(rows):
        keys += [(task, metric, None, system) for system in THREE]
        keys.append((task, "portion", metric, "veneer"))
        if metric in GAINED:
            keys.append((task, GAINED[metric], None, "veneer"))
    return [key for key in keys if key in rows]


def _metric_words(metric: str) -> str:
    return NAMES.get(metric, metric.replace("_", " "))
