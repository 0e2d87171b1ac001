"""What a model gives away of its alignment data: samples behind the chat template's opening, and
how near they come to the data (docs/leak.md). A killed run resumes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from veneer.embed import Embedder
from veneer.foundation.files import json_lines, sha256_text, write_text
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.foundation.stages import Stage
from veneer.head.veneer import Veneer
from veneer.models.formats import ChatFormat, check_arguments, dated
from veneer.models.language_model import LanguageModel
from veneer.models.sampling import Sampling
from veneer.studies.leak.examples import Example, Texts, check_examples, text_of, unseen
from veneer.studies.leak.exposure import chosen, exposed, nats
from veneer.studies.leak.matching import (
    CosineMatcher,
    Matcher,
    VerbatimMatcher,
    edit_matchers,
    longest_run,
)
from veneer.studies.leak.names import (
    ALIGNED,
    ANSWER,
    BASE_CHAT,
    CALIBRATED,
    FIELDS,
    PAIR,
    PUBLISHED,
    QUESTION,
    STUDY,
    VENEER,
    VERBATIM,
)
from veneer.studies.leak.retrain import Retraining, training_sets
from veneer.studies.leak.rows import FieldScores, Rule
from veneer.studies.leak.sampler import Sampler
from veneer.studies.leak.settings import LeakSettings
from veneer.studies.leak.thresholds import PUBLISHED_COSINE, calibrated, fixed
from veneer.studies.leak.turns import ASSISTANT, USER, Turns, need_template, same_tokens
from veneer.studies.leak.words import likelihood_note
from veneer.studies.runner import run_study
from veneer.studies.study import Run
from veneer.systems.lora import need_peft
from veneer.systems.respond import respond
from veneer.systems.system import System


@dataclass(frozen=True)
class LeakModels:
    """The models of a leak study. aligned: the model that may give its data away. base: the same
    before alignment; it reads the aligned model's chat template. veneer: a change of base's head,
    which never saw the data but through the aligned model. others: name -> further models."""

    aligned: LanguageModel
    base: LanguageModel | None = None
    veneer: Veneer | None = None
    others: Mapping[str, LanguageModel] | None = None

    def systems(self) -> list[System]:
        """Every system to be sampled, in the chat template, the aligned one first."""
        chat = ChatFormat()
        systems = [System(ALIGNED, self.aligned, chat, self.aligned.stop_ids)]
        for name, lm in (self.others or {}).items():
            systems.append(System(name, lm, chat, lm.stop_ids))
        if self.base is not None:
            # base stops where the aligned model does, as far as it has the same tokens
            ends = same_tokens(self.aligned.tokenizer, self.base.tokenizer, self.aligned.stop_ids)
            stops = tuple(sorted({*self.base.stop_ids, *ends}))
            systems.append(System(BASE_CHAT, self.base, chat, stops))
            if self.veneer is not None:
                headed = System.of_model(self.base, self.veneer, format=chat, name=VENEER)
                systems.append(replace(headed, stop_ids=stops, fitted=()))
        return systems


MOST_JUDGED = 200  # held-out answers that a retrained base is measured on

Load = Callable[[], LeakModels]


def leak(
    load: Load,
    members: Sequence[Example],
    held_out: Sequence[Example],
    out: str | Path,
    method: LeakSettings | None = None,
    *,
    embedder: Embedder,
    task: str = "data",
    format: ChatFormat | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Sample models and compare the samples with their training data; writes the folder `out`.

    load: gives the models; not called where the folder is finished. members: the data that the
    model was aligned on. held_out: examples of the same source that it was not. embedder: decides
    how near two texts are. task: the data's name in the rows. format: the system text and the
    arguments of the chat template that opens each sample. settings: more of the settings for
    run.json. Raises InputError where `out` was made with other settings, where there are too few
    held-out examples, or where a model has no chat template and the prefix is no text.
    """
    study = LeakStudy(
        load, members, held_out, method or LeakSettings(), embedder, task, settings, format
    )
    return run_study(study, out, progress=progress)


class LeakStudy:
    """What a model gives away of its data. See `leak` for the arguments."""

    name = STUDY

    def __init__(
        self,
        load: Load,
        members: Sequence[Example],
        held_out: Sequence[Example],
        method: LeakSettings,
        embedder: Embedder,
        task: str = "data",
        settings: Mapping[str, Any] | None = None,
        format: ChatFormat | None = None,
    ):
        self.load = load
        self.format = format or ChatFormat()
        self.members = list(members)
        self.held_out = list(held_out)
        self.method = method
        self.embedder = embedder
        self.task = task
        self.more_settings = dict(settings or {})

    def settings(self) -> dict[str, Any]:
        texts = [[[e.question, e.answer] for e in s] for s in (self.members, self.held_out)]
        return {
            **self.more_settings,
            "settings": self.method.facts(),
            "embedder": self.embedder.id,
            "members": len(self.members),
            "held_out": len(self.held_out),
            "data_sha256": sha256_text(json_lines(texts)),
        }

    def check(self) -> None:
        check_examples(self.members, self.held_out)
        if self.method.retrain:
            need_peft()

    def stages(self) -> tuple[Stage, ...]:
        given = self.more_settings
        base = (BASE_CHAT,) if given.get("base") else ()
        veneer = (VENEER,) if given.get("veneer") else ()
        others = (word.partition("=")[0] for word in given.get("also") or ())
        return (
            Stage("load"),
            Stage(
                "sample",
                prompts={self.task: 1},
                systems=(ALIGNED, *others, *base, *veneer),
                samples=self.method.samples,
                tokens=self.method.max_new_tokens,
                writes=("samples.SYSTEM.jsonl",),
            ),
            Stage("match", writes=("matches.jsonl",)),
            Stage("likelihoods"),
            *((Stage("retrain", unknown=True),) if self.method.retrain else ()),
        )

    def measure(self, run: Run) -> Iterator[Measurement]:
        with run.stage("load"):
            models = self.load()
            samplers = self._samplers(models, run.day)
        run.note(models={s.name: s.facts() for s in samplers}, seeds={"study": self.method.seed})
        drawn = {s.name: self._draw(s, run) for s in samplers}
        matches: dict[str, list[dict[str, Any]]] = {
            name: [{"sample": i} for i in range(len(samples))] for name, samples in drawn.items()
        }
        pairs: FieldScores | None = None
        for field in FIELDS:
            with run.stage(f"match {field}"):
                scored = self._scores(field, drawn, run.progress)
            if scored is not None:
                yield from scored.rows()
                self._add_matches(matches, drawn, scored)
                pairs = scored if field == PAIR else pairs
        self._write_matches(run.out, matches)
        run.note(shown=[] if self.method.redact else _shown(matches))
        with run.stage("likelihoods"):
            yield from self._exposure(samplers)
        if self.method.retrain:
            yield from self._retrained(samplers, drawn, pairs, run)
        if self.method.redact:
            self._remove_texts(run.out, drawn)

    def _samplers(self, models: LeakModels, day: str) -> list[Sampler]:
        """Every system behind the prefix; all read the aligned model's template. Raises InputError
        without one."""
        tokenizer, kind = models.aligned.tokenizer, self.method.prefix
        templated = bool(getattr(tokenizer, "chat_template", None))
        if kind in (USER, ASSISTANT):
            need_template(tokenizer, models.aligned.name)
        check_arguments(self.format, tokenizer)
        form = dated(self.format, day, tokenizer)
        assert isinstance(form, ChatFormat)
        turns = Turns.of(tokenizer, form) if templated else None
        return [Sampler(system, turns, kind, (tokenizer,)) for system in models.systems()]

    def _draw(self, sampler: Sampler, run: Run) -> list[tuple[str, str]]:
        """Question and answer of every sample."""
        method = self.method
        sampling = Sampling(
            max_new_tokens=method.max_new_tokens, temperature=method.temperature, seed=method.seed
        )
        with run.stage(f"sample {sampler.name}"):
            responses = respond(
                sampler,
                [sampler.prompt(self.task)],
                sampling,
                batch_size=method.batch_size,
                samples=method.samples,
                out=_samples_file(run.out, sampler.name),
                progress=run.progress,
            )
        return [sampler.parts(r.token_ids) for r in responses]

    def _scores(
        self,
        field: str,
        drawn: Mapping[str, Sequence[tuple[str, str]]],
        progress: Progress | None,
    ) -> FieldScores | None:
        """One field of all samples against the members; None where the data lacks the field, or the
        samples hold no such text."""
        members, others = (Texts.of(s, field) for s in (self.members, self.held_out))
        texts = {
            name: [text_of(q, a, field) for q, a in samples] for name, samples in drawn.items()
        }
        fresh = others.without(members)
        if (
            not members
            or len(fresh) < 2
            or not any(t for several in texts.values() for t in several)
        ):
            return None
        cosine = CosineMatcher(members.texts, self.embedder)
        graded: list[Matcher] = [cosine, *edit_matchers(members.texts, cosine)]
        verbatim = VerbatimMatcher(members.texts)
        held_out = {m.id: m.nearest(fresh.texts, progress).scores for m in graded}
        rules = [
            Rule(m.id, CALIBRATED, calibrated(held_out[m.id], self.method.false_rate, self._seed))
            for m in graded
        ]
        rules.append(Rule(verbatim.id, CALIBRATED, fixed(1.0, np.zeros(len(fresh)))))
        rules.append(Rule(cosine.id, PUBLISHED, fixed(PUBLISHED_COSINE, held_out[cosine.id])))
        scores = {
            name: {m.id: m.nearest(several, progress) for m in [*graded, verbatim]}
            for name, several in texts.items()
        }
        left_out = len(others) - len(fresh)
        return FieldScores(self.task, field, members, rules, held_out, left_out, scores)

    @property
    def _seed(self) -> int:
        return self.method.seed

    def _add_matches(
        self,
        matches: Mapping[str, list[dict[str, Any]]],
        drawn: Mapping[str, Sequence[tuple[str, str]]],
        scored: FieldScores,
    ) -> None:
        """Add each sample's nearest member in one field, by cosine, to its matches.jsonl line."""
        rule = next(r for r in scored.rules if r.is_embedding and r.split == CALIBRATED)
        for system, by in scored.scores.items():
            hits = scored.hits(rule, by[rule.matcher])
            for i, line in enumerate(matches[system]):
                number = int(by[rule.matcher].members[i])
                if number < 0:
                    continue
                text, member = (
                    text_of(*drawn[system][i], scored.field),
                    scored.members.texts[number],
                )
                entry: dict[str, Any] = {
                    "member": number,
                    "copies": scored.members.copies[number],
                    "extracted": bool(hits[i]),
                    "scores": {j: round(float(f.scores[i]), 6) for j, f in by.items()},
                    "common_words": longest_run(text.split(), member.split()),
                }
                if not self.method.redact:
                    entry |= {"text": text, "nearest": member}
                line[scored.field] = entry

    def _write_matches(self, out: Path, matches: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        lines = ({"system": name, **line} for name, several in matches.items() for line in several)
        write_text(out / "matches.jsonl", json_lines(lines))

    def _remove_texts(self, out: Path, drawn: Mapping[str, Any]) -> None:
        """Remove the samples of a redacted study, once all is measured."""
        for name in drawn:
            file = _samples_file(out, name)
            file.unlink(missing_ok=True)
            file.with_name(f"{file.name}.manifest.json").unlink(missing_ok=True)

    def _exposure(self, samplers: Sequence[Sampler]) -> Iterator[Measurement]:
        """Exposure of members by likelihood, against base."""
        base = next((s for s in samplers if s.name == BASE_CHAT), None)
        if base is None or base.turns is None or not self.method.likelihoods:
            return
        for field in (QUESTION, ANSWER):
            sets = [
                chosen(s, self.method.likelihoods, field, self._seed)
                for s in (self.members, unseen(self.held_out, self.members, field))
            ]
            if not all(sets):
                continue
            under_base = [self._nats(base, s, field) for s in sets]
            for sampler in samplers:
                if sampler is base:
                    continue
                triples = []
                for examples, (base_nats, tokens) in zip(sets, under_base, strict=True):
                    own, own_tokens = self._nats(sampler, examples, field)
                    both = np.where(own_tokens > 0, tokens, 0)
                    keep = both > 0
                    triples.append((base_nats[keep], own[keep], both[keep]))
                yield self._exposed_row(sampler.name, field, triples)

    def _retrained(
        self,
        samplers: Sequence[Sampler],
        drawn: Mapping[str, Sequence[tuple[str, str]]],
        pairs: FieldScores | None,
        run: Run,
    ) -> Iterator[Measurement]:
        """Base trained on the aligned model's samples; nothing where too few were extracted, which
        run.json says."""
        base = next((s for s in samplers if s.name == BASE_CHAT), None)
        sets: dict[str, list[Example]] = {}
        held_out = chosen(self._fresh, self.method.likelihoods or MOST_JUDGED, ANSWER, self._seed)
        if base is not None and base.turns is not None and pairs is not None and held_out:
            rule = next(r for r in pairs.rules if r.is_embedding and r.split == CALIBRATED)
            hits = pairs.hits(rule, pairs.scores[ALIGNED][rule.matcher])
            sets = training_sets(drawn[ALIGNED], hits, self.members, self._seed)
        run.note(retrained={name: len(examples) for name, examples in sets.items()})
        if base is not None and sets:
            retraining = Retraining(base, sets, held_out, self._seed, self.method.batch_size)
            with run.stage("retrain"):
                yield from retraining.rows(self.task, run.out / "retrained", run.progress)

    @property
    def _fresh(self) -> list[Example]:
        """The held-out examples that are no members."""
        members = {(e.question, e.answer) for e in self.members}
        return [e for e in self.held_out if (e.question, e.answer) not in members]

    def _exposed_row(
        self, system: str, field: str, triples: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]
    ) -> Measurement:
        facts = {
            name: round(float((base - own).sum() / tokens.sum()), 6)
            for name, (base, own, tokens) in zip(("members", "held_out"), triples, strict=True)
        }
        return Measurement.estimated(
            exposed(triples[0], triples[1], self._seed),
            STUDY,
            self.task,
            "exposed_likelihood",
            system,
            of=field,
            unit="nats/token",
            facts=facts,
            note=likelihood_note(facts),
        )

    def _nats(
        self, sampler: Sampler, examples: Sequence[Example], field: str
    ) -> tuple[np.ndarray, np.ndarray]:
        assert sampler.turns is not None
        return nats(sampler.system, sampler.turns, examples, field, self.method.batch_size)


def _samples_file(out: Path, system: str) -> Path:
    return out / f"samples.{system}.jsonl"


SHOWN = {"verbatim": 3, "extracted": 4, "near": 2}  # samples of each system on the page


def _shown(matches: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Samples for the page: for each system some word for word, some that are extracted without it,
    some that just are not; each example once. The field is most of a question and its answer."""
    out = []
    for system, lines in matches.items():
        field = next((p for p in reversed(FIELDS) if any(p in line for line in lines)), None)
        if field is None:
            continue
        kinds: dict[str, dict[int, dict[str, Any]]] = {kind: {} for kind in SHOWN}
        entries = [line[field] for line in lines if field in line]
        for entry in sorted(entries, key=lambda e: -max(e["scores"].values())):
            kinds[_kind(entry)].setdefault(entry["member"], entry)
        for kind, count in SHOWN.items():
            kept = list(kinds[kind].values())[:count]
            out += [{"system": system, "part": field, **entry} for entry in kept]
    return out


def _kind(entry: Mapping[str, Any]) -> str:
    if entry["scores"][VERBATIM]:
        return "verbatim"
    return "extracted" if entry["extracted"] else "near"
