"""What a diversity study looks at: the answers of some systems to the same prompts, and what judges said of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from veneer.diversity.verdicts import Topic
from veneer.systems.responses import Response, finished

T = TypeVar("T")
Table = dict[str, dict[int, T]]  # prompt -> sample number -> value


@dataclass
class Judgements(Generic[T]):
    """values: prompt -> sample -> verdict, None where the judge gave none. judge: who. failed: reason -> outputs without a verdict."""

    values: Table[T | None]
    judge: str
    failed: dict[str, int] = field(default_factory=dict)

    def note(self) -> str | None:
        if not self.failed:
            return None
        total = sum(len(row) for row in self.values.values())
        return f"{sum(self.failed.values())} of {total} judge outputs gave no verdict: " + ", ".join(sorted(self.failed))


@dataclass
class Material:
    """answers: system -> prompt -> sample -> text; prompts in the order of the first system. helpfulness, stance: by system. novelty,
    topics: by (reference, alternative); A is the reference."""

    task: str
    answers: dict[str, Table[str]]
    helpfulness: dict[str, Judgements[float]] = field(default_factory=dict)
    stance: dict[str, Judgements[str]] = field(default_factory=dict)
    novelty: dict[tuple[str, str], Judgements[float]] = field(default_factory=dict)
    topics: dict[tuple[str, str], Judgements[list[Topic]]] = field(default_factory=dict)

    def texts(self, system: str, prompt: str) -> list[str]:
        """In the order of the sample numbers."""
        return [text for _, text in sorted(self.answers[system].get(prompt, {}).items())]

    def first(self, system: str, prompt: str) -> str | None:
        """Sample 0, where it is there."""
        return self.answers[system].get(prompt, {}).get(0)

    def shared(self, *systems: str) -> list[str]:
        """Prompts that all of these systems answered, in the order of the first."""
        first, *others = systems
        return [p for p in self.answers[first] if all(p in self.answers[s] for s in others)]


def by_prompt(responses: Iterable[Response]) -> Table[str]:
    """prompt -> sample -> answer; an answer that was cut within its reasoning is none."""
    found: Table[str] = {}
    for r in finished(responses):
        found.setdefault(r.prompt_id, {})[r.sample_id] = r.text
    return found


def verdicts(judged: Mapping[tuple[str, int], T | None]) -> Table[T | None]:
    found: Table[T | None] = {}
    for (prompt, sample), value in judged.items():
        found.setdefault(prompt, {})[sample] = value
    return found
