"""The batch plan: which prompts are answered together, fixed before the work begins so that a
resumed run gives the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from veneer.foundation.errors import InputError
from veneer.models.prefix import common_prefix

Plan = list[list[list[int]]]  # shards of batches of prompt numbers


def batch_plan(
    rows: Sequence[Sequence[int]],
    lengths: Sequence[int],
    groups: Sequence[str],
    batch_size: int,
    shard_batches: int,
) -> Plan:
    """Shards of batches of prompt numbers. A batch holds prompts of one group (they share a
    template, so that its common beginning is read once) and of like length, so that little is
    padding. What is left of a group after its full batches shares one with other groups' rests,
    where that does not double what is read.

    rows: each prompt's token ids as base reads it. lengths: of each prompt as the teacher reads it.
    """
    order = sorted(range(len(lengths)), key=lambda i: (groups[i], lengths[i], i))
    batches: list[list[int]] = []
    for i in order:
        if batches and len(batches[-1]) < batch_size and groups[batches[-1][0]] == groups[i]:
            batches[-1].append(i)
        else:
            batches.append([i])
    full = [batch for batch in batches if len(batch) == batch_size]
    rests = [batch for batch in batches if len(batch) < batch_size]
    plan = full + _joined(rests, rows, batch_size)
    return [plan[at : at + shard_batches] for at in range(0, len(plan), shard_batches)]


def _joined(
    rests: Sequence[Sequence[int]], rows: Sequence[Sequence[int]], batch_size: int
) -> list[list[int]]:
    """Batches of whole rests: each joins the first batch that has room and in which at most twice
    as many tokens are read as in its parts."""

    def read(batch: Sequence[int]) -> int:
        """Tokens, with padding; the common beginning counts once."""
        ids = [rows[i] for i in batch]
        shared = common_prefix(ids)
        return shared + len(ids) * (max(map(len, ids)) - shared)

    batches: list[list[int]] = []
    alone: list[int] = []  # tokens that each batch's parts read
    for rest in sorted(rests, key=lambda batch: len(rows[batch[-1]])):
        own = read(rest)
        for at, batch in enumerate(batches):
            together = [*batch, *rest]
            if len(together) <= batch_size and read(together) <= 2 * (alone[at] + own):
                batches[at], alone[at] = together, alone[at] + own
                break
        else:
            batches.append(list(rest))
            alone.append(own)
    return batches


def whole_plan(plan: Any) -> Plan | None:
    """A stored plan, or None where it does not name each prompt once."""
    if not isinstance(plan, list) or not all(
        isinstance(shard, list) and all(isinstance(batch, list) for batch in shard)
        for shard in plan
    ):
        return None
    numbers = [n for shard in plan for batch in shard for n in batch]
    once = all(type(n) is int for n in numbers) and sorted(numbers) == list(range(len(numbers)))
    return plan if numbers and once else None


def check_lengths(
    lengths: Sequence[int], ids: Sequence[str], longest: int | None, max_new_tokens: int
) -> None:
    """Raise InputError where a prompt and its answer would not fit the model's context."""
    if longest is None:
        return
    for length, prompt_id in zip(lengths, ids, strict=True):
        if length + max_new_tokens > longest:
            raise InputError(
                f"prompt {prompt_id!r} has {length} tokens and may be answered with "
                f"{max_new_tokens}, but the model's context holds {longest}; shorten the prompt "
                "or give a smaller --max-new-tokens"
            )
