"""Everybody's answers for a recovery study: the teacher's, base's, base's in
context, a veneer's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from veneer.embed import Embedder
from veneer.foundation.files import file_name, json_lines, sha256_text, write_text
from veneer.foundation.progress import Progress
from veneer.foundation.run_record import RunRecord
from veneer.head.recorded import chosen_format, recorded_format
from veneer.head.veneer import Veneer
from veneer.judges.asker import Asker
from veneer.models.decode import Sampling
from veneer.models.formats import PlainFormat
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.studies.recovery.prompts import (
    Built,
    Material,
    base_prompts,
    build,
    cut_answer,
    cut_own_summary,
    query,
    summaries,
)
from veneer.studies.recovery.variants import FENCE, Variant, urial_examples
from veneer.systems.respond import respond
from veneer.systems.responses import Response
from veneer.systems.system import Answering, System

# where a model that wrote its own summary and answer goes on with a question of its own
NEXT_QUERY = "# Query:"


@dataclass
class InContext:
    """Answers stand in `out`/responses and are made once. examples: variant -> (shown, dropped) by
    prompt. shown: a row a variant and prompt, for in_context.jsonl. facts: of every system that
    answered. asker: who writes summaries."""

    pair: Pair
    prompts: Sequence[Prompt]
    out: Path
    sampling: Sampling
    samples: int
    batch_size: int
    record: RunRecord
    progress: Progress | None = None
    published: bool = False
    asker: Asker | None = None
    examples: dict[str, tuple[list[int], list[int]]] = field(default_factory=dict)
    shown: list[dict[str, Any]] = field(default_factory=list)
    facts: list[dict[str, Any]] = field(default_factory=list)

    def teacher(self) -> list[Response]:
        return self.answer(self._aligned(), self.prompts)

    def base(self) -> list[Response]:
        """Base in the paper's form: the question, and an answer in a fence; in the pair's own
        format where that is not plain text."""
        if self.pair.base_format != PlainFormat():
            return self.answer(
                System("base", self.pair.base, self.pair.base_format, self.pair.stop_ids),
                self.prompts,
            )
        return self.answer(self._fenced("base", FENCE), base_prompts(self.prompts))

    def veneer(self, veneer: Veneer) -> list[Response]:
        """Base with the veneer's head, in the format that the veneer was made for."""
        given = None if self.pair.base_format == PlainFormat() else self.pair.base_format
        form = recorded_format(veneer.facts) or given or chosen_format(veneer.facts, self.prompts)
        system = System.of_model(self.pair.base, veneer, format=form)
        stops = tuple(sorted({*system.stop_ids, *self.pair.stop_ids}))
        return self.answer(replace(system, stop_ids=stops), self.prompts)

    def variant(self, variant: Variant, material: Material) -> list[Response]:
        """Base in context."""
        own = variant.kind == "summary-cot"
        system = self._fenced(variant.name, NEXT_QUERY if own else FENCE)
        longest = system.longest()
        budget = None if longest is None else longest - self.sampling.max_new_tokens
        built = build(variant, self.prompts, material, budget=budget, count=self._count)
        self._note(variant, built)
        found = self.answer(system, built.prompts)
        return [_with_text(r, _own_answer(r.text) if own else cut_answer(r.text)) for r in found]

    def answer(
        self,
        system: Answering,
        prompts: Sequence[Prompt],
        samples: int | None = None,
        name: str | None = None,
    ) -> list[Response]:
        with self.record.stage(f"answers {name or system.name}"):
            self.facts.append(system.facts())
            return respond(
                system,
                prompts,
                self.sampling,
                batch_size=self.batch_size,
                samples=samples or self.samples,
                out=self.out / "responses" / f"{file_name(name or system.name)}.jsonl",
                progress=self.progress,
            )

    def material(
        self, variants: Sequence[Variant], teacher: Sequence[Response], embedder: Embedder | None
    ) -> Material:
        """What the variants need of the teacher, and no more."""
        first = {r.prompt_id: r.text for r in teacher if r.sample_id == 0}
        answers = [first[p.id] for p in self.prompts]
        fixed: list[str] = []
        if any(v.teacher_examples for v in variants):
            asked = [
                Prompt.from_text(f"urial-{i}", e.query, task="urial")
                for i, e in enumerate(urial_examples())
            ]
            fixed = [r.text for r in self.answer(self._aligned(), asked, 1, "aligned-urial")]
        hints: list[str] = []
        fixed_hints: list[str] = []
        if any(v.summaries for v in variants):
            wanted = any(v.kind == "summary" for v in variants)
            hints, fixed_hints = self._summaries(answers if wanted else [], fixed)
        vectors = {
            kind: None
            if embedder is None or not any(v.kind == kind for v in variants)
            else embedder.embed(texts, self.progress)
            for kind, texts in (
                ("knn-prompt", [query(p) for p in self.prompts]),
                ("knn-response", answers),
            )
        }
        return Material(
            answers,
            fixed,
            hints,
            fixed_hints,
            vectors["knn-prompt"],
            vectors["knn-response"],
            self.sampling.seed,
            self.published,
        )

    def _summaries(
        self, answers: Sequence[str], fixed: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        """Summaries of the teacher's answers to the prompts, and to URIAL's questions."""
        assert self.asker is not None, "a summary variant without anybody who writes summaries"
        queries = [query(p) for p in self.prompts][: len(answers)] + [
            e.query for e in urial_examples()
        ]
        with self.record.stage("summaries"):
            texts = summaries(queries, [*answers, *fixed], self.asker, self.progress)
        rows = [{"query": q, "summary": t} for q, t in zip(queries, texts, strict=True)]
        write_text(self.out / "summaries.jsonl", json_lines(rows))
        return texts[: len(answers)], texts[len(answers) :]

    def _aligned(self) -> System:
        pair = self.pair
        return System("aligned", pair.aligned, pair.aligned_format, pair.aligned_stop_ids)

    def _fenced(self, name: str, stop: str) -> System:
        return System(name, self.pair.base, PlainFormat(), self.pair.stop_ids, stop=(stop,))

    def _count(self, texts: Sequence[str]) -> list[int]:
        return [
            len(ids) for ids in self.pair.base.tokenizer(list(texts), verbose=False)["input_ids"]
        ]

    def _note(self, variant: Variant, built: Built) -> None:
        self.examples[variant.name] = (built.examples, built.dropped)
        for p, n, dropped in zip(built.prompts, built.examples, built.dropped, strict=True):
            row = {
                "variant": variant.name,
                "prompt_id": p.id,
                "examples": n,
                "dropped": dropped,
                "sha256": sha256_text(p.plain),
            }
            self.shown.append(row)


def _own_answer(text: str) -> str:
    """The answer behind the own summary; where none follows, what was written in the
    summary's place."""
    summary, answer = cut_own_summary(text)
    return summary if answer is None else answer


def _with_text(r: Response, text: str) -> Response:
    return replace(r, text=text)
