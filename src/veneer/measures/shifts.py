"""Token shifts: base's top token -> the veneer's -> the aligned model's, and whether the
veneer restores it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from veneer.capture.artefact import Capture
from veneer.foundation.results import Measurement
from veneer.measures import words
from veneer.measures.held_out import HeldOut
from veneer.measures.shift_groups import (
    CONTEXT_TOKENS,
    ShiftGroup,
    deep_group,
    group_of,
    shift_group,
)

CLASSES = ("unshifted", "marginal", "shifted")


def shift_classes(
    aligned: np.ndarray, base: np.ndarray, second: np.ndarray, third: np.ndarray
) -> np.ndarray:
    """(N,) 0 unshifted: the aligned model's top token is base's; 1 marginal: it is base's second or
    third; 2 shifted (Lin et al. 2023, arXiv 2312.01552, which the paper follows)."""
    return np.where(aligned == base, 0, np.where((aligned == second) | (aligned == third), 1, 2))


def classes_of(table: HeldOut) -> np.ndarray:
    return shift_classes(table.aligned_top, table.base_top, table.base_second, table.base_third)


def shift_rows(table: HeldOut, *, task: str = "joint", seed: int = 0) -> Iterator[Measurement]:
    """Share of each class, and for shifted and for all changed positions the share at which the
    veneer restores the aligned model's token."""
    mask = np.ones(len(table.prompt), bool) if task == "joint" else table.of_tasks([task])
    if not mask.any():
        return
    kind = classes_of(table)
    for number, name in enumerate(CLASSES):
        share = table.share(kind == number, mask, seed=seed)
        yield Measurement.estimated(
            share, "shift", task, f"{name}_rate", "base", split="report", unit="share"
        )
    shifted = (("restored_rate", kind == 2), ("restored_or_marginal_rate", kind >= 1))
    for metric, positions in shifted:
        if not (mask & positions).any():
            continue
        hit = table.veneer_top == table.aligned_top
        share = table.share(hit, mask & positions, seed=seed)
        yield Measurement.estimated(
            share, "shift", task, metric, "veneer", split="report", unit="share"
        )


def shift_table(
    table: HeldOut, tokenizer: Any, capture: Capture | None = None
) -> list[dict[str, Any]]:
    """The kinds of shift with their counts, most frequent first; unshifted positions that the
    veneer leaves alone are not listed.

    With the capture, whose responses give the text to their left, kinds are separated by task and
    group too: `group` of the shift that is seen (base to veneer, or base to aligned where the
    veneer stays), `deep_group` where only the aligned model makes one.
    """
    kind = classes_of(table)
    moved = ~((table.base_top == table.veneer_top) & (table.base_top == table.aligned_top))
    left = contexts(table, capture, tokenizer, moved) if capture is not None else {}
    name = cache(lambda i: tokenizer.decode([i]))
    counts: Counter[tuple] = Counter()
    for i in np.flatnonzero(moved):
        ids = tuple(int(x[i]) for x in (table.base_top, table.veneer_top, table.aligned_top))
        before, veneer, aligned = (name(j) for j in ids)
        more: tuple = ()
        if capture is not None:
            context = left[int(i)]
            groups = (
                shift_group(before, veneer, aligned, context),
                deep_group(before, veneer, aligned, context),
            )
            more = (table.task[int(table.prompt[i])], *(g and g.value for g in groups))
        counts[(*ids, int(kind[i]), *more)] += 1
    rows = []
    for (b, v, a, k, *rest), n in sorted(
        counts.items(), key=lambda item: (-item[1], [str(x) for x in item[0]])
    ):
        row = {
            "base": name(b),
            "veneer": name(v),
            "aligned": name(a),
            "count": n,
            "shift": CLASSES[k],
            "restored": v == a,
        }
        rows.append(row | dict(zip(("task", "group", "deep_group"), rest, strict=False)))
    return rows


def contexts(
    table: HeldOut, capture: Capture, tokenizer: Any, mask: np.ndarray, tokens: int = CONTEXT_TOKENS
) -> dict[int, str]:
    """Place in `table` -> the text of up to `tokens` tokens of the response to its left, for the
    places in `mask`."""
    ids = {r["number"]: r["token_ids"] for r in capture.responses()}
    return {
        int(i): tokenizer.decode(
            ids[int(table.prompt[i])][
                max(0, int(table.position[i]) - 1 - tokens) : int(table.position[i]) - 1
            ]
        )
        for i in np.flatnonzero(mask)
    }


def group_rows(
    table: HeldOut, capture: Capture, tokenizer: Any, *, task: str = "joint", seed: int = 0
) -> Iterator[Measurement]:
    """Rows on the shifts that the veneer makes, and on those it leaves. System veneer:
    `moved_rate`, the share of tokens at which the veneer's top token is not base's, and of those
    the share of each group (`style_share`, ...). System aligned: `deep_rate`, the share of tokens
    that only the aligned model makes (neither base's nor the veneer's), and the groups' shares of
    those. `style_restored_rate`, ... (system veneer): of the aligned model's shifts away from base
    in a group, the share at which the veneer has its token."""
    positions = np.ones(len(table.prompt), bool) if task == "joint" else table.of_tasks([task])
    if not positions.any():
        return
    veneer_moves = table.veneer_top != table.base_top
    aligned_moves = table.aligned_top != table.base_top
    deep = aligned_moves & (table.aligned_top != table.veneer_top)
    to_veneer = _groups(table, table.veneer_top, veneer_moves & positions, capture, tokenizer)
    to_aligned = _groups(table, table.aligned_top, aligned_moves & positions, capture, tokenizer)
    common: dict[str, Any] = {"split": "report", "unit": "share"}
    for system, metric, moves, groups in (
        ("veneer", "moved_rate", veneer_moves, to_veneer),
        ("aligned", "deep_rate", deep, to_aligned),
    ):
        rate = table.share(moves, positions, seed=seed)
        yield Measurement.estimated(rate, "shift", task, metric, system, **common)
        if not (moves & positions).any():
            continue
        for group in ShiftGroup:
            share = table.share(groups == group.value, moves & positions, seed=seed)
            yield Measurement.estimated(
                share,
                "shift",
                task,
                f"{group.value}_share",
                system,
                note=words.SHIFT_GROUPS,
                **common,
            )
    hit = table.veneer_top == table.aligned_top
    for group in ShiftGroup:
        own = to_aligned == group.value
        if own.any():
            share = table.share(hit, own, seed=seed)
            yield Measurement.estimated(
                share,
                "shift",
                task,
                f"{group.value}_restored_rate",
                "veneer",
                note=words.SHIFT_GROUPS,
                **common,
            )


def _groups(
    table: HeldOut, after: np.ndarray, mask: np.ndarray, capture: Capture, tokenizer: Any
) -> np.ndarray:
    """(N,) the name of the group of base's token -> `after`, "" outside the mask."""
    out = np.full(len(after), "", dtype=object)
    for i, context in contexts(table, capture, tokenizer, mask).items():
        out[i] = group_of(
            tokenizer.decode([int(table.base_top[i])]), tokenizer.decode([int(after[i])]), context
        ).value
    return out
