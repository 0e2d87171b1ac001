"""How a pair is captured, its veneer extracted and its answers drawn: settings that several studies
share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Self

from veneer.foundation.errors import SettingError
from veneer.foundation.settings import Option, check_least, refuse_unused
from veneer.head.config import ExtractConfig
from veneer.judges.config import JudgeConfig

if TYPE_CHECKING:
    from veneer.capture import CaptureConfig
    from veneer.models.sampling import Sampling
    from veneer.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """How prompts are captured, and how answers are drawn and compared."""

    # A command that does not use a setting nests a subclass, which declares the field again, hidden
    train_prompts: Annotated[int | None, Option(name="train")] = 200
    """Train prompts of each task, for the capture."""
    test_prompts: Annotated[int | None, Option(name="test")] = None
    """Test prompts of each task. Default: all."""
    max_new_tokens: int = 128
    """Longest answer, in tokens, in capture and measuring."""
    published: bool = False
    """Use the papers' limits on answers (512 new tokens) instead of --max-new-tokens, and each
    task's own template for base."""
    samples: int = 1
    """Answers per prompt; more than one needs --temperature."""
    temperature: float = 0.0
    """Sampling temperature of the measured answers; 0 is greedy."""
    k: int = 64
    """Log-probabilities kept per token; the rest of the mass is kept as one number."""
    batch_size: int = 32
    """Prompts answered together."""
    seed: int = 0
    """Seed for the split, the sampling and the intervals."""
    controls: bool = True
    """Controls beside every portion: base-chat, aligned-plain, base-no-empty and shuffled.
    --no-controls leaves them out."""
    baselines: Annotated[str, Option(metavar="A,B,...")] = ""
    """More systems to measure, separated by commas: urial and system-prompt (in context), lora-K
    (fine-tuned on K answers), bias and rank-R (smaller veneers), from-TASK (extracted on one task),
    all, or cross (from-TASK of every task)."""
    own: Annotated[bool, Option(hidden=True)] = True
    """Extract each task's own veneer too, where there are several tasks."""
    shown: Annotated[int, Option(hidden=True)] = 12
    """Prompts of each task in the report's response browser."""
    hidden_dtype: Annotated[str, Option(hidden=True)] = "float32"
    """Number type of the stored hidden states."""
    extraction: Annotated[ExtractConfig, Option(hidden=True)] = field(default_factory=ExtractConfig)
    """How veneers are extracted; its seed is replaced by `seed`."""
    judges: Annotated[JudgeConfig, Option(hidden=True)] = field(default_factory=JudgeConfig)
    """Who judges the answers."""

    def __post_init__(self) -> None:
        """Raises InputError for a number out of range."""
        check_least(self, 1, "train_prompts", "test_prompts", "max_new_tokens", "batch_size")
        check_least(self, 1, "k", "samples")
        if self.published:
            refuse_unused(self, "with --published", "max_new_tokens")
        check_least(self, 0, "seed")
        if not 0 <= self.temperature < math.inf:
            raise SettingError(
                "temperature",
                f"is {self.temperature}; expected a finite number: 0 (greedy) or more",
            )
        if self.samples > 1 and self.temperature == 0:
            raise SettingError(
                "samples",
                f"is {self.samples} at temperature 0, where all are equal; give --temperature, or "
                "one sample",
            )

    def limited(self, limit: int | None) -> Self:
        """The same with at most `limit` train and test prompts per task; None changes nothing."""
        if limit is None:
            return self
        if limit < 1:
            raise SettingError("limit", f"is {limit}; expected 1 or more")
        train = limit if self.train_prompts is None else min(self.train_prompts, limit)
        test = limit if self.test_prompts is None else min(self.test_prompts, limit)
        return replace(self, train_prompts=train, test_prompts=test)

    def capture_config(self, tasks: Sequence[Task]) -> CaptureConfig:
        """The settings of a capture of these tasks' train prompts."""
        from veneer.capture import CaptureConfig
        from veneer.models.sampling import Sampling

        longest = (
            max((t.published_max_new_tokens for t in tasks), default=self.max_new_tokens)
            if self.published
            else self.max_new_tokens
        )
        return CaptureConfig(
            self.k, self.hidden_dtype, self.batch_size, sampling=Sampling(longest, seed=self.seed)
        )

    def sampling(self, task: Task) -> Sampling:
        """How the answers to a task's test prompts are drawn."""
        from veneer.models.sampling import Sampling

        longest = (
            task.published_max_new_tokens
            if self.published
            else min(task.max_new_tokens, self.max_new_tokens)
        )
        return Sampling(longest, temperature=self.temperature, seed=self.seed)

    def facts(self) -> dict[str, Any]:
        """The settings as JSON, for run.json."""
        return {**asdict(self), "judges": self.judges.facts()}
