"""A task: prompts in two splits, and how an answer is scored."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from veneer.errors import InputError
from veneer.prompts import Prompt

Split = Literal["train", "test"]


class Task(Protocol):
    """name: as given to --tasks. headline: the metric whose portion is reported; better: which way it should go.

    max_new_tokens: longest answer; published_max_new_tokens: the paper's limit. stop: strings that end decoding.
    judges: judges that give metrics beside `score` ("refusal" is built in and judges every task: refusal_rate,
    empty_rate). needs_judge: what the task is for needs a judge model that is not part of the package; `run`
    leaves it out unless named.
    """

    @property
    def name(self) -> str: ...
    @property
    def headline(self) -> str: ...
    @property
    def better(self) -> Literal["up", "down"]: ...
    @property
    def max_new_tokens(self) -> int: ...
    @property
    def published_max_new_tokens(self) -> int: ...
    @property
    def stop(self) -> tuple[str, ...]: ...
    @property
    def judges(self) -> tuple[str, ...]: ...
    @property
    def needs_judge(self) -> bool: ...

    def prompts(self, split: Split) -> list[Prompt]:
        """All prompts of a split, always in the same order. Raises InputError where the data is missing or
        malformed."""
        ...

    def score(self, prompt: Prompt, text: str) -> dict[str, float]:
        """Metrics that need no judge, the same names for every prompt."""
        ...

    def source(self) -> dict[str, Any]:
        """Where the data is and the hash of each of its files, for run.json."""
        ...


def check_split(split: str) -> None:
    if split not in ("train", "test"):
        raise InputError(f"there is no split {split!r}; expected train or test")
