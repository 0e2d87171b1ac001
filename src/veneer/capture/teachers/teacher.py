"""The interface of teachers: they answer the prompts of a capture.

This package has four: aligned.py (the aligned model), stored.py (answers from a file), endpoint.py
(a model behind an endpoint) and from_capture.py (a capture for another base), and
systems/shifted_teacher.py (a large model with a small model's veneer). Installed packages may offer
others (registry.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from veneer.capture.config import CaptureConfig
from veneer.capture.distributions import TopK
from veneer.models.decode import Decoded
from veneer.models.language_model import LanguageModel
from veneer.prompts.prompt import Prompt


class Teacher(Protocol):
    """Gives a response to each prompt and a distribution at each of its tokens, both in
    base's token ids.

    size: its distributions stand over base's ids 0..size-1. stop_ids: ids that end its responses,
    its end of turn among them. models: what it holds in memory.
    """

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def stop_ids(self) -> tuple[int, ...]: ...
    @property
    def models(self) -> tuple[LanguageModel, ...]: ...

    def inputs(self, prompts: Sequence[Prompt]) -> list[Any]:
        """What decides its answer to each prompt, as JSON (token ids that it reads, or the
        stored answer). A capture that goes on must find the same. Raises InputError where it
        cannot answer one."""
        ...

    def lengths(self, inputs: Sequence[Any]) -> list[int]:
        """Tokens of each `inputs`: prompts of equal length are answered together."""
        ...

    def longest(self) -> int | None:
        """Tokens that a prompt and its answer may have together; None without a limit."""
        ...

    def answer(
        self, prompts: Sequence[Prompt], keys: Sequence[str], config: CaptureConfig
    ) -> tuple[list[Decoded], list[TopK]]:
        """One batch: responses of n_i tokens and their distributions, ids (n_i, k). An id of -1 is
        an entry that the teacher does not tell (see fill.py). keys: one name a prompt, from which
        its randomness is drawn."""
        ...

    def facts(self) -> dict[str, Any]:
        """Its part of the manifest: `aligned` (name and fingerprint at least),
        `aligned_format`, `vocabulary`, `stop_ids`, and, for whatever is not an aligned model,
        `teacher` (`kind`, `targets`)."""
        ...


@runtime_checkable
class Rereading(Teacher, Protocol):
    """A teacher that can read a response again, which gives a capture its noise floor.
    dtype: of its weights."""

    @property
    def dtype(self) -> str: ...

    def read(self, prompt: Prompt, response: list[int]) -> Tensor:
        """Its logits (n, size) at each token of a response, read at batch size 1."""
        ...
