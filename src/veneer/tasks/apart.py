"""Two sets of prompts that must share none, such as harmful and harmless requests."""

from __future__ import annotations

from collections.abc import Iterable

from veneer.foundation.errors import InputError
from veneer.prompts.prompt import Prompt
from veneer.tasks.train_prompts import same_text


def check_apart(one: Iterable[Prompt], other: Iterable[Prompt], names: tuple[str, str]) -> None:
    """Raise InputError where a request is in both sets: it would be counted as both kinds. names:
    of the two kinds."""
    first, second = (dict.fromkeys(same_text(p.text) for p in own) for own in (one, other))
    shared = [text for text in first if text in second]
    if shared:
        raise InputError(
            f"{len(shared)} of the {len(first)} {names[0]} prompts are {names[1]} prompts too, "
            f"such as {shared[0][:60]!r}; leave each prompt out of one of the two sets"
        )
