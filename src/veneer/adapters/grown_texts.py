"""The shift of each of many texts that grow at their own pace, as an engine with continuous
batching holds them."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from veneer.models.language_model import LanguageModel
from veneer.models.shift import LogitShift
from veneer.models.stepper import Reader
from veneer.systems.alpha import Alpha


@dataclass
class _Text:
    """ids: what the small model has read, in the large model's ids. reader: its cache. hidden: h_s
    (1, d) behind them."""

    ids: list[int]
    reader: Reader
    hidden: Tensor


class GrownTexts:
    """alpha(t) dW h_s (Chen et al., NAACL 2025, arXiv 2502.04602) for texts that come, grow by a
    token and go, each by a key of its own; the small model keeps a cache for each of them."""

    def __init__(self, small: LanguageModel, shift: LogitShift):
        self.small, self.shift = small, shift
        self._texts: dict[Hashable, _Text] = {}

    def moved(
        self, key: Hashable, ids: Sequence[int], prompt_length: int, alpha: Alpha
    ) -> Tensor | None:
        """What is added to the large model's logits on `shift.rows` (R,) for the next token behind
        `ids` (the large model's own, prompt and answer); None where it is nothing.

        A text that has grown by one token since the last call with this key is read on; any other
        one is read from its start, so that rows may be dropped and come back.
        """
        position = len(ids) - prompt_length + 1
        last = alpha.last
        if last is not None and position > last:
            self._texts.pop(key, None)  # alpha is 0 from here on
            return None
        strength = alpha.at(position) if position >= 1 else 0.0
        if strength == 0 or not ids:
            return None
        return strength * self.shift.of(self._hidden(key, list(ids)))[0]

    def forget(self, key: Hashable) -> None:
        """Forget one text: another one takes its key."""
        self._texts.pop(key, None)

    def keep(self, keys: Collection[Hashable]) -> None:
        """Forget every text but these."""
        self._texts = {key: text for key, text in self._texts.items() if key in keys}

    def _hidden(self, key: Hashable, ids: list[int]) -> Tensor:
        """h_s (1, d) behind `ids`."""
        text = self._texts.get(key)
        if text is not None and text.ids == ids:
            return text.hidden
        if text is not None and text.ids == ids[:-1]:
            reader = text.reader
            reader.feed(self._small_ids(ids[-1:]))
        else:
            reader = Reader(self.small, [self._small_ids(ids).tolist()])
        self._texts[key] = made = _Text(ids, reader, reader.hidden())
        return made.hidden

    def _small_ids(self, ids: Sequence[int]) -> Tensor:
        return self.shift.small_ids(torch.tensor(ids, device=self.small.device))
