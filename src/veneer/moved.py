"""Modules of Veneer 0.1 under their old names, so that programs which import them still run."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {  # old name -> new name, both below `veneer`
    "errors": "foundation.errors",
    "files": "foundation.files",
    "interrupts": "foundation.interrupts",
    "results": "foundation.results",
    "text": "foundation.text",
    "stats": "statistics.intervals",
    "resample": "statistics.bootstrap",
    "comparisons": "statistics.comparisons",
    "prompt_files": "prompts.files",
    "templates": "prompts.templates",
    "judges.agreement": "statistics.agreement",
    "judges.refusal_rates": "judges.refusal.rates",
    "studies.run": "studies.portion.study",
    "studies.config": "measures.config",
    "studies.heldout": "measures.held_out",
    "studies.kl": "measures.kl",
    "studies.shifts": "measures.shifts",
    "studies.behaviour": "measures.behaviour",
    "studies.extraction": "measures.extraction",
    "studies.stages": "foundation.run_record",
    "models.checkpoint.gguf": "models.gguf.write",
    "head.problem": "head.objective",
    "head.paper": "head.published_recipe",
    "capture.forcing": "capture.teacher_forcing",
    "capture.remote": "capture.teachers.endpoint",
}


class _Alias(Loader):
    """Loads the new module in the place of the old one."""

    def __init__(self, new: str):
        self.new = new

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(self.new)
        self.own_spec, self.own_loader = module.__spec__, module.__loader__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # importing has just given the module the old name's spec
        module.__spec__, module.__loader__ = self.own_spec, self.own_loader


class MovedModules(MetaPathFinder):
    """Finds an old name behind all others, with a DeprecationWarning that says the new one."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        new = MOVED.get(name.removeprefix("veneer.")) if name.startswith("veneer.") else None
        if new is None:
            return None
        warnings.warn(f"{name} is now veneer.{new}", DeprecationWarning, stacklevel=2)
        return ModuleSpec(name, _Alias(f"veneer.{new}"))


def install() -> None:
    """Put the finder behind Python's own, once."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(MovedModules())
