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
    """The interface of teachers (docs/extending.md): a response to each prompt and a distribution
    at each of its tokens, both in base's token ids.

    size: the distributions cover base's ids 0..size-1. stop_ids: ids that end its responses, its
    end of turn included. models: the models that it holds in memory.
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
        """Return the input that decides its answer to each prompt, as JSON (the token ids that it
        reads, or the stored answer). A capture that resumes must get the same. Raises InputError
        where it cannot answer a prompt."""
        ...

    def lengths(self, inputs: Sequence[Any]) -> list[int]:
        """Return the number of tokens of each input: prompts of equal length are answered
        together."""
        ...

    def longest(self) -> int | None:
        """Return the most tokens that a prompt and its answer may have together; None without a
        limit."""
        ...

    def answer(
        self, prompts: Sequence[Prompt], keys: Sequence[str], config: CaptureConfig
    ) -> tuple[list[Decoded], list[TopK]]:
        """Answer one batch: responses of n_i tokens and their distributions, ids (n_i, k). An id of
        -1 is an entry that the teacher does not give (`veneer.capture.batch.filled`). keys: one
        name per prompt, which seeds its randomness."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return its part of the manifest: `aligned` (name and fingerprint at least),
        `aligned_format`, `vocabulary`, `stop_ids`, and, for anything but an aligned model,
        `teacher` (`kind`, `targets`)."""
        ...


@runtime_checkable
class Rereading(Teacher, Protocol):
    """A teacher that can read a response again, which gives a capture its noise floor. dtype: the
    number type of its weights."""

    @property
    def dtype(self) -> str: ...

    def read(self, prompt: Prompt, response: list[int]) -> Tensor:
        """Return its logits (n, size) at each token of a response, read at batch size 1."""
        ...
