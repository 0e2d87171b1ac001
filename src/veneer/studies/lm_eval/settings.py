"""The settings of an evaluation by lm-evaluation-harness."""

from __future__ import annotations

from dataclasses import dataclass

from veneer.foundation.errors import InputError


@dataclass(frozen=True, kw_only=True)
class LmEvalSettings:
    """How the harness asks its tasks."""

    include_path: str | None = None
    """Folder with more task files (*.yaml)."""
    limit: int | None = None
    """At most this many documents of each task. Default: all."""
    num_fewshot: int | None = None
    """Examples before each question. Default: the task's own number."""
    batch_size: int = 32
    """Prompts or continuations read together."""
    seed: int = 0
    """Seed for the few-shot examples, the sampling and the intervals."""

    def __post_init__(self) -> None:
        for name in ("limit", "batch_size"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError(f"--{name.replace('_', '-')} is {value}; expected 1 or more")
