"""Two models whose difference is amplified while they decode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from veneer.models.decode import Decoded, Sampling, decode_with
from veneer.models.formats import Format
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.models.stepper import AmplifiedStepper
from veneer.prompts.prompt import Prompt


@dataclass(frozen=True)
class AmplifiedSystem:
    """log p_A + alpha (log p_C - log p_A) at each step (see `AmplifiedStepper`).

    pair: C as its base and A as its aligned model. Ids of answers are C's. format: what both read;
    each encodes it with its own tokenizer.
    """

    name: str
    pair: Pair
    format: Format
    alpha: float
    plausible: float = 0.0

    def prompt_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        return [max(len(c), len(a)) for c, a in zip(*self.encode(prompts), strict=True)]

    @property
    def models(self) -> dict[str, LanguageModel]:
        """The models that answer, by the part that each plays."""
        return {"audited": self.pair.base, "reference": self.pair.aligned}

    def longest(self) -> int | None:
        lengths = [lm.longest for lm in (self.pair.base, self.pair.aligned)]
        return min((n for n in lengths if n is not None), default=None)

    def decode(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        stop_strings: Sequence[str],
        keys: Sequence[str],
    ) -> list[Decoded]:
        """Answer one batch."""
        pair = self.pair
        with torch.inference_mode():
            stepper = AmplifiedStepper(
                pair.base,
                pair.aligned,
                pair.vocabulary,
                *self.encode(prompts),
                self.alpha,
                self.plausible,
            )
        stop_ids = [i for i in pair.stop_ids if i < pair.vocabulary.size]
        return decode_with(
            stepper,
            sampling,
            stop_ids=stop_ids,
            stop_strings=(*stop_strings, *pair.stop),
            keys=keys,
        )

    def facts(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": "amplified",
            "audited": _model(self.pair.base),
            "reference": _model(self.pair.aligned),
            "alpha": self.alpha,
            "plausible": self.plausible,
            "format": self.format.facts(),
        }

    def encode(self, prompts: Sequence[Prompt]) -> tuple[list[list[int]], list[list[int]]]:
        c, a = (
            [self.format.encode(lm.tokenizer, p) for p in prompts]
            for lm in (self.pair.base, self.pair.aligned)
        )
        return c, a


def _model(lm: Any) -> dict[str, str]:
    return {"model": lm.name, "fingerprint": lm.fingerprint(), "dtype": str(lm.head.weight.dtype)}
