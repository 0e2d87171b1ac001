"""What a capture will cost, stated before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from veneer.capture.config import CaptureConfig
from veneer.capture.job import encode_base
from veneer.capture.teachers.teacher import Teacher
from veneer.models.device import DTYPES
from veneer.models.formats import Format
from veneer.models.language_model import LanguageModel
from veneer.prompts.prompt import Prompt


@dataclass(frozen=True, slots=True)
class CaptureEstimate:
    """Upper bounds, for responses of the greatest length; sizes are in bytes."""

    prompts: int
    prompt_tokens: int
    response_tokens: int
    disk: int
    memory: int

    def words(self) -> dict[str, str]:
        """For people."""
        return {
            "prompts": f"{self.prompts:,}",
            "prompt tokens": f"{self.prompt_tokens:,} (base and teacher)",
            "response tokens": f"{self.response_tokens:,} at most",
            "disk": f"{self.disk / 1e6:,.1f} MB at most",
            "memory": f"{self.memory / 1e6:,.0f} MB at most (the models, one batch, one shard)",
        }


def estimate(
    base: LanguageModel,
    teacher: Teacher,
    prompts: Sequence[Prompt],
    config: CaptureConfig,
    *,
    base_format: Format,
) -> CaptureEstimate:
    base_ids, lengths = (
        encode_base(base, base_format, prompts),
        teacher.lengths(teacher.inputs(prompts)),
    )
    width, size = base.head.width, teacher.size
    token_bytes = width * DTYPES[config.hidden_dtype].itemsize + config.k * (4 * 5) + 4 * 5
    most = len(base_ids) * config.sampling.max_new_tokens
    # a model may be base and teacher
    held = {id(p): p for lm in (base, *teacher.models) for p in lm.model.parameters()}
    weights = sum(p.numel() * p.element_size() for p in held.values())
    longest = max(lengths) + config.sampling.max_new_tokens
    batch = config.batch_size
    cache = sum(2 * batch * longest * lm.head.width * _layers(lm) * 4 for lm in teacher.models)
    shard = config.shard_batches * batch * config.sampling.max_new_tokens * token_bytes
    return CaptureEstimate(
        len(base_ids),
        sum(map(len, base_ids)) + sum(lengths),
        most,
        most * token_bytes + size * width * 4,
        weights + cache + 2 * shard + 6 * max(batch, 512) * size * 4,
    )


def _layers(lm: LanguageModel) -> int:
    return getattr(lm.config.get_text_config(decoder=True), "num_hidden_layers", 1)
