"""Token shifts: base's top token -> the veneer's -> the aligned model's, and whether the veneer restores it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from veneer import stats
from veneer.results import Measurement
from veneer.studies.heldout import HeldOut

CLASSES = ("unshifted", "marginal", "shifted")


def shift_classes(aligned: np.ndarray, base: np.ndarray, second: np.ndarray, third: np.ndarray) -> np.ndarray:
    """(N,) 0 unshifted: the aligned model's top token is base's; 1 marginal: it is base's second or third; 2 shifted
    (Lin et al. 2023, arXiv 2312.01552, which the paper follows)."""
    return np.where(aligned == base, 0, np.where((aligned == second) | (aligned == third), 1, 2))


def classes_of(found: HeldOut) -> np.ndarray:
    return shift_classes(found.aligned_top, found.base_top, found.base_second, found.base_third)


def shift_rows(found: HeldOut, *, task: str = "joint", seed: int = 0) -> Iterator[Measurement]:
    """Share of each class, and for shifted and for all changed positions the share at which the veneer restores the aligned
    model's token."""
    mask = np.ones(len(found.prompt), bool) if task == "joint" else found.of_tasks([task])
    if not mask.any():
        return
    kind = classes_of(found)
    for number, name in enumerate(CLASSES):
        share = stats.ratio_of_sums(*found.by_prompt((kind == number).astype(float), mask), seed=seed)
        yield Measurement.estimated(share, "shift", task, f"{name}_rate", "base", split="report", unit="share")
    for metric, part in (("restored_rate", kind == 2), ("restored_or_marginal_rate", kind >= 1)):
        if not (mask & part).any():
            continue
        hit = (found.veneer_top == found.aligned_top).astype(float)
        share = stats.ratio_of_sums(*found.by_prompt(hit, mask & part), seed=seed)
        yield Measurement.estimated(share, "shift", task, metric, "veneer", split="report", unit="share")


def shift_table(found: HeldOut, tokenizer: Any) -> list[dict[str, Any]]:
    """The kinds of shift with their counts, most frequent first; unshifted positions that the veneer leaves alone are not listed."""
    kind = classes_of(found)
    counts: Counter[tuple[int, int, int, int]] = Counter(
        zip(found.base_top.tolist(), found.veneer_top.tolist(), found.aligned_top.tolist(), kind.tolist(), strict=True)
    )

    def name(i: int) -> str:
        return tokenizer.decode([i])

    return [
        {"base": name(b), "veneer": name(v), "aligned": name(a), "count": n, "shift": CLASSES[k], "restored": v == a}
        for (b, v, a, k), n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if not b == v == a
    ]
