"""The interface of tasks: prompts in two splits, and the scores of an answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from veneer.foundation.errors import InputError
from veneer.prompts.clusters import groups_of
from veneer.prompts.prompt import Prompt
from veneer.tasks.data import Origin, available, describe, has, locate
from veneer.tasks.related import near_copies

Split = Literal["train", "test"]
Better = Literal["up", "down"]
PACKAGED = Origin("the task's package", {})  # no files: the prompts come with the code


class Task(ABC):
    """The base class of tasks: a subclass gives `name`, `headlines` and `prompts`, and overrides
    what else differs (docs/extending.md).

    name: as given to --tasks. headlines: metric -> the direction in which it should go, the most
    important metric first; the portion of each is reported. kind: "generate" answers in words;
    "choice" compares the likelihoods of `reference["choices"]`, whose right one is
    `reference["answer"]`, an index. max_new_tokens: longest answer; published_max_new_tokens: the
    paper's limit. stop: strings that end decoding. judges: names of the judges that give metrics
    beside `score`; "refusal" always judges, and a judge that is not available is left out with a
    warning. needs_judge: whether the task is of no use without a judge model that is not part of
    the package; `run` leaves it out unless it is named. combined: metric of `combine` -> name of
    the judge from whose scores it is computed, None for the task's own scores. headline_judges:
    headline -> the judge that decides it; a headline that the task scores itself has none. units:
    metric of `score` -> its unit, such as "words"; a metric without one is a share, from 0 to 1.
    own_judges: name in `judges` -> a veneer.Judge that the task brings itself.

    data: the data folder. origin: the files and the repository that they come from; without it the
    prompts come with the task's own package. scoring: a sentence for `veneer tasks show`. licence,
    citation: those of the data. by_default: whether `run` takes it without --tasks; variants of a
    task have to be named.
    """

    name: str
    data: Path | None = None
    origin: ClassVar[Origin] = PACKAGED
    scoring: ClassVar[str] = ""
    licence: ClassVar[str] = ""
    citation: ClassVar[str] = ""
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
    own_judges: Mapping[str, Any] = MappingProxyType({})
    units: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __init__(self, data: Path | None = None):
        self.data = data

    @property
    def headline(self) -> str:
        return next(iter(self.headlines))

    @property
    def better(self) -> Better:
        return self.headlines[self.headline]

    @abstractmethod
    def prompts(self, split: Split) -> list[Prompt]:
        """Return all prompts of a split, always in the same order; a task that is only measured has
        no train prompts.

        Raises InputError where the data is missing or malformed.
        """

    def kept_templates(self) -> set[str | None]:
        """Return the templates that `run` must leave around the prompts for base unless the user
        chooses one, because the models or a custom file expect them; None stands for a text without
        a template. Empty for a task that allows any template."""
        return set()

    def score(self, prompt: Prompt, text: str) -> dict[str, float]:
        """Return the metrics that need no judge, with the same names for every prompt."""
        return {}

    def combine(self, prompt: Prompt, scores: Mapping[str, float]) -> dict[str, float]:
        """Compute the metrics of `combined` from the task's and the judges' scores of one answer.

        NaN where a metric does not apply to a prompt, which is then left out of it (refusals of
        safe prompts), or where a judge gave no verdict.
        """
        return {}

    def reply(self, prompt: Prompt) -> str | None:
        """Return an answer that the data gives in full, from which a model can learn; None where it
        gives none."""
        return prompt.reference.get("reply")

    def group(self, prompt: Prompt) -> str | None:
        """Return the group of a prompt; each group has its own rows (split "group:NAME")."""
        return None

    def cluster(self, prompt: Prompt) -> str | None:
        """Return the cluster of a prompt, None for a prompt by itself. Prompts of one cluster are
        not independent, so that intervals resample clusters, and a capture's split holds them
        together. Prompts of one text need no name: prompts/clusters.py finds them."""
        return prompt.cluster

    def related(self, prompts: Sequence[Prompt]) -> list[str]:
        """Return the group of related prompts that each prompt is in (`related.near_copies`; a
        cluster is a group too). A probe that learns from one prompt of a group is never tested on
        another one."""
        copies = near_copies([p.text for p in prompts])
        named = [self.cluster(p) for p in prompts]
        keys = [
            [("copy", c)] if n is None else [("copy", c), ("cluster", n)]
            for c, n in zip(copies, named, strict=True)
        ]
        return [f"{self.name}/{group}" for group in groups_of(keys)]

    def clustered(self, split: Split) -> list[Prompt]:
        """Return the prompts of a split, each with its cluster."""
        return [replace(p, cluster=self.cluster(p)) for p in self.prompts(split)]

    def source(self) -> dict[str, Any]:
        """Return where the data comes from and the hash of each file, for run.json."""
        return describe(
            self.origin, [locate(self.origin, name, self.data) for name in self.origin.files]
        )

    def in_folder(self) -> bool:
        """Return whether the data folder holds all files of the task."""
        return has(self.origin, self.data)

    def available(self) -> bool:
        """Return whether the prompts can be read without a download."""
        return available(self.origin, self.data)


def check_split(split: str) -> None:
    if split not in ("train", "test"):
        raise InputError(f"there is no split {split!r}; expected train or test")
