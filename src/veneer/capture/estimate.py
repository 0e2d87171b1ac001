"""What a capture will cost, stated before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from veneer.capture.config import HIDDEN_DTYPES, CaptureConfig
from veneer.models.pair import Pair


@dataclass(frozen=True, slots=True)
class Estimate:
    """Upper bounds: every response is taken to be as long as it may be. Bytes are bytes."""

    prompts: int
    prompt_tokens: int
    response_tokens: int
    disk: int
    memory: int

    def lines(self) -> list[str]:
        return [
            f"prompts          {self.prompts:,}",
            f"prompt tokens    {self.prompt_tokens:,} (both models)",
            f"response tokens  {self.response_tokens:,} at most",
            f"disk             {self.disk / 1e6:,.1f} MB at most",
            f"memory           {self.memory / 1e6:,.0f} MB at most (both models, one batch, one shard)",
        ]


def estimate(pair: Pair, base_ids: list[list[int]], aligned_ids: list[list[int]], config: CaptureConfig) -> Estimate:
    width, size = pair.base.head.width, pair.vocabulary.size
    token_bytes = width * HIDDEN_DTYPES[config.hidden_dtype].itemsize + config.k * (4 * 5) + 4 * 5
    most = len(base_ids) * config.sampling.max_new_tokens
    weights = sum(p.numel() * p.element_size() for lm in (pair.base, pair.aligned) for p in lm.model.parameters())
    longest = max(map(len, aligned_ids)) + config.sampling.max_new_tokens
    batch = config.batch_size
    layers = pair.aligned.config.get_text_config(decoder=True)
    cache = 2 * batch * longest * width * getattr(layers, "num_hidden_layers", 1) * 4
    shard = config.shard_batches * batch * config.sampling.max_new_tokens * token_bytes
    return Estimate(
        len(base_ids),
        sum(map(len, base_ids)) + sum(map(len, aligned_ids)),
        most,
        most * token_bytes + size * width * 4,
        weights + cache + 2 * shard + 6 * max(batch, 512) * size * 4,
    )
