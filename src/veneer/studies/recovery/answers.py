"""The answers of all systems in a recovery study of models: the teacher's, base's, base's in
context, a veneer's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from veneer.embed import Embedder
from veneer.foundation.files import file_name, json_lines, sha256_text, write_text
from veneer.head.recorded import chosen_format, recorded_format
from veneer.head.veneer import Veneer
from veneer.judges.asker import Asker
from veneer.models.formats import PlainFormat
from veneer.models.pair import Pair
from veneer.models.sampling import Sampling
from veneer.prompts.prompt import Prompt
from veneer.studies.recovery.prompts import (
    PromptMaterial,
    PromptSet,
    base_prompts,
    build,
    cut_answer,
    cut_own_summary,
    query,
    summaries,
)
from veneer.studies.recovery.settings import RecoverySettings
from veneer.studies.recovery.variants import FENCE, Variant, urial_examples
from veneer.studies.study import Run
from veneer.systems.respond import respond
from veneer.systems.responses import Response
from veneer.systems.system import Answering, System

# where a model that wrote its own summary and answer begins a question of its own
NEXT_QUERY = "# Query:"


@dataclass
class InContext:
    """Lets systems answer. Answers stand in OUT/responses; existing ones are read.

    writer: who writes summaries, where a variant needs them. examples: variant -> (shown, dropped)
    examples by prompt. prompt_rows: one row per variant and prompt, for in_context.jsonl.
    manifests: one of each system that answered.
    """

    run: Run
    pair: Pair
    prompts: Sequence[Prompt]
    method: RecoverySettings
    writer: Asker | None = None
    examples: dict[str, tuple[list[int], list[int]]] = field(default_factory=dict)
    prompt_rows: list[dict[str, Any]] = field(default_factory=list)
    manifests: list[dict[str, Any]] = field(default_factory=list)

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

    def variant(self, variant: Variant, material: PromptMaterial) -> list[Response]:
        """Base in context."""
        own = variant.own_summary
        system = self._fenced(variant.name, NEXT_QUERY if own else FENCE)
        longest = system.longest()
        budget = None if longest is None else longest - self.method.max_new_tokens
        built = build(variant, self.prompts, material, budget=budget, count=self._count)
        self._record(variant, built)
        responses = self.answer(system, built.prompts)
        cut = _own_answer if own else cut_answer
        return [replace(r, text=cut(r.text)) for r in responses]

    def answer(
        self,
        system: Answering,
        prompts: Sequence[Prompt],
        samples: int | None = None,
        name: str | None = None,
    ) -> list[Response]:
        """A system's answers. samples: per prompt, by default the settings'. name: of the file."""
        name = name or system.name
        with self.run.stage(f"answers {name}"):
            self.manifests.append(system.facts())
            return respond(
                system,
                prompts,
                self._sampling,
                batch_size=self.method.batch_size,
                samples=samples or self.method.samples,
                out=self.run.out / "responses" / f"{file_name(name)}.jsonl",
                progress=self.run.progress,
            )

    def material(self, teacher: Sequence[Response], embedder: Embedder | None) -> PromptMaterial:
        """What the variants need from the teacher, and no more."""
        variants = self.method.prompts
        first = {r.prompt_id: r.text for r in teacher if r.sample_id == 0}
        answers = [first[p.id] for p in self.prompts]
        fixed: list[str] = []
        if any(v.teacher_examples for v in variants):
            questions = [
                Prompt.from_text(f"urial-{i}", e.query, task="urial")
                for i, e in enumerate(urial_examples())
            ]
            fixed = [r.text for r in self.answer(self._aligned(), questions, 1, "aligned-urial")]
        hints: list[str] = []
        fixed_hints: list[str] = []
        if any(v.summaries for v in variants):
            hinted = any(v.hint for v in variants)
            hints, fixed_hints = self._summaries(answers if hinted else [], fixed)
        texts = {"prompt": [query(p) for p in self.prompts], "answer": answers}
        nearest_by = {v.nearest_by for v in variants}
        vectors = {
            kind: None
            if embedder is None or kind not in nearest_by
            else embedder.embed(rows, self.run.progress)
            for kind, rows in texts.items()
        }
        return PromptMaterial(
            answers,
            fixed,
            hints,
            fixed_hints,
            vectors["prompt"],
            vectors["answer"],
            self.method.seed,
            self.method.published,
        )

    def _summaries(
        self, answers: Sequence[str], fixed: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        """Summaries of the teacher's answers to the prompts, and to URIAL's questions."""
        assert self.writer is not None, "a summary variant without a writer of summaries"
        queries = [query(p) for p in self.prompts][: len(answers)] + [
            e.query for e in urial_examples()
        ]
        with self.run.stage("summaries"):
            texts = summaries(queries, [*answers, *fixed], self.writer, self.run.progress)
        rows = [{"query": q, "summary": t} for q, t in zip(queries, texts, strict=True)]
        write_text(self.run.out / "summaries.jsonl", json_lines(rows))
        return texts[: len(answers)], texts[len(answers) :]

    @property
    def _sampling(self) -> Sampling:
        method = self.method
        return Sampling(method.max_new_tokens, temperature=method.temperature, seed=method.seed)

    def _aligned(self) -> System:
        pair = self.pair
        return System("aligned", pair.aligned, pair.aligned_format, pair.aligned_stop_ids)

    def _fenced(self, name: str, stop: str) -> System:
        return System(name, self.pair.base, PlainFormat(), self.pair.stop_ids, stop=(stop,))

    def _count(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text."""
        return [
            len(ids) for ids in self.pair.base.tokenizer(list(texts), verbose=False)["input_ids"]
        ]

    def _record(self, variant: Variant, built: PromptSet) -> None:
        self.examples[variant.name] = (built.examples, built.dropped)
        for p, n, dropped in zip(built.prompts, built.examples, built.dropped, strict=True):
            row = {
                "variant": variant.name,
                "prompt_id": p.id,
                "examples": n,
                "dropped": dropped,
                "sha256": sha256_text(p.plain),
            }
            self.prompt_rows.append(row)


def _own_answer(text: str) -> str:
    """The answer after the model's own summary; without one, what it wrote in the summary's
    place."""
    summary, answer = cut_own_summary(text)
    return summary if answer is None else answer
