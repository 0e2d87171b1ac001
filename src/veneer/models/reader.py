"""One model reading a batch that grows: all rows at once where it can, otherwise rows of equal
length together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from veneer.models.abilities import BatchMode
from veneer.models.head import Head
from veneer.models.language_model import LanguageModel
from veneer.models.prefix import start


class Reader:
    """A batch that is being decoded, with its cache. Where a row would depend on its batch, or a
    cache is wrong at this length (`Abilities.way`), the batch is read in another way; one that
    grows into such a length is read anew."""

    def __init__(self, lm: LanguageModel, prompts: Sequence[Sequence[int]]):
        self.lm = lm
        self._rows = [list(p) for p in prompts]  # all that each row has read
        self._way = BatchMode()
        self._groups: list[_Group] = []
        self._takes_steps = False  # the prompts come first
        self._begin()

    def hidden(self) -> Tensor:
        """Final hidden states (B, d) at the last tokens fed."""
        if len(self._groups) == 1:
            return self._groups[0].hidden()
        states = torch.cat([g.hidden() for g in self._groups])
        return states[torch.tensor(self._places(), device=states.device)]

    @property
    def head(self) -> Head:
        """The model's head, for the states that `hidden` gives next."""
        return self.prepared(self.lm.head)

    def prepared(self, head: Head) -> Head:
        """A head over this backbone, for the states that `hidden` gives next."""
        return self.lm.step_weights.head(head) if self._takes_steps else head

    def feed(self, chosen: Tensor) -> None:
        """Append one token (B,) to each row."""
        self._takes_steps = True
        for row, token in zip(self._rows, chosen.tolist(), strict=True):
            row.append(token)
        if self._way != self._way_now() or self._has_outgrown_its_gaps():
            self._begin()
            return
        for group in self._groups:
            group.feed(
                chosen
                if len(self._groups) == 1
                else chosen[torch.tensor(group.rows, device=chosen.device)]
            )

    def keep(self, places: Tensor) -> None:
        """Go on with these rows only, in this order; they may be repeated."""
        kept = places.tolist()
        self._rows = [list(self._rows[p]) for p in kept]
        for group in self._groups:
            group.keep(kept)
        self._groups = [g for g in self._groups if g.rows]

    def _begin(self) -> None:
        self.lm.step_weights.check()
        self._way = self._way_now()
        numbers = range(len(self._rows))
        if self._way.padded:
            groups = [list(numbers)]
        else:
            lengths = sorted({len(r) for r in self._rows})
            groups = [[i for i in numbers if len(self._rows[i]) == n] for n in lengths]
        self._groups = [_Group(self.lm, g, [self._rows[i] for i in g], self._way) for g in groups]

    def _way_now(self) -> BatchMode:
        return self.lm.abilities.way(max(map(len, self._rows)))

    def _has_outgrown_its_gaps(self) -> bool:
        lengths = self.lm.abilities.lengths
        return bool(lengths) and any(g.gaps and g.width >= lengths[0] for g in self._groups)

    def _places(self) -> list[int]:
        """For each row, its place in the groups one behind the other."""
        order = [row for group in self._groups for row in group.rows]
        return [place for _, place in sorted((row, place) for place, row in enumerate(order))]


class _Group:
    """Rows that are read together. rows: their numbers in the batch."""

    def __init__(
        self, lm: LanguageModel, rows: list[int], texts: Sequence[Sequence[int]], way: BatchMode
    ):
        self.lm, self.rows = lm, rows
        begun = start(lm, texts, side="left", cached=way.cached)
        self._new, self._mask, self._cache, self.gaps = (
            begun.ids,
            begun.mask,
            begun.cache,
            begun.gaps,
        )

    @property
    def width(self) -> int:
        """Tokens of a row, padding included."""
        return self._mask.shape[1]

    def hidden(self) -> Tensor:
        return self.lm.hidden(self._new, self._mask, self._cache)[:, -1]

    def feed(self, chosen: Tensor) -> None:
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(chosen), 1)], dim=1)
        new = chosen[:, None]
        self._new = new if self._cache is not None else torch.cat([self._new, new], dim=1)

    def keep(self, kept: Sequence[int]) -> None:
        """kept: rows of the batch, in their new order."""
        at = {row: place for place, row in enumerate(self.rows)}
        places = torch.tensor(
            [at[row] for row in kept if row in at], dtype=torch.long, device=self._mask.device
        )
        self.rows = [new for new, row in enumerate(kept) if row in at]
        if not self.rows:
            return
        self._mask = self._mask[places]
        if self._cache is None:
            self._new = self._new[places]
        else:
            self._cache.reorder_cache(places)
