"""How well the rule that groups token shifts agrees with a reader: `python
benchmarks/shift_groups.py` writes docs/token-shifts.md.

`python benchmarks/shift_groups.py sample OUT` draws the sample that was read, without labels, from
the real pair (VENEER_PAIR, VENEER_DATA); about five minutes on one core.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from veneer.foundation.files import json_lines, write_text
from veneer.measures.shift_groups import ShiftGroup, group_of
from veneer.statistics.intervals import rate

HERE = Path(__file__).resolve().parent
LABELS = HERE.parent / "tests" / "studies" / "shift_labels.jsonl"
PAGE = HERE.parent / "docs" / "token-shifts.md"
TASKS = ("advbench", "svamp", "truthfulqa", "toxigen")
EACH, NEW_TOKENS = 60, 48  # prompts of a task's train part, and the longest answer
QUOTA = {"deep": 15, "veneer": 41}  # of a task
SIZE = 200


def sample(out: Path) -> None:
    """Shifts of the select and report parts of a capture of the real pair, by task and kind; each
    kind of shift behind the same words once. The first half served to tune the rule."""
    from pair_prompts import folder, load_pair
    from veneer.capture import CaptureConfig, capture
    from veneer.head.config import ExtractConfig
    from veneer.head.extract import extract, split_of
    from veneer.measures.held_out import held_out
    from veneer.models.decode import Sampling
    from veneer.tasks.registry import get_task

    data = folder("VENEER_DATA")
    prompts = [p for name in TASKS for p in get_task(name, data).prompts("train")[:EACH]]
    taken = capture(
        load_pair(), prompts, out / "capture", CaptureConfig(sampling=Sampling(NEW_TOKENS))
    )
    veneer = extract(taken, ExtractConfig()).veneer
    split = split_of(taken, 0)
    table = held_out(taken, veneer, sorted([*split.select, *split.report]))
    responses = {r["number"]: r for r in taken.responses()}
    decode = taken.tokenizer.decode
    rows = []
    for i in range(len(table.prompt)):
        base, moved, aligned = (
            int(x[i]) for x in (table.base_top, table.veneer_top, table.aligned_top)
        )
        response, at = responses[int(table.prompt[i])], int(table.position[i]) - 1
        ids = response["token_ids"]
        row = {
            "prompt_id": response["prompt_id"],
            "task": response["task"],
            "position": at + 1,
            "kind": "",
            "context": decode(ids[max(0, at - 16) : at]),
            "base": decode([base]),
            "veneer": decode([moved]),
            "aligned": decode([aligned]),
            "next": decode(ids[at : at + 6]),
        }
        rows += [{**row, "kind": "veneer"}] if moved != base else []
        rows += [{**row, "kind": "deep"}] if aligned not in (base, moved) else []
    chosen: list[dict[str, Any]] = []
    seen = set()
    order = np.random.default_rng(0).permutation(len(rows))
    for kind, quota in QUOTA.items():
        for task in TASKS:
            left = quota
            for row in (rows[i] for i in order):
                key = (row["base"], after(row), row["context"][-12:])
                if left and (row["kind"], row["task"]) == (kind, task) and key not in seen:
                    seen.add(key)
                    chosen.append(row)
                    left -= 1
    chosen = chosen[:SIZE]
    write_text(
        out / "sample.jsonl",
        json_lines(chosen[i] for i in np.random.default_rng(1).permutation(len(chosen))),
    )


def after(row: dict[str, Any]) -> str:
    return row["veneer"] if row["kind"] == "veneer" else row["aligned"]


def shown(hits: int, n: int) -> str:
    estimate = rate(hits, n)
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]" if n else "-"


def agreement(rows: list[dict[str, Any]]) -> str:
    """Accuracy, then precision and recall of each group, then the confusion table."""
    pairs = Counter((r["group"], group_of(r["base"], after(r), r["context"]).value) for r in rows)
    names = [g.value for g in ShiftGroup]
    hits = sum(pairs[g, g] for g in names)
    lines = [f"Accuracy {shown(hits, len(rows))}, {hits} of {len(rows)}.", ""]
    lines += ["| group | reader | rule | recall | precision |", "|---|---|---|---|---|"]
    for g in names:
        read, ruled = sum(pairs[g, h] for h in names), sum(pairs[h, g] for h in names)
        lines.append(
            f"| {g} | {read} | {ruled} | {shown(pairs[g, g], read)} | {shown(pairs[g, g], ruled)} |"
        )
    lines += [
        "",
        "| reader (rows), rule (columns) | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
    ]
    lines += [f"| {g} | " + " | ".join(str(pairs[g, h] or "") for h in names) + " |" for g in names]
    return "\n".join(lines)


def page() -> str:
    rows = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]
    parts = {name: [r for r in rows if r["part"] == name] for name in ("held-out", "tuned")}
    wrong = [
        (r, group_of(r["base"], after(r), r["context"]).value)
        for r in rows
        if group_of(r["base"], after(r), r["context"]) != r["group"]
    ]
    text = (HERE / "token_shifts_intro.md").read_text(encoding="utf-8").rstrip("\n")
    kinds = Counter(r["kind"] for r in rows)
    most = next(g for g, _ in Counter(r["group"] for r in parts["held-out"]).most_common(1))
    floor = sum(r["group"] == most for r in parts["held-out"])
    text += f"\n\n## The sample\n\n{len(rows)} shifts, {kinds['veneer']} that the veneer makes and "
    text += f"{kinds['deep']} that only the aligned model makes; "
    text += ", ".join(f"{n} of {t}" for t, n in sorted(Counter(r["task"] for r in rows).items()))
    text += (
        f". Always saying *{most}* would be right for {shown(floor, len(parts['held-out']))} of "
        "the held-out half.\n"
    )
    for name, title in (
        ("held-out", "The held-out half"),
        ("tuned", "The half on which the rule was tuned"),
    ):
        text += f"\n## {title}\n\n{agreement(parts[name])}\n"
    for kind, title in (
        ("veneer", "shifts that the veneer makes"),
        ("deep", "shifts that only the aligned model makes"),
    ):
        some = [r for r in parts["held-out"] if r["kind"] == kind]
        hits = sum(group_of(r["base"], after(r), r["context"]) == r["group"] for r in some)
        text += (
            f"\nIn the held-out half, {title}: {shown(hits, len(some))}, {hits} of {len(some)}.\n"
        )
    text += (
        "\n## All disagreements\n\n| to the left | from | to | reader | rule |\n"
        "|---|---|---|---|---|\n"
    )
    for r, group in wrong:
        cells = (r["context"][-40:], r["base"], after(r), r["group"], group)
        text += (
            "| "
            + " | ".join(json.dumps(c, ensure_ascii=False)[1:-1].replace("|", "\\|") for c in cells)
            + " |\n"
        )
    return text


if __name__ == "__main__":
    if sys.argv[1:2] == ["sample"] and len(sys.argv) == 3:
        sample(Path(sys.argv[2]))
    else:
        write_text(PAGE, page())
