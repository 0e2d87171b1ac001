"""Ids that are numbers: of answers from 1 on, and of prompts from 0 on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from veneer.foundation.errors import InputError


def check_numbers(answered: Iterable[str], prompts: Sequence[str], source: object) -> None:
    """Raise InputError where the ids of answers without their prompts count from 1, and those of
    the prompts, which are their numbers, from 0: each answer would belong to the prompt behind its
    own. answered, prompts: ids. source: the file of the answers."""
    ids = set(answered)
    if list(prompts) != [str(n) for n in range(len(prompts))] or "0" in ids or "1" not in ids:
        return
    if all(i.isascii() and i.isdigit() for i in ids) and max(map(int, ids)) >= len(prompts):
        raise InputError(
            f"{source} has answers without their prompts, with ids from 1 to {max(map(int, ids))}, "
            f"and the prompts have no ids but their numbers from 0 to {len(prompts) - 1}: each "
            "answer would belong to the prompt behind its own; give the prompts the ids of the "
            "answers, as a column id"
        )
