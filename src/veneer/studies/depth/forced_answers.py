"""Answers behind a forced prefix, and their rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from veneer.foundation.files import file_name
from veneer.foundation.results import Measurement
from veneer.judges.judge import Judge
from veneer.measures.behaviour import Scored, behaviour_rows, score
from veneer.measures.well_formed import add_well_formed, warn_left_out
from veneer.models.formats import PlainFormat, forced_ids
from veneer.models.pair import Pair
from veneer.models.sampling import Sampling
from veneer.prompts.prompt import Prompt
from veneer.prompts.templates import marks
from veneer.studies.depth.inputs import Requests
from veneer.studies.depth.names import ALL, HARMFUL_PREFIX, STUDY
from veneer.studies.depth.settings import Count, DepthSettings
from veneer.studies.study import Run
from veneer.systems.forced import first
from veneer.systems.respond import respond
from veneer.systems.responses import Response
from veneer.systems.system import Answering

Answers = dict[str, list[Response]]  # by system


@dataclass(frozen=True)
class ForcedAnswers:
    """Answers behind a forced prefix, and their rows."""

    method: DepthSettings
    pair: Pair
    systems: Sequence[Answering]
    judges: Mapping[str, Sequence[Judge]]
    run: Run

    def system(self, name: str) -> Answering:
        return next(s for s in self.systems if s.name == name)

    def cut(self, prompts: Sequence[Prompt], k: Count) -> list[Prompt]:
        """The prompts with the first k tokens of their forced texts, as base counts them."""
        if k == ALL:
            return list(prompts)
        return first(prompts, int(k), self.pair.base.tokenizer)

    def answers(
        self, task: Requests, prompts: Sequence[Prompt], prefix: str, k: Count, system: Answering
    ) -> list[Response]:
        """The system's answers behind k tokens, kept in the study folder."""
        form = self.pair.base_format
        templates = {
            form.template_of(p) if isinstance(form, PlainFormat) else None for p in prompts
        }
        stops = {m for t in sorted(filter(None, templates)) for m in marks(t)}
        name = f"{task.name}.{prefix}-{k}.{file_name(system.name)}.jsonl"
        stage = "answers of" if prefix == HARMFUL_PREFIX else "forced refusals of"
        with self.run.stage(f"{stage} {system.name}"):
            return respond(
                system,
                self.cut(prompts, k),
                Sampling(self.method.max_new_tokens, seed=self.method.seed),
                stop_strings=tuple(sorted(stops)),
                batch_size=self.method.batch_size,
                out=self.run.out / "responses" / name,
                progress=self.run.progress,
            )

    def scored(
        self,
        task: Requests,
        prompts: Sequence[Prompt],
        prefix: str,
        k: Count,
        systems: Sequence[Answering],
    ) -> tuple[list[Scored], Answers]:
        """The scores of the systems' answers, and the answers (measures/judged.py says what the
        refusal judge reads)."""
        written = {s.name: self.answers(task, prompts, prefix, k, s) for s in systems}
        with self.run.stage("judge"):
            scored = [
                score(task, prompts, answers, self.judges[task.name], self.run.progress)
                for answers in written.values()
            ]
        if "aligned" in written and k in self.method.kl_counts:
            with self.run.stage("well formed"):
                reason = add_well_formed(
                    scored,
                    written,
                    systems,
                    prompts,
                    out=self.run.out / "likelihoods" / f"{prefix}-{k}",
                    batch_size=self.method.batch_size,
                )
            if reason is not None:
                warn_left_out(task.name, reason)
        return scored, written

    def rows(
        self,
        task: Requests,
        scored: Sequence[Scored],
        prefix: str,
        k: Count,
        prompts: Sequence[Prompt],
    ) -> Iterator[Measurement]:
        """One row per system and metric over all prompts, and the portion of each headline. The
        fact "tokens" is the mean number of forced tokens."""
        facts = {"prefix": prefix, "forced": k, "tokens": self.tokens(prompts, k)}
        split = f"{prefix}:{k}"
        for row in behaviour_rows(task, prompts, scored, split=split, seed=self.method.seed):
            if row.split == split:  # not those of groups and without near-copies
                yield replace(row, study=STUDY, facts={**(row.facts or {}), **facts})

    def tokens(self, prompts: Sequence[Prompt], k: Count) -> float:
        """How many tokens are forced on average."""
        tokenizer = self.pair.base.tokenizer
        sizes = [len(forced_ids(tokenizer, p)) for p in self.cut(prompts, k)]
        return float(np.mean(sizes))
