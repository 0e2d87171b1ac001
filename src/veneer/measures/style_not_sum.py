"""Where the veneer takes the style and misses the sum: the aligned model writes a figure, and the
veneer stays with base's other token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from veneer.capture.artefact import Capture
from veneer.foundation.results import Measurement
from veneer.measures import words
from veneer.measures.held_out import HeldOut
from veneer.measures.shifts import contexts

FIGURE = re.compile(r"\s*[$€£]?\d[\d.,]*%?\s*")
LEFT, NEXT = 48, 8  # tokens shown on either side


def numeric(table: HeldOut, tokenizer: Any) -> np.ndarray:
    """(N,) whether the aligned model's top token is a figure."""
    is_figure = cache(lambda token: bool(FIGURE.fullmatch(tokenizer.decode([token]))))
    return np.array([is_figure(t) for t in table.aligned_top.tolist()], dtype=bool)


def style_not_sum(
    table: HeldOut, capture: Capture, tokenizer: Any, limit: int = 100
) -> list[dict[str, Any]]:
    """Up to `limit` positions at which the aligned model's top token is numeric and base's =
    veneer's is another one: one of each prompt first, then the rest, and among them those with the
    largest KL(aligned || veneer) first.

    Rows: prompt_id, task, context (the response so far), base, veneer, aligned (top tokens),
    position (1-based), next (how the aligned model's answer continues).
    """
    missed = _missed(table, tokenizer)
    left = contexts(table, capture, tokenizer, missed, LEFT)
    responses = {r["number"]: r for r in capture.responses()}
    order = sorted(
        left,
        key=lambda i: (-float(table.kl_veneer[i]), int(table.prompt[i]), int(table.position[i])),
    )
    first = {int(table.prompt[i]): i for i in reversed(order)}
    order = [
        *(i for i in order if first[int(table.prompt[i])] == i),
        *(i for i in order if first[int(table.prompt[i])] != i),
    ]
    rows = []
    for i in order[:limit]:
        response, at = responses[int(table.prompt[i])], int(table.position[i]) - 1
        rows.append(
            {
                "prompt_id": response["prompt_id"],
                "task": response["task"],
                "context": left[i],
                "base": tokenizer.decode([int(table.base_top[i])]),
                "veneer": tokenizer.decode([int(table.veneer_top[i])]),
                "aligned": tokenizer.decode([int(table.aligned_top[i])]),
                "position": at + 1,
                "next": tokenizer.decode(response["token_ids"][at : at + NEXT]),
            }
        )
    return rows


def style_not_sum_rows(
    table: HeldOut, tokenizer: Any, *, task: str = "joint", seed: int = 0
) -> Iterator[Measurement]:
    """Shares of the tokens at which the aligned model writes a figure: `style_not_sum_rate`, where
    the veneer stays with base and both are wrong; `number_missed_rate`, where the veneer is wrong
    at all; and the same rate of base."""
    positions = np.ones(len(table.prompt), bool) if task == "joint" else table.of_tasks([task])
    figures = numeric(table, tokenizer) & positions
    if not figures.any():
        return
    for metric, system, wrong in (
        ("style_not_sum_rate", "veneer", _missed(table, tokenizer)),
        ("number_missed_rate", "veneer", table.veneer_top != table.aligned_top),
        ("number_missed_rate", "base", table.base_top != table.aligned_top),
    ):
        share = table.share(wrong, figures, seed=seed)
        count = int(figures.sum())
        yield Measurement.estimated(
            share,
            "shift",
            task,
            metric,
            system,
            split="report",
            unit="share",
            note=share.note or words.figure_tokens(count),
            facts={"figure_tokens": count},
        )


def _missed(table: HeldOut, tokenizer: Any) -> np.ndarray:
    return (
        numeric(table, tokenizer)
        & (table.base_top == table.veneer_top)
        & (table.veneer_top != table.aligned_top)
    )
