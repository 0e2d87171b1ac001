"""`--dry-run`: a command checks its input and says what it would do, and writes nothing.

Whoever would begin the work raises `DryRun` with the plan instead. Models are made without their
weights meanwhile (models/load.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

from veneer.foundation.stages import Stage

_models: ContextVar[list[dict[str, Any]] | None] = ContextVar("_models", default=None)
State = Literal["new", "interrupted", "finished"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a command would do.

    state: of its folder or file. seconds: of an interrupted run, by recorded stage. kept: what it
    has written, such as {"complete files of answers": 3}. models: those that were checked, with
    their size. costs: what else is known of the work, for people. unchecked: what only the run
    itself can check, by a word that `terminal/plan.py` has a sentence for.
    """

    command: str
    out: str
    state: State = "new"
    stages: tuple[Stage, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    kept: Mapping[str, int] = field(default_factory=dict)
    models: tuple[Mapping[str, Any], ...] = ()
    costs: Mapping[str, str] = field(default_factory=dict)
    writes: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


class DryRun(Exception):
    """The end of a dry run, with its plan."""

    def __init__(self, plan: Plan):
        super().__init__(plan.command)
        self.plan = plan


@contextlib.contextmanager
def dry_run(yes: bool = True) -> Iterator[None]:
    """Within the block, nothing is written and no weights are read, where `yes`."""
    token = _models.set([] if yes else None)
    try:
        yield
    finally:
        _models.reset(token)


def is_dry_run() -> bool:
    return _models.get() is not None


def note_model(name: str, model: Any) -> None:
    """Remember the size of a model that was made without its weights."""
    models = _models.get()
    facts = {
        "name": name,
        "architecture": type(model).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "bytes": sum(p.numel() * p.element_size() for p in model.parameters()),
    }
    if models is not None and facts not in models:
        models.append(facts)


def noted_models() -> tuple[Mapping[str, Any], ...]:
    """The models that the dry run has made so far."""
    return tuple(_models.get() or ())
