"""A task: prompts in two splits, and how an answer is scored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from veneer.foundation.errors import InputError
from veneer.prompts.prompt import Prompt
from veneer.tasks.data import Origin, at_hand, describe, has, locate

Split = Literal["train", "test"]
Better = Literal["up", "down"]


class Task(ABC):
    """What every task has; a task overrides what differs.

    name: as given to --tasks. headlines: the metrics whose portion is reported, most important
    first, and which way each should go. kind: "generate" answers in words; "choice" compares the
    likelihoods of `reference["choices"]`, whose right one is `reference["answer"]`, an index.
    max_new_tokens: longest answer; published_max_new_tokens: the paper's limit. stop: strings that
    end decoding. judges: names of the judges that give metrics beside `score` ("refusal" is always
    there; one that is not at hand is left out, and said so). needs_judge: what the task is for
    needs a judge model that is not part of the package; `run` leaves it out unless named. combined:
    the metrics of `combine`, and the name of the judge that each is made from (None: of the task's
    own scores). headline_judges: the judge that decides a headline; none for one that the task
    scores itself.

    data: the data folder. origin: where the files come from. scoring: in words, for `veneer tasks
    show`. licence, citation: of the data. by_default: whether `run` takes it without being asked;
    variants of a task are named.
    """

    name: str
    data: Path | None = None
    origin: ClassVar[Origin]
    scoring: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    by_default: bool = True
    headlines: ClassVar[Mapping[str, Better]]
    kind: Literal["generate", "choice"] = "generate"
    max_new_tokens: int = 128
    published_max_new_tokens: int = 512
    stop: tuple[str, ...] = ()
    judges: tuple[str, ...] = ("refusal",)
    needs_judge: bool = False
    combined: ClassVar[Mapping[str, str | None]] = MappingProxyType({})
    headline_judges: ClassVar[Mapping[str, str]] = MappingProxyType({})

    @property
    def headline(self) -> str:
        return next(iter(self.headlines))

    @property
    def better(self) -> Better:
        return self.headlines[self.headline]

    @abstractmethod
    def prompts(self, split: Split) -> list[Prompt]:
        """All prompts of a split, always in the same order; a task that is only measured has
        no train prompts.

        Raises InputError where the data is missing or malformed.
        """

    def kept_templates(self) -> set[str | None]:
        """Templates that `run` leaves around its prompts for base where nobody chooses one, because
        models or a person's file know no other; None for a text without a template. Empty for a
        task that may stand behind any template."""
        return set()

    def score(self, prompt: Prompt, text: str) -> dict[str, float]:
        """Metrics that need no judge, the same names for every prompt."""
        return {}

    def combine(self, prompt: Prompt, scores: Mapping[str, float]) -> dict[str, float]:
        """The metrics of `combined`, made of the task's and the judges' scores of one answer. NaN
        where one does not apply to a prompt, which is then left out of it (refusals of safe
        prompts), or where a judge gave no verdict."""
        return {}

    def group(self, prompt: Prompt) -> str | None:
        """The part of the task that gets rows of its own (split "group:NAME")."""
        return None

    def cluster(self, prompt: Prompt) -> str | None:
        """Prompts of one cluster are not independent: intervals resample clusters. None: every
        prompt by itself."""
        return None

    def source(self) -> dict[str, Any]:
        """Where the data is and the hash of each of its files, for run.json."""
        return describe(
            self.origin, [locate(self.origin, name, self.data) for name in self.origin.files]
        )

    def in_folder(self) -> bool:
        """Whether the data folder holds all the data."""
        return has(self.origin, self.data)

    def at_hand(self) -> bool:
        """Whether the prompts can be read without a download."""
        return at_hand(self.origin, self.data)


def check_split(split: str) -> None:
    if split not in ("train", "test"):
        raise InputError(f"there is no split {split!r}; expected train or test")
