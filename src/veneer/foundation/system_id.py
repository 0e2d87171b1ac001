"""A system's identity as data: its kind and its settings. Its name is only for display."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# kind -> how its name is written; a piece in brackets is left out without its setting. A kind
# outside this table is its own name.
NAMES = {
    "veneer-rank": "veneer-rank-{rank}",
    "veneer-from": "veneer-from-{task}",
    "lora": "lora-{answers}",
    "shifted": "shifted[-{alpha}]",
    "amplified": "amplified-{alpha}",
    "head": "head[-{alpha}][-rank-{rank}]",
    "own": "own[-{alpha}][-rank-{rank}]",
    "own-responses": "own-responses[-{alpha}][-rank-{rank}]",
    "patched-bottom": "bottom-{layers}",
    "patched-top": "top-{layers}",
    "patched-all": "all-{layers}",
    "random": "random-{examples}",
    "knn-prompt": "knn-prompt-{examples}",
    "knn-response": "knn-response-{examples}",
    "program": "program-{view}-{label}",
    "programs-of": "programs-{view}",
    "tuned": "tuned-{examples}",
    "tuned-control": "tuned-{examples}-{control}",
    "veneer-of-tuned": "veneer-of-tuned-{examples}",
}
NUMBERS = ("rank", "answers", "layers", "examples")  # settings that are whole numbers
VALUES = {**dict.fromkeys(NUMBERS, "[0-9]+"), "alpha": r"[+-]?\.?[0-9].*?"}  # how they are written
_PIECE = re.compile(r"\[([^\]{]*\{(\w+)\}[^\]]*)\]")


def _pattern(form: str) -> re.Pattern[str]:
    """The names that a form writes, with a group for each setting."""
    parts = re.split(r"([\[\]]|\{\w+\})", form)  # brackets, settings, and the texts between them
    signs = {"[": "(?:", "]": ")?"}
    settings = {x: f"(?P<{x[1:-1]}>{VALUES.get(x[1:-1], '.+')})" for x in parts if x[:1] == "{"}
    return re.compile("".join((signs | settings).get(x, re.escape(x)) for x in parts))


_PATTERNS = {kind: _pattern(form) for kind, form in NAMES.items()}


@dataclass(frozen=True, slots=True)
class SystemId:
    """A system's identity: two systems of one study are the same where kind and settings are.

    kind: "base", "veneer", "aligned", "lora", "shifted", ... settings: name -> text or number,
    such as rank 4.
    """

    kind: str
    settings: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, kind: str, **settings: Any) -> SystemId:
        return cls(kind, tuple(settings.items()))

    @classmethod
    def from_name(cls, name: str) -> SystemId:
        """The identity behind a name that a person typed, or that a folder of Veneer 0.1 holds:
        these keep names alone."""
        for kind, pattern in _PATTERNS.items():
            if match := pattern.fullmatch(name):
                values = {k: v for k, v in match.groupdict().items() if v is not None}
                return cls.of(kind, **{k: int(v) if k in NUMBERS else v for k, v in values.items()})
        return cls(name)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SystemId:
        """Raises ValueError where the value is no identity."""
        kind, settings = value.get("kind"), value.get("settings", {})
        if not isinstance(kind, str) or not isinstance(settings, Mapping):
            raise ValueError('system_id is not {"kind": text, "settings": {...}}')
        return cls.of(kind, **{str(k): v for k, v in settings.items()})

    @property
    def name(self) -> str:
        settings = dict(self.settings)
        form = NAMES.get(self.kind)
        if form is None:
            return self.kind
        form = _PIECE.sub(lambda piece: piece[1] if piece[2] in settings else "", form)
        return form.format(**settings)

    def get(self, setting: str) -> Any:
        """One of the settings, or None."""
        return dict(self.settings).get(setting)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, **({"settings": dict(self.settings)} if self.settings else {})}
