"""The split by prompt: train for fitting, select for the ridge and stopping, report for the
figures."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from veneer.foundation.errors import InputError


@dataclass(frozen=True, slots=True)
class Split:
    """Prompt numbers of each part, 80 / 10 / 10, at least one each, also of each group of 3 or
    more. warning: a sentence where the parts are tiny."""

    train: tuple[int, ...]
    select: tuple[int, ...]
    report: tuple[int, ...]
    warning: str | None = None

    @classmethod
    def by_prompt(
        cls,
        numbers: Sequence[int],
        groups: Sequence[str],
        seed: int,
        clusters: Sequence[Hashable] | None = None,
    ) -> Split:
        """Split the prompts of each group (task) alike, in an order that a hash of seed
        and number gives.

        clusters: one id per prompt (prompts/clusters.py); without them each prompt stands by
        itself. A cluster stands whole in one part, that of the group of its first prompt. Those
        that hold more than two tenths of a group's prompts are train, as long as there are others.
        Raises InputError for fewer than 3 prompts, and for a group of 3 or more prompts in fewer
        than 3 clusters.
        """
        if len(numbers) < 3:
            raise InputError(
                f"found {len(numbers)} prompts; expected at least 3 (train, select, report): "
                "capture more"
            )
        units: dict[Hashable, tuple[str, list[int]]] = {}
        for n, group, cluster in zip(numbers, groups, clusters or numbers, strict=True):
            units.setdefault(cluster, (group, []))[1].append(n)
        splits: tuple[list[int], list[int], list[int]] = ([], [], [])
        for group in sorted({group for group, _ in units.values()}):
            whole = [own for of, own in units.values() if of == group]
            for chosen, own in zip(splits, _divide(group, whole, seed), strict=True):
                chosen.extend(own)
        for chosen in splits[1:]:
            if not chosen:
                chosen.append(splits[0].pop())
        few = (
            (
                f"found {len(numbers)} prompts for a veneer, fewer than 10: its select and "
                f"report splits have {len(splits[1])} and {len(splits[2])}"
            )
            if len(numbers) < 10
            else None
        )
        train, select, report = (tuple(sorted(p)) for p in splits)
        return cls(train, select, report, few)


def _divide(group: str, units: list[list[int]], seed: int) -> tuple[list[int], ...]:
    """Divide a group's units, each of prompts that stay together, into train, select and report."""
    size = sum(map(len, units))
    tenth = max(round(size / 10), 1 if size >= 3 else 0)
    if size >= 3 and len(units) < 3:
        raise InputError(
            f"found {len(units)} clusters or different texts in the {size} train prompts of "
            f"{group}; expected 3 or more, since prompts of one cluster or text stand together in "
            "train, select or report: capture more"
        )
    units.sort(key=lambda u: (len(u) > 2 * tenth, _hash(seed, u[0])))
    select, at = _taken(units, 0, tenth, leave=2)
    report, at = _taken(units, at, tenth, leave=1)
    return [n for unit in units[at:] for n in unit], select, report


def _taken(units: list[list[int]], at: int, wanted: int, *, leave: int) -> tuple[list[int], int]:
    """Return the prompts of the units from `at` on, until there are `wanted` prompts or `leave`
    units are left, and the place behind them."""
    taken: list[int] = []
    while len(taken) < wanted and len(units) - at > leave:
        taken += units[at]
        at += 1
    return taken, at


def _hash(seed: int, number: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{number}".encode()).digest()
