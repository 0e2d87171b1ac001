"""Writes the tables of docs/results.md and docs/results/*.md from the data in docs/results/data.

    python benchmarks/results_pages.py [--check]
    python benchmarks/results_pages.py --add NAME FOLDER

A page holds its tables between `<!-- table: KIND NAME -->` and `<!-- end -->`; only the lines
between are written. KIND `csv` shows data/NAME.csv cell by cell. Every other kind is a table of one
`veneer run`, made from data/NAME.jsonl: one line per measurement, with the fields of results.jsonl.
`--add` makes that file from a finished study folder. `--check` exits 1 if a page is out of date.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"
DATA = DOCS / "results" / "data"
# The fields of results.jsonl that a data file keeps.
KEPT = (
    "study",
    "task",
    "split",
    "system",
    "metric",
    "of",
    "position",
    "value",
    "low",
    "high",
    "n",
    "unit",
    "judge",
    "p",
    "note",
)
MARKED = re.compile(r"(<!-- table: (\S+) (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)

Row = dict[str, Any]


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    head = list(head)
    return [
        "| " + " | ".join(head) + " |",
        "|---" * len(head) + "|",
        *("| " + " | ".join(map(str, row)) + " |" for row in rows),
    ]


def figure(row: Row | None) -> str:
    """A value with its interval. A small KL needs an exponent, since three decimals
    would show zero."""
    if row is None:
        return ""
    value, low, high = row["value"], row.get("low"), row.get("high")
    if value is None:
        return "undefined"
    digits = ".1e" if row.get("unit") == "nats/token" and value and abs(value) < 1e-3 else ".3f"
    interval = "" if low is None or high is None else f" ({low:{digits}} to {high:{digits}})"
    return f"{value:{digits}}{interval}"


def unique(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def where(rows: list[Row], **fields: object) -> list[Row]:
    return [row for row in rows if all(row.get(name) == value for name, value in fields.items())]


def first(rows: list[Row], **fields: object) -> Row | None:
    return next(iter(where(rows, **fields)), None)


def behaviour(rows: list[Row]) -> list[str]:
    """One table per task and split: one row per system, one column per metric, each portion
    beside its metric."""
    lines: list[str] = []
    measured = [
        r for r in rows if r["study"] == "measure" and not r["metric"].startswith("difference_")
    ]
    for task, split in unique((r["task"], r["split"]) for r in measured):
        part = where(measured, task=task, split=split)
        headlines = unique(r["of"] for r in part if r["metric"] == "portion")
        others = [
            m for m in unique(r["metric"] for r in part) if m != "portion" and m not in headlines
        ]
        columns = [column for m in headlines for column in ((m, None), ("portion", m))] + [
            (m, None) for m in others
        ]
        cells = {(r["system"], r["metric"], r.get("of")): r for r in part}
        head = ["system", *(f"portion of {of}" if of else metric for metric, of in columns)]
        shown = [
            [system, *(figure(cells.get((system, *column))) for column in columns)]
            for system in unique(r["system"] for r in part)
        ]
        lines += [
            f"**{task}**, {split}, n = {max(r['n'] for r in part)}",
            "",
            *table(head, shown),
            "",
        ]
        lines += [f"{note}." for note in unique(r["note"] for r in part if r.get("note"))]
        judges = unique(f"{r['metric']}: {r['judge']}" for r in part if r.get("judge"))
        lines += [f"Judges: {', '.join(judges)}." if judges else "No judge.", ""]
    return lines[:-1]


def cross(rows: list[Row]) -> list[str]:
    """The portion of each task's own veneer on every task."""
    portions = [
        r
        for r in where(rows, metric="portion", split="test")
        if r["system"].startswith("veneer-from-")
    ]
    columns: dict[str, str] = {}
    for r in portions:
        columns.setdefault(r["task"], r["of"])
    shown = [
        [
            system.removeprefix("veneer-from-"),
            *(
                figure(first(portions, system=system, task=task, of=of))
                for task, of in columns.items()
            ),
        ]
        for system in unique(r["system"] for r in portions)
    ]
    return table(["extracted on", *(f"{task} ({of})" for task, of in columns.items())], shown)


def differences(rows: list[Row]) -> list[str]:
    paired = [r for r in rows if r.get("metric", "").startswith("difference_from_")]

    def cell(reference: str, task: str, of: str, system: str) -> str:
        row = first(paired, metric=f"difference_from_{reference}", task=task, of=of, system=system)
        return "" if row is None else f"{figure(row)}, {row['p']}"

    keys = unique((r["task"], r["of"], r["system"]) for r in paired)
    shown = [[*key, cell("base", *key), cell("aligned", *key)] for key in keys]
    return table(["task", "metric", "system", "minus base", "minus aligned"], shown)


def held_out(rows: list[Row]) -> list[str]:
    shown = []
    for r in where(rows, study="extract", metric="kl"):
        beside = [
            first(rows, study="extract", metric=m, task=r["task"], system=r["system"])
            for m in ("kl_recovered", "top1_agreement")
        ]
        name = "aligned against itself (noise floor)" if r["system"] == "aligned" else r["system"]
        shown.append([r["task"], name, figure(r), *map(figure, beside), r["n"]])
    return table(
        ["task", "system", "KL, nats per token", "share recovered", "top-1 agreement", "n"], shown
    )


def positions(rows: list[Row]) -> list[str]:
    placed = [r for r in where(rows, study="position", metric="kl") if r.get("position")]
    systems = unique(r["system"] for r in placed)
    shown = []
    for place in unique(tuple(r["position"]) for r in placed):
        here = [r for r in placed if tuple(r["position"]) == place]
        name = str(place[0]) if place[0] == place[1] else f"{place[0]} to {place[1]}"
        shown.append(
            [name, max(r["n"] for r in here), *(figure(first(here, system=s)) for s in systems)]
        )
    early = first(rows, study="position", metric="early_kl_share", system="base")
    lines = table(["response position", "n", *systems], shown)
    return [*lines, "", f"Share of base's KL in the first ten positions: {figure(early)}."]


def shifts(rows: list[Row]) -> list[str]:
    return table(
        ["metric", "system", "share"],
        ([r["metric"], r["system"], figure(r)] for r in where(rows, study="shift")),
    )


def tokens(rows: list[Row]) -> list[str]:
    def code(text: str) -> str:
        return (
            "`"
            + text.replace("\n", "↵").replace(" ", "␣").replace("|", "\\|").replace("`", "'")
            + "`"
        )

    shown = [
        [
            *(code(r[k]) for k in ("base", "veneer", "aligned")),
            r["count"],
            r["shift"],
            "yes" if r["restored"] else "no",
        ]
        for r in where(rows, study="token")
    ]
    return table(["base", "veneer", "aligned", "count", "class", "restored"], shown)


def time(rows: list[Row]) -> list[str]:
    machine = first(rows, study="machine")
    assert machine is not None, "the data has no line with study 'machine'"
    stages = [[r["stage"], f"{r['seconds']:.0f}"] for r in where(rows, study="time")]
    facts = (
        f"{machine['threads']} thread(s), {machine['processor']}, judges "
        f"{', '.join(machine['judges'])}."
    )
    return [
        *table(["stage", "seconds"], [*stages, ["all", f"{machine['seconds']:.0f}"]]),
        "",
        facts,
    ]


def headlines(rows: list[Row]) -> list[str]:
    """The first headline of each task: what base, veneer and aligned do, and the
    veneer's portion."""
    shown = []
    for task in unique(r["task"] for r in where(rows, metric="portion", split="test")):
        portion = first(rows, metric="portion", split="test", task=task, system="veneer")
        assert portion is not None, f"no portion of the veneer on {task}"
        cells = [
            first(rows, metric=portion["of"], split="test", task=task, system=s, study="measure")
            for s in ("base", "veneer", "aligned")
        ]
        judge = next((r["judge"] for r in cells if r and r.get("judge")), "none")
        shown.append(
            [f"{task}: {portion['of']}", portion["n"], *map(figure, cells), figure(portion), judge]
        )
    return table(["task and metric", "n", "base", "veneer", "aligned", "portion", "judge"], shown)


def distance(rows: list[Row]) -> list[str]:
    """The joint held-out KL of each system, with the noise floor."""
    return held_out(
        [
            r
            for r in rows
            if r.get("task") == "joint" and r.get("system") in ("base", "veneer", "aligned")
        ]
    )


KINDS: dict[str, Callable[[list[Row]], list[str]]] = {
    "behaviour": behaviour,
    "cross": cross,
    "differences": differences,
    "held-out": held_out,
    "positions": positions,
    "shifts": shifts,
    "tokens": tokens,
    "time": time,
    "headlines": headlines,
    "distance": distance,
}


def read(name: str) -> list[Row]:
    return [
        json.loads(line)
        for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").split("\n")
        if line
    ]


def cells(name: str) -> list[str]:
    with (DATA / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        head, *rows = [[cell.replace("|", "\\|") for cell in row] for row in csv.reader(stream)]
    return table(head, rows)


def wrapped(line: str) -> list[str]:
    """A line of prose in lines of 100 columns; a row of a table and an empty line stay whole."""
    if line.startswith("|"):
        return [line]
    return textwrap.wrap(line, 100, break_long_words=False, break_on_hyphens=False) or [line]


def filled(page: str) -> str:
    """The page with each marked table made anew from its data."""

    def made(match: re.Match[str]) -> str:
        opening, kind, name, closing = match.groups()
        lines = cells(name) if kind == "csv" else KINDS[kind](read(name))
        return (
            opening + "\n".join(piece for line in lines for piece in wrapped(line)) + "\n" + closing
        )

    return MARKED.sub(made, page)


def pages() -> list[Path]:
    return [DOCS / "results.md", *sorted((DOCS / "results").glob("*.md"))]


def out_of_date() -> list[Path]:
    return [page for page in pages() if (text := page.read_text(encoding="utf-8")) != filled(text)]


def rows_of(folder: Path) -> list[Row]:
    """The lines of a data file from a finished folder of `veneer run`."""
    lines: list[Row] = []
    results = [
        json.loads(line)
        for line in (folder / "results.jsonl").read_text(encoding="utf-8").split("\n")
        if line
    ]
    wanted = {"measure", "extract", "position", "shift"}
    for r in results:
        joint = r["study"] in ("measure", "extract") or r["task"] == "joint"
        if r["study"] not in wanted or not joint or (r.get("split") or "").startswith("group:"):
            continue
        if r["metric"].startswith("difference_"):
            p = (r.get("facts") or {}).get("adjusted_p")
            r["p"] = None if p is None else "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
        elif not (r["metric"] == "portion" and r["value"] is None):
            r["note"] = None
        lines.append({k: r[k] for k in KEPT if r.get(k) is not None or k == "value"})
    shifted = [
        json.loads(line)
        for line in (folder / "shifts.jsonl").read_text(encoding="utf-8").split("\n")
        if line
    ]
    for r in shifted[:12]:
        lines.append(
            {
                "study": "token",
                **{k: r[k] for k in ("base", "veneer", "aligned", "count", "shift", "restored")},
            }
        )
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    lines += [
        {"study": "time", "stage": stage, "seconds": seconds}
        for stage, seconds in run["seconds"].items()
    ]
    machine = {k: run["machine"][k] for k in ("threads", "processor")}
    lines.append(
        {
            "study": "machine",
            "seconds": sum(run["seconds"].values()),
            "judges": run.get("judges", []),
            **machine,
        }
    )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="exit 1 if a page is out of date; write nothing"
    )
    parser.add_argument(
        "--add",
        nargs=2,
        metavar=("NAME", "FOLDER"),
        help="make data/NAME.jsonl from a finished study folder",
    )
    given = parser.parse_args()
    if given.add:
        name, folder = given.add
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows_of(Path(folder)))
        (DATA / f"{name}.jsonl").write_text(text, encoding="utf-8")
    stale = out_of_date()
    for page in stale:
        print(f"{page.relative_to(DOCS.parent)}: {'out of date' if given.check else 'written'}")
        if not given.check:
            page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 1 if given.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
