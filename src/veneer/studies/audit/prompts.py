"""The prompts of an audit: a harmful and a harmless set, each from one source or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from veneer.foundation.errors import InputError
from veneer.foundation.reading.content import stem
from veneer.prompts.prompt import Prompt
from veneer.studies.audit.names import HARMFUL, HARMLESS
from veneer.tasks.source import load_prompts

LIMIT = 40  # prompts of each set: refusal rates of 0 and 1 then lie 0.91 apart at the least
DEFAULT: dict[str, tuple[str, ...]] = {HARMFUL: ("advbench",), HARMLESS: ("svamp", "truthfulqa")}
LAB: dict[str, tuple[str, ...]] = {HARMFUL: ("lab-requests",), HARMLESS: ("lab-harmless",)}


def default_sources(models: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The lab's tasks for a lab model (lab:NAME), otherwise AdvBench against SVAMP and TruthfulQA;
    test splits."""
    return LAB if any(name.startswith("lab:") for name in models) else DEFAULT


def prompt_sets(
    sources: dict[str, tuple[str, ...]], *, data: Path | None = None, limit: int = LIMIT
) -> dict[str, list[Prompt]]:
    """{"harmful": ..., "harmless": ...}, at most `limit` prompts each, shared out over a set's
    sources; a prompt's `task` is its set.

    A source is a task (its test split) or a prompt file. Raises InputError where one is missing or
    a set has fewer than 2 prompts.
    """
    if limit < 2:
        raise InputError(f"found --limit {limit}; expected 2 prompts of each set or more")
    sets: dict[str, list[Prompt]] = {}
    for role, names in sources.items():
        if not names:
            raise InputError(f"--{role} names no task and no prompt file; expected one of them")
        if len(set(names)) < len(names):
            raise InputError(f"--{role} {','.join(names)} names a source twice; name each once")
        shares = [limit // len(names) + (i < limit % len(names)) for i in range(len(names))]
        sets[role] = [
            replace(p, id=f"{stem(Path(name))}/{p.id}", task=role, cluster=_cluster(name, p))
            for name, share in zip(names, shares, strict=True)
            if share
            for p in load_prompts(name, data=data, split="test", limit=share)
        ]
        if len(sets[role]) < 2:
            raise InputError(
                f"found {len(sets[role])} {role} prompt in {', '.join(names)}; expected 2 or more"
            )
    return sets


def _cluster(source: str, prompt: Prompt) -> str | None:
    """The cluster of a prompt, whose name no other source can have."""
    return None if prompt.cluster is None else f"{stem(Path(source))}/{prompt.cluster}"
