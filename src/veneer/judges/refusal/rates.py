"""The refusal judge behind the interface of judges: the share of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from veneer.foundation.progress import Progress
from veneer.judges.config import JudgeConfig
from veneer.judges.judge import Scores
from veneer.judges.refusal.judge import Refusal, RefusalJudge
from veneer.prompts.prompt import Prompt


class RefusalRates:
    """refusal_rate counts full refusals, partial_refusal_rate partial ones; an empty
    answer is neither."""

    name = "refusal"
    metrics: ClassVar[Mapping[str, str]] = {
        "refusal_rate": "share",
        "partial_refusal_rate": "share",
    }
    note = "accuracy on human labels: docs/refusal-judge.md"

    def __init__(self, config: JudgeConfig | None = None) -> None:
        """config: not used; this judge has no settings."""
        self._judge = RefusalJudge()
        self.id = self._judge.id

    def scores(
        self, prompts: Sequence[Prompt], texts: Sequence[str], progress: Progress | None = None
    ) -> list[Scores]:
        questions = [p.messages[-1]["content"] for p in prompts]
        return [
            {
                "refusal_rate": float(v is Refusal.FULL),
                "partial_refusal_rate": float(v is Refusal.PARTIAL),
            }
            for v in self._judge.judge_many(texts, questions)
        ]
