"""Extract and measure a veneer without any task: the `extract` and `position` and `shift` rows
of results.jsonl."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from veneer.capture.artefact import Capture
from veneer.foundation.files import json_lines, write_text
from veneer.foundation.results import Measurement
from veneer.head.config import ExtractConfig
from veneer.head.events import Log
from veneer.head.extract import extract, split_of
from veneer.head.token_sources import TokenSource
from veneer.head.veneer import Veneer
from veneer.measures import words
from veneer.measures.held_out import HeldOut, held_out
from veneer.measures.kl import early_share_rows, kl_rows, noise_rows, position_rows
from veneer.measures.nll import nll_position_rows, nll_rows
from veneer.measures.shifts import group_rows, shift_rows, shift_table
from veneer.measures.style_not_sum import style_not_sum, style_not_sum_rows


def extract_to(
    capture: Capture,
    config: ExtractConfig,
    out: Path,
    *,
    device: str | torch.device = "cpu",
    log: Log | None = None,
    start: Veneer | None = None,
    source: TokenSource | None = None,
) -> Veneer:
    """The veneer in `out`: read if it exists, otherwise extracted (see `extract` for start and
    source) and saved with its log."""
    if (out / "veneer.json").is_file():
        return Veneer.load(out)
    extraction = extract(capture, config, device=device, log=log, start=start, source=source)
    out.mkdir(parents=True, exist_ok=True)
    (out / "extract.log").write_text(
        "".join(json.dumps(event.to_json()) + "\n" for event in extraction.log), encoding="utf-8"
    )
    extraction.veneer.save(out)
    return extraction.veneer


def joint_rows(
    capture: Capture, veneer: Veneer, config: ExtractConfig, *, device: str | torch.device = "cpu"
) -> tuple[HeldOut, list[Measurement]]:
    """Held-out rows of the joint veneer, overall and by position, with shifts and noise floor.
    Where a teacher gave nothing but its responses, their likelihood takes the place of the KL
    (nll.py)."""
    split = split_of(capture, config.seed, config.tasks)
    table = held_out(capture, veneer, split.report, device=device)
    tasks = sorted(set(table.task.values()))
    if capture.one_hot:
        return table, list(_likelihood_rows(table, capture, tasks, config.seed))
    rows = [
        *kl_rows(table, seed=config.seed),
        *noise_rows(capture, study="extract"),
        *position_rows(table, seed=config.seed),
        *noise_position_rows(capture),
        *early_share_rows(table, tasks if len(tasks) > 1 else (), seed=config.seed),
        *early_share_rows(
            table, tasks if len(tasks) > 1 else (), system="veneer", seed=config.seed
        ),
        *_token_rows(table, capture, "joint", config.seed),
    ]
    if len(tasks) > 1:
        for task in tasks:
            rows += kl_rows(table, task=task, system="veneer-joint", seed=config.seed)
            rows += position_rows(table, task=task, seed=config.seed)
            rows += _token_rows(table, capture, task, config.seed)
    if note := capture.endpoint_note:
        rows = [replace(r, note=r.note or note) if r.study != "shift" else r for r in rows]
    return table, rows


def _likelihood_rows(
    table: HeldOut, capture: Capture, tasks: list[str], seed: int
) -> Iterator[Measurement]:
    for task in ("joint", *(tasks if len(tasks) > 1 else ())):
        yield from nll_rows(
            table, task=task, system="veneer" if task == "joint" else "veneer-joint", seed=seed
        )
        yield from nll_position_rows(table, task=task, seed=seed)
        for row in _token_rows(table, capture, task, seed):
            yield replace(
                row,
                note=row.note or words.ANSWER_IS_TOP,
            )


def _token_rows(table: HeldOut, capture: Capture, task: str, seed: int) -> Iterator[Measurement]:
    """Rows on the shifts: those the veneer restores, those it leaves, and the sums that it
    misses."""
    yield from shift_rows(table, task=task, seed=seed)
    yield from group_rows(table, capture, capture.tokenizer, task=task, seed=seed)
    yield from style_not_sum_rows(table, capture.tokenizer, task=task, seed=seed)


def write_tables(table: HeldOut, capture: Capture, out: Path) -> None:
    """shifts.jsonl and deep_examples.jsonl of a study folder."""
    write_text(out / "shifts.jsonl", json_lines(shift_table(table, capture.tokenizer, capture)))
    write_text(
        out / "deep_examples.jsonl", json_lines(style_not_sum(table, capture, capture.tokenizer))
    )


def noise_position_rows(capture: Capture) -> list[Measurement]:
    """The noise floor beside the KL by position: it is one figure, the same at every position."""
    return [
        replace(r, study="position")
        for r in noise_rows(capture, study="position")
        if r.metric == "kl"
    ]


def own_rows(
    capture: Capture,
    veneer: Veneer,
    task: str,
    config: ExtractConfig,
    *,
    device: str | torch.device = "cpu",
) -> list[Measurement]:
    """Held-out rows of a task's own veneer, on the report prompts of that task."""
    capture.need_distributions("a held-out KL")
    split = split_of(capture, config.seed, (task,))
    table = held_out(capture, veneer, split.report, device=device)
    return [
        *kl_rows(table, task=task, with_base=False, seed=config.seed),
        *noise_rows(capture, study="extract", task=task),
    ]


def control_rows(
    capture: Capture, veneer: Veneer, config: ExtractConfig, *, device: str | torch.device = "cpu"
) -> list[Measurement]:
    """Held-out rows of the head-capacity control, on the true hidden states."""
    capture.need_distributions("a held-out KL")
    split = split_of(capture, config.seed, config.tasks)
    table = held_out(capture, veneer, split.report, device=device)
    return [
        *kl_rows(table, system="shuffled", with_base=False, seed=config.seed),
        *position_rows(table, system="shuffled", with_base=False, seed=config.seed),
    ]
