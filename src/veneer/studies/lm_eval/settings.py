"""The settings of an evaluation by lm-evaluation-harness."""

from __future__ import annotations

from dataclasses import dataclass

from veneer.foundation.settings import check_least


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
        check_least(self, 1, "limit", "batch_size")
        check_least(self, 0, "num_fewshot", "seed")
