"""The batch plan: which prompts are answered together, fixed before the work begins so that a
resumed run gives the same bytes."""

from __future__ import annotations

from collections.abc import Sequence

from veneer.foundation.errors import InputError


def batch_plan(
    lengths: Sequence[int], groups: Sequence[str], batch_size: int, shard_batches: int
) -> list[list[list[int]]]:
    """Shards of batches of prompt numbers, sorted by group (prompts that share a template) and
    length, so that little is padding and a batch's common beginning is read once."""
    order = sorted(range(len(lengths)), key=lambda i: (groups[i], lengths[i], i))
    batches: list[list[int]] = []
    for i in order:
        if batches and len(batches[-1]) < batch_size and groups[batches[-1][0]] == groups[i]:
            batches[-1].append(i)
        else:
            batches.append([i])
    return [batches[at : at + shard_batches] for at in range(0, len(batches), shard_batches)]


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
