"""What every judge is: answers in, scores by metric out, under an id that names who decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from veneer.prompts.prompt import Prompt

Progress = Callable[[int, int, str], None]
Scores = dict[str, float | None]


class Judge(Protocol):
    """name: as tasks ask for it ("refusal", "toxicity", "harm", ...). id: name, version and hash or
    model, as results carry it. metrics: what it gives, with units ("share", "1..5"). note: what is
    known of its accuracy, shown beside its figures."""

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
        """The metrics of each answer. None: no verdict (an unparsable or failed judgement), which
        is counted and never a score."""
        ...
