"""The settings of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from veneer.capture import CaptureConfig
from veneer.foundation.errors import InputError
from veneer.head.config import ExtractConfig
from veneer.judges.config import JudgeConfig
from veneer.models.decode import Sampling
from veneer.tasks.task import Task


@dataclass(frozen=True, slots=True)
class StudyConfig:
    """train_prompts, test_prompts: of each task (None: all). max_new_tokens: of the capture, and
    the most of any task's answers unless `published`. controls: measure contract.md's controls too.
    baselines: other systems beside them, as `baselines.parse_baselines` reads them. samples,
    temperature: answers a prompt and how they are drawn (0: greedy, one). shown: prompts of each
    task in the report's response browser."""

    train_prompts: int | None = 200
    test_prompts: int | None = None
    max_new_tokens: int = 128
    published: bool = False
    batch_size: int = 32
    controls: bool = True
    own: bool = True
    baselines: str = ""
    samples: int = 1
    temperature: float = 0.0
    shown: int = 12
    k: int = 64
    hidden_dtype: str = "float32"
    seed: int = 0
    extraction: ExtractConfig = field(default_factory=ExtractConfig)
    judges: JudgeConfig = field(default_factory=JudgeConfig)

    def __post_init__(self) -> None:
        for name in (
            "train_prompts",
            "test_prompts",
            "max_new_tokens",
            "batch_size",
            "k",
            "samples",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                what = name + " (--limit, --train)" if name.endswith("prompts") else name
                raise InputError(f"{what} is {value}; expected 1 or more")
        if self.temperature < 0:
            raise InputError(f"temperature is {self.temperature}; expected 0 (greedy) or more")
        if self.samples > 1 and self.temperature == 0:
            raise InputError(
                f"samples is {self.samples} at temperature 0, where all are equal; give "
                "--temperature, or one sample"
            )

    def capture_config(self, tasks: Sequence[Task]) -> CaptureConfig:
        longest = (
            max((t.published_max_new_tokens for t in tasks), default=self.max_new_tokens)
            if self.published
            else self.max_new_tokens
        )
        return CaptureConfig(
            self.k, self.hidden_dtype, self.batch_size, sampling=Sampling(longest, seed=self.seed)
        )

    def sampling(self, task: Task) -> Sampling:
        longest = (
            task.published_max_new_tokens
            if self.published
            else min(task.max_new_tokens, self.max_new_tokens)
        )
        return Sampling(longest, temperature=self.temperature, seed=self.seed)

    def facts(self) -> dict[str, Any]:
        return {**asdict(self), "judges": self.judges.facts()}
