"""Find by trial what a loaded model can do with a batch: take a cache, read rows of unequal
lengths together, share a beginning.

The tries are few and short, run when they are first needed, and are repeated beyond each length at
which a model may change its way (an attention window, a chunk of a recurrence) once a text grows
beyond it. What a model cannot do is never used; one warning names it.
"""

from __future__ import annotations

import logging
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from veneer.foundation.errors import VeneerError
from veneer.models.reading import Probe, Words

# Numbers in a config that are a length in tokens beyond which the model attends or computes
# in another way.
LENGTHS = re.compile(r"window|chunk|block_size|local_attention|index_topk|max_inference", re.I)
NO_LENGTHS = re.compile(r"feed_forward|layers|pattern|num_|_ratio|max_window")
# rotary positions that depend on the length of the whole text
ROPE_CHANGES = ("dynamic", "longrope")
LONGEST_TRY = 65_536  # tokens


@dataclass(frozen=True)
class BatchMode:
    """How a batch is read. padded: rows of unequal lengths together. cached: each step reads
    only the new tokens."""

    padded: bool = True
    cached: bool = True


class Abilities:
    """The abilities of one model. vocabulary: ids that it can read; pad: the id that stands for
    padding; longest: tokens of its context."""

    def __init__(
        self, name: str, model: Any, backbone: Any, *, vocabulary: int, pad: int, device: Any
    ):
        self.name, self.model, self.backbone = name, model, backbone
        self._more = (vocabulary, pad, device)
        self._left: dict[int, BatchMode] = {}
        self._right: dict[int, tuple[bool, bool]] = {}
        self._warned: set[str] = set()

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Numbers of tokens beyond which the model may change its way, upwards."""
        config = self.model.config.get_text_config(decoder=True)
        longest = getattr(config, "max_position_embeddings", None) or LONGEST_TRY
        return tuple(sorted({n for n in changing_lengths(config) if n < min(longest, LONGEST_TRY)}))

    @cached_property
    def words(self) -> Words:
        """How the model is called."""
        with self._evaluating():
            words = self._probe.words()
        if words.cache is None:
            self._warn(
                "cache",
                "takes no cache that Veneer knows (tried past_key_values, cache and "
                "cache_params): each new token reads the whole text again, so that answers come "
                "many times slower",
            )
        return words

    @cached_property
    def shares(self) -> bool:
        """Whether padding may come between a beginning that all rows share and the rest."""
        with self._evaluating():
            return (
                self.words.cache is not None
                and self.way(0).padded
                and self._probe.middle(self.words)
            )

    def way(self, length: int) -> BatchMode:
        """How rows of up to `length` tokens are read when they are padded on the left and grow.
        Raises VeneerError for a model that is not causal at that length."""
        mode = BatchMode(cached=self.words.cache is not None)
        for stage in range(self._stage(length) + 1):
            if stage not in self._left:
                self._left[stage] = self._try_left(stage, mode)
            mode = self._left[stage]
        return mode

    def right(self, length: int) -> bool:
        """Whether rows of unequal lengths up to `length` tokens may be padded on the right. Raises
        VeneerError as `way` does."""
        for stage in range(self._stage(length) + 1):
            if not self._tried_right(stage)[0]:
                self._warn_of_padding(stage)
                return False
        return True

    def turns(self, length: int) -> list[int]:
        """Lengths below `length` at which a text that grows beyond them changes the states of all
        its tokens, as LongRoPE does. Raises VeneerError as `way` does."""
        stages = range(1, self._stage(length) + 1)
        return [self.lengths[stage - 1] for stage in stages if self._tried_right(stage)[1]]

    def facts(self) -> dict[str, Any]:
        """The abilities' part of a manifest: nothing for a model that can do all."""
        way, limits = self.way(0), {}
        if not way.cached:
            limits["cache"] = "none: each new token reads the whole text again"
        if not (way.padded and self.right(0)):
            limits["padding"] = "none: only rows of equal length are read together"
        return {"reading": limits} if limits else {}

    def _stage(self, length: int) -> int:
        return bisect_left(self.lengths, length)

    def _tried_right(self, stage: int) -> tuple[bool, bool]:
        """Whether rows may be padded on the right beyond the length of this stage, and whether
        states change there."""
        if stage not in self._right:
            with self._evaluating():
                probe = self._probe_at(stage)
                width = probe.ids.shape[1]
                turns = stage > 0 and not probe.keeps(self.lengths[stage - 1])
                # a short row beside a long one would be read as a part of a long text
                padded = not turns and probe.right(self.words, (width, width - 3, width // 2))
            self._right[stage] = padded, turns
        return self._right[stage]

    def _try_left(self, stage: int, before: BatchMode) -> BatchMode:
        """The first way that gives the states of single rows, from the fastest that was right so
        far on shorter texts."""
        with self._evaluating():
            probe = self._probe_at(stage)
            ways = (before, BatchMode(False, before.cached), BatchMode(before.padded, False))
            way = next(
                (w for w in ways if self._is_right(probe, w, stage)), BatchMode(False, False)
            )
        if before.padded and not way.padded:
            self._warn_of_padding(stage)
        if before.cached and not way.cached:
            self._warn(
                "long",
                f"gives other states with its cache than without{self._beyond(stage)}: from there "
                "on each new token reads the whole text again, so that answers come many "
                "times slower",
            )
        return way

    def _is_right(self, probe: Probe, way: BatchMode, stage: int) -> bool:
        words, width = (
            self.words if way.cached else replace(self.words, cache=None),
            probe.ids.shape[1],
        )
        # read beyond the length at once, and grown beyond it
        starts = (width - 4, width - 11) if stage else (width - 4,)
        return all(
            probe.left(words, (n, n - 3, n // 2) if way.padded else (n, n, n), width - n - 1)
            for n in starts
        )

    @cached_property
    def _probe(self) -> Probe:
        return self._probe_of(12)

    def _probe_at(self, stage: int) -> Probe:
        """Longer texts, so that steps cross the length of this stage. Raises VeneerError where the
        model is not causal at that length."""
        if stage == 0:
            return self._probe
        probe = self._probe_of(self.lengths[stage - 1] + 8)
        if not probe.causal:
            reason = (
                (
                    f"reads the tokens that follow{self._beyond(stage)}: its states of a text "
                    "change when the text goes on"
                )
                if probe.steady()
                else (
                    f"gives other states each time that it reads the same text{self._beyond(stage)}"
                )
            )
            raise VeneerError(
                f"{self.name} ({type(self.model).__name__}) {reason}; expected prompts and "
                f"answers of at most {self.lengths[stage - 1]} tokens together"
            )
        return probe

    def _probe_of(self, length: int) -> Probe:
        vocabulary, pad, device = self._more
        return Probe(self.backbone, self.model.config, vocabulary, pad, device, length=length)

    def _evaluating(self) -> Evaluating:
        return Evaluating(self.model)

    def _beyond(self, stage: int) -> str:
        return f" beyond {self.lengths[stage - 1]} tokens" if stage else ""

    def _warn_of_padding(self, stage: int) -> None:
        self._warn(
            "padding",
            f"reads padding, so that a row depends on its batch{self._beyond(stage)}: only rows "
            "of equal length are read together there, which is slower",
        )

    def _warn(self, what: str, text: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            logging.getLogger("veneer").warning(
                "veneer: %s (%s) %s", self.name, type(self.model).__name__, text
            )


class Evaluating:
    """Turn dropout off during a trial and restore its state afterwards."""

    def __init__(self, model: Any):
        self.model = model

    def __enter__(self) -> None:
        self._training = [m for m in self.model.modules() if m.training]
        for module in self._training:
            module.training = False

    def __exit__(self, *_: object) -> None:
        for module in self._training:
            module.training = True


def changing_lengths(config: Any) -> Iterator[int]:
    """The lengths in tokens that a text config names."""
    values = config.to_dict()
    types = values.get("layer_types")
    full = bool(types) and set(types) <= {"full_attention"}
    for key, value in values.items():
        named = LENGTHS.search(key) and not NO_LENGTHS.search(key)
        if (
            named
            and not (full and key == "sliding_window")
            and isinstance(value, int)
            and not isinstance(value, bool)
            and value > 1
        ):
            yield value
            if key.endswith("chunk_length"):  # Reformer: each chunk also reads the one before it
                yield 2 * value
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    for part in [rope, *rope.values()]:
        changes = isinstance(part, dict) and part.get("rope_type", part.get("type")) in ROPE_CHANGES
        first = changes and (
            part.get("original_max_position_embeddings")
            or values.get("original_max_position_embeddings")
        )
        if first:
            yield int(first)
