"""What a diversity study looks at: the answers of some systems to the same prompts, and what
judges said of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from veneer.foundation.errors import InputError
from veneer.imports.overton import StoredJudgement, read_judged
from veneer.imports.rows import get, objects
from veneer.measures.clusters import of_ids
from veneer.studies.diversity.judged import Topic, read_all
from veneer.systems.responses import Response, finished

T = TypeVar("T")
Table = dict[str, dict[int, T]]  # prompt -> sample number -> value


@dataclass
class Judgements(Generic[T]):
    """values: prompt -> sample -> verdict, None where the judge gave none. judge: who. failed:
    reason -> outputs without a verdict."""

    values: Table[T | None]
    judge: str
    failed: dict[str, int] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """How many outputs gave no verdict, by kind; empty where all gave one."""
        if not self.failed:
            return {}
        return {
            "no_verdict": dict(self.failed),
            "outputs": sum(len(row) for row in self.values.values()),
        }


@dataclass
class Material:
    """answers: system -> prompt -> sample -> text; prompts in the order of the first
    system. quality, stance: by system; quality has the scores of `aspect`. novelty, topics: by
    (reference, alternative); A is the reference. clusters: prompt -> its cluster
    (prompts/clusters.py), None where every prompt stands by itself."""

    task: str
    answers: dict[str, Table[str]]
    quality: dict[str, Judgements[float]] = field(default_factory=dict)
    stance: dict[str, Judgements[str]] = field(default_factory=dict)
    novelty: dict[tuple[str, str], Judgements[float]] = field(default_factory=dict)
    topics: dict[tuple[str, str], Judgements[list[Topic]]] = field(default_factory=dict)
    aspect: str = "helpfulness"
    clusters: Mapping[str, str] | None = None

    def ids(self, prompts: Iterable[str]) -> np.ndarray | None:
        """(n,) the cluster of each of these prompts; None where every prompt stands by itself."""
        return of_ids(self.clusters, list(prompts))

    def least(self, threshold: float) -> str:
        """The split of the answers whose quality reaches the threshold."""
        return f"{self.aspect}>={threshold:g}"

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
    answers: Table[str] = {}
    for r in finished(responses):
        answers.setdefault(r.prompt_id, {})[r.sample_id] = r.text
    return answers


def verdicts(judged: Mapping[tuple[str, int], T | None]) -> Table[T | None]:
    table: Table[T | None] = {}
    for (prompt, sample), value in judged.items():
        table.setdefault(prompt, {})[sample] = value
    return table


# Stored judgements as material: the published judge outputs, or plain JSON lines.
EXPECTED = '{"prompt_id", "sample_id", "content": what the judge wrote, or its object}'


def read_judgements(
    path: Path,
    parse: Callable[[str], T | None],
    *,
    prompts: int | None = None,
    instances: Path | None = None,
) -> Judgements[T]:
    """Judgements of a file: published judge outputs ({"ok", "outputs"} a line) or plain lines
    {"prompt_id", "sample_id", and "content" (the judge's text) or the scores themselves
    ("helpfulness", "stance", "score", "topics")}. parse: from `verdicts`.

    Raises InputError naming file and line, and where no line has a verdict.
    """
    _, first = next(objects(path, EXPECTED), ("", {}))
    judged = read_judged(path, instances, prompts) if "outputs" in first else _plain(path)
    keys: Counter[tuple[str, int]] = Counter((j.prompt_id, j.sample_id) for j in judged)
    twice = next((k for k, n in keys.items() if n > 1), None)
    if twice is not None:
        raise InputError(
            f"{path} judges sample {twice[1]} of prompt {twice[0]!r} twice; expected one "
            "judgement an answer"
        )
    read = read_all((j.content for j in judged), parse)
    if not read.parsed:
        why = ", ".join(read.failed) or "no rows"
        raise InputError(
            f"{path} holds no verdict of this kind in {len(judged)} rows ({why}); is it the right "
            "judge's file?"
        )
    values = dict(zip(((j.prompt_id, j.sample_id) for j in judged), read.values, strict=True))
    return Judgements(verdicts(values), f"stored:{path.parent.name}/{path.name}", dict(read.failed))


def _plain(path: Path) -> list[StoredJudgement]:
    judgements = []
    for where, row in objects(path, EXPECTED):
        id, sample = (
            get(row, "prompt_id", (str, int), where, EXPECTED),
            get(row, "sample_id", int, where, EXPECTED),
        )
        content = row.get("content", row)
        if content is not None and not isinstance(content, str):
            content = json.dumps(content)
        judgements.append(StoredJudgement(str(id), sample, content, None))
    return judgements
