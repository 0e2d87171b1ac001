"""Prompts: what is asked of a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt.

    id: unique within its task or file. task: the task's name, or "prompts" for a prompt file.
    messages: chat turns (`{"role", "content"}`), what an aligned model reads through its chat template.
    plain: the text that a base model reads. reference: what the task needs to score an answer.
    """

    id: str
    messages: tuple[dict[str, str], ...]
    plain: str
    task: str = "prompts"
    reference: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_text(cls, id: str, text: str, *, plain: str | None = None, task: str = "prompts", **reference: Any) -> Prompt:
        """A one-turn prompt: the aligned model reads `text`, the base reads `plain` (by default the same text)."""
        return cls(id, ({"role": "user", "content": text},), text if plain is None else plain, task, reference)
