"""The split by prompt: train for fitting, select for the ridge and stopping, report for the
figures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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
    def by_prompt(cls, numbers: Sequence[int], groups: Sequence[str], seed: int) -> Split:
        """Split the prompts of each group (task) alike, in an order that a hash of seed
        and number gives.

        Raises InputError for fewer than 3 prompts.
        """
        if len(numbers) < 3:
            raise InputError(
                f"found {len(numbers)} prompts; expected at least 3 (train, select, report): "
                "capture more"
            )
        parts: tuple[list[int], list[int], list[int]] = ([], [], [])
        for group in sorted(set(groups)):
            own = [n for n, g in zip(numbers, groups, strict=True) if g == group]
            own.sort(key=lambda n: hashlib.sha256(f"{seed}\0{n}".encode()).digest())
            tenth = max(round(len(own) / 10), 1 if len(own) >= 3 else 0)
            parts[1].extend(own[:tenth])
            parts[2].extend(own[tenth : 2 * tenth])
            parts[0].extend(own[2 * tenth :])
        for part in parts[1:]:
            if not part:
                part.append(parts[0].pop())
        few = (
            (
                f"only {len(numbers)} prompts: select and report hold {len(parts[1])} and "
                f"{len(parts[2])}"
            )
            if len(numbers) < 10
            else None
        )
        train, select, report = (tuple(sorted(p)) for p in parts)
        return cls(train, select, report, few)
