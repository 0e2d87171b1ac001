"""Writes docs/results.md from finished study folders.

    python benchmarks/results_page.py NAME=FOLDER [NAME=FOLDER ...] > docs/results.md

Words around the tables come from benchmarks/results_words.md, a section a study, so that figures and text are kept apart.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from veneer.results import Measurement, Results

SYSTEMS = ("base", "veneer", "aligned", "base-chat", "aligned-plain", "base-no-empty", "shuffled")
METRICS = ("accuracy", "accuracy_strict", "refusal_rate", "partial_refusal_rate", "empty_rate")


def figure(row: Measurement | None) -> str:
    if row is None:
        return ""
    if row.value is None:
        return "undefined"
    digits = ".1e" if abs(row.value) < 1e-3 and row.unit == "nats/token" and row.value else ".3f"
    limits = f" ({row.low:{digits}} to {row.high:{digits}})" if row.low is not None and row.high is not None else ""
    return f"{row.value:{digits}}{limits}"


def first(results: Results, **fields) -> Measurement | None:
    return next(iter(results.where(**fields)), None)


def behaviour(results: Results) -> list[str]:
    lines = ["| task | metric | split | n | " + " | ".join(SYSTEMS) + " |", "|---" * (4 + len(SYSTEMS)) + "|"]
    for task, metric, split in dict.fromkeys(
        (r.task, r.metric, r.split) for r in results.where(study="measure") if r.metric in METRICS
    ):
        found = [first(results, study="measure", task=task, metric=metric, split=split, system=s) for s in SYSTEMS]
        n = next(r.n for r in found if r is not None)
        lines.append(f"| {task} | {metric} | {split} | {n} | " + " | ".join(map(figure, found)) + " |")
    return lines


def portions(results: Results) -> list[str]:
    names = [s for s in SYSTEMS if s not in ("base", "aligned")]
    lines = ["| task | of | split | n | " + " | ".join(names) + " |", "|---" * (4 + len(names)) + "|"]
    for task, of, split in dict.fromkeys((r.task, r.of, r.split) for r in results.where(metric="portion")):
        found = [first(results, metric="portion", task=task, of=of, split=split, system=s) for s in names]
        n = next(r.n for r in found if r is not None)
        lines.append(f"| {task} | {of} | {split} | {n} | " + " | ".join(map(figure, found)) + " |")
        notes = {r.note for r in found if r is not None and r.value is None}
        lines += [f"| | | | | {note} |" + " |" * (len(names) - 1) for note in sorted(filter(None, notes))]
    return lines


def held_out(results: Results) -> list[str]:
    lines = ["| task | system | KL, nats a token | share recovered | top-1 agreement | n |", "|---|---|---|---|---|---|"]
    for r in results.where(study="extract", metric="kl"):
        share = first(results, study="extract", task=r.task, metric="kl_recovered", system=r.system)
        top = first(results, study="extract", task=r.task, metric="top1_agreement", system=r.system)
        name = "aligned against itself (noise floor)" if r.system == "aligned" else r.system
        lines.append(f"| {r.task} | {name} | {figure(r)} | {figure(share)} | {figure(top)} | {r.n} |")
    return lines


def positions(results: Results) -> list[str]:
    lines = ["| response position | base | veneer | shuffled | n |", "|---|---|---|---|---|"]
    for r in results.where(study="position", task="joint", metric="kl", system="base"):
        others = [
            first(results, study="position", task="joint", metric="kl", system=s, position=r.position)
            for s in ("veneer", "shuffled")
        ]
        a, b = r.position or (0, 0)
        lines.append(f"| {a if a == b else f'{a} to {b}'} | {figure(r)} | {' | '.join(map(figure, others))} | {r.n} |")
    early = first(results, metric="early_kl_share", task="joint")
    return [*lines, "", f"Share of base's KL in the first ten positions: {figure(early)}."]


def shifts(results: Results, folder: Path) -> list[str]:
    rates = [f"{r.metric} {figure(r)}" for r in results.where(study="shift", task="joint")]
    rows = [json.loads(line) for line in (folder / "shifts.jsonl").read_text(encoding="utf-8").split("\n") if line][:12]
    lines = ["; ".join(rates) + ".", "", "| base | veneer | aligned | count | class | restored |", "|---|---|---|---|---|---|"]

    def code(text: str) -> str:
        return "`" + text.replace("\n", "↵").replace(" ", "␣").replace("|", "\\|").replace("`", "'") + "`"

    for r in rows:
        three = " | ".join(code(r[k]) for k in ("base", "veneer", "aligned"))
        lines.append(f"| {three} | {r['count']} | {r['shift']} | {'yes' if r['restored'] else 'no'} |")
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
    return [*lines, "", f"{machine['threads']} thread(s), {machine['processor']}, judge {', '.join(run.get('judges', []))}."]


def section(name: str, folder: Path, words: dict[str, str]) -> list[str]:
    results = Results.read(folder / "results.jsonl")
    parts = (
        ("Portion", portions(results)),
        ("Behaviour", behaviour(results)),
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
    words = {name.strip(): body.strip() for name, body in zip(blocks[1::2], blocks[2::2], strict=True)}
    lines = [blocks[0].strip(), ""]
    for given in sys.argv[1:]:
        name, _, folder = given.partition("=")
        lines += section(name, Path(folder), words)
    lines += ["## Against other figures", "", words.get("Against other figures", "")]
    print("\n".join(lines).rstrip())


if __name__ == "__main__":
    main()
