"""The interface of judges: answers in, scores by metric out, under an id that names the judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from veneer.foundation.progress import Progress
from veneer.prompts.prompt import Prompt

Scores = dict[str, float | None]


class Judge(Protocol):
    """The interface of judges (docs/extending.md).

    name: the name that tasks use ("refusal", "toxicity", "harm", ...). id: name, version and hash
    or model, as results carry it. metrics: metric -> unit ("share", "1..5"). note: a sentence on
    the judge's accuracy, shown beside its figures, or None.
    """

    @property
    def name(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def metrics(self) -> Mapping[str, str]: ...
    @property
    def note(self) -> str | None: ...

    def scores(
        self, prompts: Sequence[Prompt], texts: Sequence[str], progress: Progress | None = None
    ) -> list[Scores]:
        """Return the metrics of each answer. None stands for no verdict (an unreadable or failed
        judgement); it is counted and is never a score."""
        ...
