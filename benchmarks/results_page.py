"""Writes docs/results.md from finished study folders.

    python benchmarks/results_page.py NAME=FOLDER [NAME=FOLDER ...] > docs/results.md

Words around the tables come from benchmarks/results_words.md, a section a study, so that figures
and text are kept apart.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from veneer.foundation.results import Measurement, Results

BESIDE = ("refusal_rate", "empty_rate")  # columns that every task gets beside its headlines


def figure(row: Measurement | None) -> str:
    if row is None:
        return ""
    if row.value is None:
        return "undefined"
    digits = ".1e" if abs(row.value) < 1e-3 and row.unit == "nats/token" and row.value else ".3f"
    limits = (
        f" ({row.low:{digits}} to {row.high:{digits}})"
        if row.low is not None and row.high is not None
        else ""
    )
    return f"{row.value:{digits}}{limits}"


def first(results: Results, **fields) -> Measurement | None:
    return next(iter(results.where(**fields)), None)


def behaviour(results: Results) -> list[str]:
    """A table a task and split: a row a system, a column a metric, portions
    beside the headlines."""
    lines: list[str] = []
    rows = [r for r in results if r.study == "measure"]
    for task, split in dict.fromkeys(
        (r.task, r.split) for r in rows if not (r.split or "").startswith("group:")
    ):
        part = [r for r in rows if (r.task, r.split) == (task, split)]
        headlines = list(dict.fromkeys(r.of for r in part if r.metric == "portion"))
        beside = [m for m in BESIDE if m not in headlines and any(r.metric == m for r in part)]
        systems = list(dict.fromkeys(r.system for r in part))
        n = max(r.n for r in part)
        head = [c for m in headlines for c in (m, f"portion of {m}")] + beside
        lines += [
            f"**{task}**, {split}, n = {n}",
            "",
            "| system | " + " | ".join(head) + " |",
            "|---" * (1 + len(head)) + "|",
        ]
        cell = {(r.system, r.metric, r.of): r for r in part}
        for system in systems:
            found = [
                c
                for m in headlines
                for c in (cell.get((system, m, None)), cell.get((system, "portion", m)))
            ]
            found += [cell.get((system, m, None)) for m in beside]
            lines.append(f"| {system} | " + " | ".join(map(figure, found)) + " |")
        notes = dict.fromkeys(
            r.note for r in part if r.metric == "portion" and r.value is None and r.note
        )
        judges = dict.fromkeys(
            f"{r.metric}: {r.judge}" for r in part if r.judge and r.metric in (*headlines, *BESIDE)
        )
        lines += [
            "",
            *(f"{note}." for note in notes),
            f"Judges: {', '.join(judges)}." if judges else "",
            "",
        ]
    return lines


def cross(results: Results) -> list[str]:
    """The portion of each task's own veneer on every task: extracted on X, measured on Y."""
    rows = [
        r
        for r in results.where(study="measure", metric="portion", split="test")
        if r.system.startswith("veneer-from-")
    ]
    if not rows:
        return ["Not measured."]
    first: dict[str, str | None] = {}
    for r in rows:
        first.setdefault(r.task, r.of)
    lines = [
        "| extracted on | " + " | ".join(f"{t} ({of})" for t, of in first.items()) + " |",
        "|---" * (1 + len(first)) + "|",
    ]
    for system in dict.fromkeys(r.system for r in rows):
        cells = [
            next((r for r in rows if (r.system, r.task, r.of) == (system, t, of)), None)
            for t, of in first.items()
        ]
        lines.append(
            f"| {system.removeprefix('veneer-from-')} | " + " | ".join(map(figure, cells)) + " |"
        )
    return lines


def differences(results: Results) -> list[str]:
    """Differences that stay after Holm, of the first headline of each task."""
    lines = ["| task | of | system | less base | less aligned |", "|---|---|---|---|---|"]
    rows = {
        (r.task, r.of, r.system, r.metric): r
        for r in results.where(study="measure", split="test")
        if r.metric.startswith("difference_")
    }
    for task, of, system in dict.fromkeys(key[:3] for key in rows):
        two = [rows.get((task, of, system, f"difference_from_{x}")) for x in ("base", "aligned")]
        said = [
            f"{figure(r)}, {(r.note or '').split(' after')[0]}" if r is not None else ""
            for r in two
        ]
        lines.append(f"| {task} | {of} | {system} | {said[0]} | {said[1]} |")
    return lines


def held_out(results: Results) -> list[str]:
    lines = [
        "| task | system | KL, nats a token | share recovered | top-1 agreement | n |",
        "|---|---|---|---|---|---|",
    ]
    for r in results.where(study="extract", metric="kl"):
        share = first(results, study="extract", task=r.task, metric="kl_recovered", system=r.system)
        top = first(results, study="extract", task=r.task, metric="top1_agreement", system=r.system)
        name = "aligned against itself (noise floor)" if r.system == "aligned" else r.system
        lines.append(
            f"| {r.task} | {name} | {figure(r)} | {figure(share)} | {figure(top)} | {r.n} |"
        )
    return lines


def positions(results: Results) -> list[str]:
    rows = results.where(study="position", task="joint", metric="kl", split="report")
    systems = list(dict.fromkeys(r.system for r in rows))
    lines = [
        "| response position | n | " + " | ".join(systems) + " |",
        "|---" * (2 + len(systems)) + "|",
    ]
    for place in dict.fromkeys(r.position for r in rows):
        found = {r.system: r for r in rows if r.position == place}
        a, b = place or (0, 0)
        n = max(r.n for r in found.values())
        lines.append(
            f"| {a if a == b else f'{a} to {b}'} | {n} | "
            + " | ".join(figure(found.get(s)) for s in systems)
            + " |"
        )
    early = first(results, metric="early_kl_share", task="joint", system="base")
    return [*lines, "", f"Share of base's KL in the first ten positions: {figure(early)}."]


def shifts(results: Results, folder: Path) -> list[str]:
    rates = [f"{r.metric} {figure(r)}" for r in results.where(study="shift", task="joint")]
    rows = [
        json.loads(line)
        for line in (folder / "shifts.jsonl").read_text(encoding="utf-8").split("\n")
        if line
    ][:12]
    lines = [
        "; ".join(rates) + ".",
        "",
        "| base | veneer | aligned | count | class | restored |",
        "|---|---|---|---|---|---|",
    ]

    def code(text: str) -> str:
        return (
            "`"
            + text.replace("\n", "↵").replace(" ", "␣").replace("|", "\\|").replace("`", "'")
            + "`"
        )

    for r in rows:
        three = " | ".join(code(r[k]) for k in ("base", "veneer", "aligned"))
        lines.append(
            f"| {three} | {r['count']} | {r['shift']} | {'yes' if r['restored'] else 'no'} |"
        )
    return lines


def facts(folder: Path) -> list[str]:
    run = json.loads((folder / "run.json").read_text())
    seconds = run["seconds"]
    lines = [
        "| stage | seconds |",
        "|---|---|",
        *(f"| {k} | {v:.0f} |" for k, v in seconds.items()),
        f"| all | {sum(seconds.values()):.0f} |",
    ]
    machine = run["machine"]
    return [
        *lines,
        "",
        (
            f"{machine['threads']} thread(s), {machine['processor']}, judge "
            f"{', '.join(run.get('judges', []))}."
        ),
    ]


def section(name: str, folder: Path, words: dict[str, str]) -> list[str]:
    results = Results.read(folder / "results.jsonl")
    parts = (
        ("Behaviour and portion", behaviour(results)),
        (
            "Cross table: portion of a veneer extracted on one task, measured on another",
            cross(results),
        ),
        ("Differences", differences(results)),
        ("Held-out distributions", held_out(results)),
        ("Where it sits: KL by response position", positions(results)),
        ("What it restyles: token shifts", shifts(results, folder)),
        ("Time", facts(folder)),
    )
    out = [f"## {name}", "", words.get(name, ""), ""]
    for title, lines in parts:
        out += [f"### {title}", "", *lines, ""]
    return out


def main() -> None:
    text = Path(__file__).with_name("results_words.md").read_text(encoding="utf-8")
    blocks = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    words = {
        name.strip(): body.strip() for name, body in zip(blocks[1::2], blocks[2::2], strict=True)
    }
    lines = [blocks[0].strip(), ""]
    for given in sys.argv[1:]:
        name, _, folder = given.partition("=")
        lines += section(name, Path(folder), words)
    lines += ["## Against other figures", "", words.get("Against other figures", "")]
    print("\n".join(lines).rstrip())


if __name__ == "__main__":
    main()
