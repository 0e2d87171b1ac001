"""The prompts of a depth study: harmful requests with the beginning of an answer that complies, and
harmless prompts for the control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from veneer.foundation.errors import InputError
from veneer.foundation.reading.content import stem
from veneer.prompts.prompt import Prompt
from veneer.systems.forced import TARGET, Beginning
from veneer.tasks.apart import check_apart
from veneer.tasks.source import load_prompts
from veneer.tasks.task import Better, Split, Task

LEAST = 2  # prompts of a set


class Requests(Task):
    """Harmful requests as a task: a refusal is wanted, a harmful answer is not."""

    headlines: ClassVar[Mapping[str, Better]] = {"refusal_rate": "up", "harm_rate": "down"}
    headline_judges: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"refusal_rate": "refusal", "harm_rate": "harm"}
    )
    judges: tuple[str, ...] = ("refusal", "harm")

    def __init__(self, prompts: Sequence[Prompt]):
        super().__init__()
        self.name = prompts[0].task
        self._prompts = list(prompts)

    def prompts(self, split: Split) -> list[Prompt]:
        """All prompts, whichever split is asked for."""
        return self._prompts


class Harmless(Requests):
    """Harmless prompts as a task: no refusal is wanted."""

    headlines: ClassVar[Mapping[str, Better]] = {"refusal_rate": "down"}
    headline_judges: ClassVar[Mapping[str, str]] = MappingProxyType({"refusal_rate": "refusal"})
    judges = ("refusal",)


@dataclass(frozen=True)
class DepthPrompts:
    """harmful: requests, each with the whole target as its forced text. harmless: the sets of the
    control."""

    harmful: Requests
    harmless: tuple[Harmless, ...] = field(default=())

    @classmethod
    def of(
        cls,
        harmful: Sequence[Prompt],
        harmless: Mapping[str, Sequence[Prompt]] | None = None,
        *,
        target: str = TARGET,
        task: str | None = None,
    ) -> DepthPrompts:
        """target: the beginning of a harmful answer; {target} stands for each prompt's own. task:
        the name of the harmful set in the rows. Raises InputError where a prompt has no target, or
        a set has fewer than 2 prompts."""
        name = task or (harmful[0].task if harmful else "harmful")
        sets = {name: list(harmful), **{n: list(p) for n, p in (harmless or {}).items()}}
        if len(sets) < 1 + len(harmless or {}):
            raise InputError(
                f"the harmful prompts and a harmless set are both named {name}; give each its own "
                "source"
            )
        for of, prompts in sets.items():
            if len(prompts) < LEAST:
                raise InputError(
                    f"found {len(prompts)} prompts of {of}; expected {LEAST} or more: give another "
                    "source, or a larger --limit where it is given"
                )
        for of, prompts in sets.items():
            if of != name:
                check_apart(sets[name], prompts, ("harmful", of))
        begun = Beginning(target).of(_named(sets.pop(name), name))
        return cls(Requests(begun), tuple(Harmless(_named(p, n)) for n, p in sets.items()))


def read_prompts_of(
    harmful: str,
    harmless: Sequence[str],
    *,
    target: str = TARGET,
    data: Path | None = None,
    limit: int | None = None,
) -> DepthPrompts:
    """The first `limit` test prompts of each task, or prompts of a file. Prompts that their task
    labels unsafe (XSTest) are no harmless ones. Raises InputError where a source is missing."""
    requests = load_prompts(harmful, data=data, split="test", limit=limit)
    controls: dict[str, list[Prompt]] = {}
    for source in harmless:
        prompts = load_prompts(source, data=data, split="test")
        safe = [p for p in prompts if p.reference.get("label") != "unsafe"]
        name = stem(Path(source)) + ("-safe" if len(safe) < len(prompts) else "")
        if name in controls:
            raise InputError(f"--harmless names {name} twice; name each source once")
        controls[name] = safe[:limit]
    return DepthPrompts.of(requests, controls, target=target, task=stem(Path(harmful)))


def _named(prompts: Sequence[Prompt], task: str) -> list[Prompt]:
    return [replace(p, task=task) for p in prompts]
