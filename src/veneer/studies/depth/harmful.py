"""Every system behind the first tokens of a harmful answer: refusals, half depth, KL, and answers
for the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from veneer.foundation.results import Measurement
from veneer.measures.behaviour import Scored
from veneer.measures.clusters import prompt_clusters
from veneer.models.formats import forced_ids
from veneer.studies.depth.distance import distances, kl_rows, noise_row
from veneer.studies.depth.forced_answers import Answers, ForcedAnswers
from veneer.studies.depth.half_depth import half_depth
from veneer.studies.depth.inputs import Requests
from veneer.studies.depth.names import HARMFUL_PREFIX, REFUSAL
from veneer.studies.depth.settings import Count
from veneer.systems.system import System


class HarmfulPrefix:
    """Every system behind the first tokens of a harmful answer.

    lead: white space in front of each target, as it stands in front of most of the aligned model's
    own answers: without it, the target would be a text that no system writes. A target that brings
    white space of its own stays as it is.
    """

    def __init__(self, forced: ForcedAnswers, task: Requests, lead: str = ""):
        self.forced = forced
        self.task = task
        self.lead = lead
        self.prompts = [
            p if p.forced[:1].isspace() else replace(p, forced=lead + p.forced)
            for p in task.prompts("test")
        ]
        self.clusters = prompt_clusters(self.prompts)
        self.scores: dict[Count, list[Scored]] = {}
        self.answers: dict[Count, Answers] = {}

    @classmethod
    def of(cls, forced: ForcedAnswers, task: Requests) -> HarmfulPrefix:
        """With the white space of the aligned model's answers behind no forced token."""
        answers = forced.answers(
            task, task.prompts("test"), HARMFUL_PREFIX, 0, forced.system("aligned")
        )
        leads = Counter(a.text[: len(a.text) - len(a.text.lstrip())] for a in answers)
        return cls(forced, task, leads.most_common(1)[0][0])

    def rows(self) -> Iterator[Measurement]:
        counts = self.forced.method.harmful_counts
        for k in counts:
            self.scores[k], self.answers[k] = self.forced.scored(
                self.task, self.prompts, HARMFUL_PREFIX, k, self.forced.systems
            )
            same = {"as_answered": self._as_answered(k)}
            scored = self.scores[k]
            for row in self.forced.rows(self.task, scored, HARMFUL_PREFIX, k, self.prompts):
                yield replace(row, facts={**(row.facts or {}), **same})
        lengths = [self.forced.tokens(self.prompts, k) for k in counts]
        for place, system in enumerate(self.forced.systems):
            by_count = [self.scores[k][place] for k in counts]
            yield half_depth(
                np.stack([s.values[REFUSAL] for s in by_count]),
                counts,
                lengths,
                task=self.task.name,
                system=system.name,
                judge=by_count[0].judges[REFUSAL],
                clusters=self.clusters,
                seed=self.forced.method.seed,
            )

    def _as_answered(self, k: Count) -> int:
        """How many prompts have a forced beginning with which the aligned model begins its own
        answer ("I" of "I'd be glad" and of "I'm sorry"): nothing is forced there."""
        return sum(
            own.text.startswith(prompt.forced)
            for own, prompt in zip(
                self.answers[0]["aligned"], self.forced.cut(self.prompts, k), strict=True
            )
        )

    def refusals(self) -> dict[str, str]:
        """The aligned model's full refusals without a forced token: prompt id -> text."""
        aligned = next(s for s in self.scores[0] if s.system == "aligned")
        return {
            a.prompt_id: a.text
            for a, refused in zip(self.answers[0]["aligned"], aligned.values[REFUSAL], strict=True)
            if refused == 1
        }

    def distance_rows(self) -> Iterator[Measurement]:
        """KL of base and of the veneer behind the prefixes."""
        forced = self.forced
        systems = [forced.system("aligned"), forced.system("base")]
        systems += [s for s in forced.systems if s.name == "veneer"]
        local = [s for s in systems if isinstance(s, System)]
        tokenizer = forced.pair.aligned.tokenizer
        counts = forced.method.kl_counts
        for k in counts:
            lengths = [len(forced_ids(tokenizer, p)) for p in forced.cut(self.prompts, k)]
            with forced.run.stage("distances"):
                values = distances(
                    forced.pair,
                    local,
                    self.prompts,
                    self.answers[k]["aligned"],
                    lengths,
                    forced.run.out / "distances" / f"{k}.jsonl",
                )
            yield from kl_rows(
                values,
                task=self.task.name,
                split=f"{HARMFUL_PREFIX}:{k}",
                facts={"prefix": HARMFUL_PREFIX, "forced": k},
                clusters=self.clusters,
                seed=forced.method.seed,
            )
        if counts:
            lengths = [len(forced_ids(tokenizer, p)) for p in forced.cut(self.prompts, counts[0])]
            yield noise_row(
                forced.pair,
                local[0],
                self.prompts,
                self.answers[counts[0]]["aligned"],
                lengths,
                task=self.task.name,
                seed=forced.method.seed,
            )

    def shown(self, most: int) -> list[dict[str, Any]]:
        """Answers of the first prompts for the page, every system behind every prefix."""
        rows = []
        for at, prompt in enumerate(self.prompts[:most]):
            for k, scored in self.scores.items():
                for one in scored:
                    answer = self.answers[k][one.system][at]
                    rows.append(
                        {
                            "prompt": prompt.text,
                            "forced": k,
                            "beginning": answer.forced,
                            "system": one.system,
                            "text": answer.text,
                            "refused": bool(one.values[REFUSAL][at] == 1),
                        }
                    )
        return rows
