"""What decides a file of answers: settings, prompts and models, so that only the same call goes
on with it or reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from veneer.foundation.files import sha256_text
from veneer.models.computation import COMPUTATION, check_unchanged, computations
from veneer.prompts.prompt import Prompt
from veneer.systems.system import Answering

SETTINGS = "settings"


@dataclass(frozen=True)
class Stamp:
    """settings: hash of all that must be equal, without the places where the models lie. earlier:
    the hash that earlier versions wrote. computation: what the models compute, by their parts."""

    settings: str
    earlier: str | None = None
    computation: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, system: Answering, prompts: Sequence[Prompt], request: Sequence[Any]) -> Stamp:
        """request: what decides the answers beside the system, as JSON."""
        models, facts = getattr(system, "models", {}), system.facts()
        read = system.encode(prompts) if models else None  # type: ignore[attr-defined]
        return cls(
            _hash([_without_places(facts), *request, read]),
            _hash([facts, *request]),
            computations(models),
        )

    def facts(self) -> dict[str, Any]:
        """As it is recorded."""
        more = {COMPUTATION: dict(self.computation)} if self.computation else {}
        return {SETTINGS: self.settings, **more}

    def fits(self, recorded: Any) -> bool:
        """Whether a record is of the same settings, of this version or an earlier one."""
        known = recorded.get(SETTINGS) if isinstance(recorded, dict) else None
        return known is not None and known in (self.settings, self.earlier)

    def check_models(self, out: Path, recorded: Mapping[str, Any]) -> None:
        """Raise InputError where the models compute something else than when `out` was made."""
        check_unchanged(out, recorded.get(COMPUTATION), self.computation)


def _hash(parts: Sequence[Any]) -> str:
    return sha256_text(json.dumps(parts, ensure_ascii=False))


def _without_places(facts: Any) -> Any:
    """A system's facts without the names of models that a fingerprint identifies: a name is the
    place where a model lies."""
    if isinstance(facts, dict):
        left = {"model"} if "fingerprint" in facts else set()
        return {k: _without_places(v) for k, v in facts.items() if k not in left}
    return [_without_places(v) for v in facts] if isinstance(facts, list) else facts
