"""Restore: put alignment back on a model that fine-tuning broke, and say what it costs (docs/restore.md)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from veneer import stats
from veneer.errors import InputError
from veneer.files import folder_lock
from veneer.head.truncate import second_moment
from veneer.judges.judge import Judge
from veneer.judges.registry import judges_of
from veneer.models.vocabulary import match_vocabularies
from veneer.report import write_report
from veneer.results import Measurement, Results
from veneer.studies.behaviour import behaviour_rows
from veneer.studies.guard import Examples, GuardConfig, attack_examples, guard_rows, guard_words
from veneer.studies.restore_at_hand import AtHand, Models
from veneer.studies.restore_choice import Tried, choose, known
from veneer.studies.restore_config import RestoreConfig
from veneer.studies.restore_costs import cost_rows, spent
from veneer.studies.restore_make import Maker
from veneer.studies.restore_measure import Measured, Measuring
from veneer.studies.restore_merge import merge_restored
from veneer.studies.restore_prompts import Parts, Roles, parts_of
from veneer.studies.restore_reading import Passages, plain_texts
from veneer.studies.restore_rows import STUDY, chosen_rows, curve_rows, names, reading_rows, verdict_rows
from veneer.studies.restore_verdict import NOT, PARTLY, RESTORED, Seen, Verdict, verdicts
from veneer.studies.restore_ways import Candidate, HeadWay, InContextWay, Way
from veneer.studies.stages import Progress, RunRecord
from veneer.systems.attack import need_peft
from veneer.systems.responses import Response
from veneer.systems.retraced import Local, Paths
from veneer.systems.shifted import ShiftedSystem
from veneer.systems.system import System

BENIGN = 64  # prompts of a part behind KL and plain text
NOT_BROKEN = "the compromised model refuses harmful prompts as the aligned one does: there is nothing to restore"


def restore(
    at_hand: AtHand,
    roles: Roles,
    out: str | Path,
    config: RestoreConfig | None = None,
    *,
    said: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Try every way on the validation part, choose alpha and rank there, measure what was chosen on the report part, and write the study
    folder (docs/restore.md). at_hand: the models, which are not loaded where the folder is finished already.

    Raises InputError where a way lacks what it needs, a task its prompts, or `out` was made with another configuration.
    """
    config, out = config or RestoreConfig(), Path(out)
    at_hand.check(config.ways)
    if "shifted" in config.ways and (choices := [t.name for t in roles.capability if t.kind == "choice"]):
        raise InputError(
            f"{', '.join(choices)} compares likelihoods, which a shifted system does not give; leave shifted out of --ways, or take a "
            "capability that is answered in words"
        )
    safe, measured = {t.name for t in roles.safe}, {t.name for t in roles.measured()}
    learned = {t.name for t in roles.learned()}
    tasks = {t.name: t for t in (*roles.measured(), *roles.learned())}
    parts = {
        name: parts_of(
            t,
            measured=name in measured,
            safe=name in safe,
            extraction=config.train if name in learned else 0,
            validation=config.validation,
            report=config.test,
        )
        for name, t in tasks.items()
    }
    if at_hand.extracts(config.ways) and not any(parts[t.name].extraction for t in roles.harmful):
        raise InputError(
            f"{names(roles.harmful)} has no train prompts to learn refusals from; add a task that has, such as advbench, or use the "
            "ways head and shifted with a veneer that is there"
        )
    examples = again(config, at_hand)
    _, missing = judges_of(roles.measured(), config.judges)
    with folder_lock(out):
        record = RunRecord(out, "restore", {**(said or {}), "tasks": _facts(roles), "settings": config.facts()})
        if record.finished:
            return Results.read(out / "results.jsonl")
        for name, why in missing.items():
            logging.getLogger("veneer").warning("veneer: the judge %s is left out: %s", name, why)
        with record.stage("load"):
            models = at_hand.load(config.ways)
            prompts = [p for t in roles.learned() for p in parts[t.name].extraction]
            maker = Maker(models, prompts, out, config, record, progress)
            maker.check(config.ways)
        record.note(
            models=models.facts(),
            data={n: t.source() for n, t in tasks.items()},
            judges_missing=missing,
            seeds={"study": config.seed},
        )
        work = _Work(models, maker, roles, parts, out, config, record, progress, examples)
        work.validate()
        work.report()
        work.attack_again()
        return work.finish()


def again(config: RestoreConfig, at_hand: AtHand) -> Examples:
    """What a repeated attack learns from; nothing where none is asked for. Raises InputError where there is nothing to attack."""
    if config.reattack is None:
        return ()
    if not any(w == "head" or w.startswith("own") for w in config.ways):
        raise InputError(
            "only a restored checkpoint can be fine-tuned again, and none of the ways makes one; add head or own to --ways"
        )
    need_peft()
    return attack_examples(config.reattack, data=at_hand.data)


def _facts(roles: Roles) -> dict[str, list[str]]:
    return {role: [t.name for t in getattr(roles, role)] for role in ("harmful", "safe", "capability", "harmless")}


@dataclass
class _Work:
    """What the stages share."""

    models: Models
    maker: Maker
    roles: Roles
    parts: Mapping[str, Parts]
    out: Path
    config: RestoreConfig
    record: RunRecord
    progress: Progress | None
    examples: Examples = ()
    results: Results = field(default_factory=Results)
    ways: dict[str, Way] = field(default_factory=dict)
    chosen: dict[str, Candidate] = field(default_factory=dict)
    found: list[Verdict] = field(default_factory=list)
    paths: dict[type, Paths] = field(default_factory=lambda: {System: Paths(), ShiftedSystem: Paths()})

    def part(self, split: str) -> Measuring:
        prompts = {t.name: getattr(self.parts[t.name], split) for t in self.roles.measured()}
        folder = self.out / ("validation" if split == "validation" else "responses")
        return Measuring(self.roles, prompts, self._judges(), folder, self.config, split == "validation", self.progress)

    def _judges(self) -> dict[str, list[Judge]]:
        from dataclasses import replace

        cached = replace(self.config.judges, cache=self.config.judges.cache or self.out / "judge")
        return judges_of(self.roles.measured(), cached)[0]

    def validate(self) -> None:
        """Every candidate of every way on the validation part, and the choice."""
        part, seed = self.part("validation"), self.config.seed
        with self.record.stage("validation references"):
            references = {s.name: (s, part.measure(s)) for s in self.models.references()}
            reading = _Reading.of(part, references, self.models)
        for name, (system, found) in references.items():
            self.results.extend(curve_rows(name, found, part, seed=seed))
            self.results.extend(reading.rows(system, names(self._benign()), "validation", seed=seed))
        self._is_it_broken(references)
        able = max(float(known(found.values(self.roles.capability)).mean()) for _, found in references.values())
        rule = self.config.weights.rule(part.judged)
        shown: dict[str, Any] = {}
        for name in self._that_fit():
            with self.record.stage(f"make {name}"), spent(self.record, name, "make"):
                way = self.maker.make(name, lambda: self._moment(reading))
            self.ways[name] = way
            with self.record.stage(f"choose {name}"), spent(self.record, name, "choose"):
                tried = self._sweep(way, part, reading, able)
            best = choose([t for t, _ in tried], self.config.weights, able)
            alpha, rank = next((a, r) for t, (a, r) in tried if t is best)
            self.chosen[name] = way.candidate(alpha, rank)
            self.results.extend(
                chosen_rows(name, [t for t, _ in tried], best, self.config.weights, able, self._measured_names(), rule, seed=seed)
            )
            shown[name] = {
                "chosen": best.name,
                "candidates": [{"name": t.name, "alpha": None if a is None else str(a), "rank": r} for t, (a, r) in tried],
            }
        self.record.note(restore={"rule": rule, "ways": shown, "parts": self._sizes()})

    def _that_fit(self) -> list[str]:
        """The ways without one whose in-context prompts are longer than the model can read; that is said."""
        fit, left_out = list(self.config.ways), []
        if "urial" in fit:
            system = InContextWay(self.models.compromised).candidate(None, None).system
            prompts = [p for t in self.roles.measured() for p in (*self.parts[t.name].validation, *self.parts[t.name].report)]
            need, longest = max(system.prompt_tokens(prompts)) + self.config.max_new_tokens, system.longest()
            if longest is not None and need > longest:
                fit.remove("urial")
                left_out.append(
                    f"urial is left out: its prompts and answers take {need} tokens, but {self.models.compromised.name} reads {longest}"
                )
        for sentence in left_out:
            logging.getLogger("veneer").warning("veneer: %s", sentence)
        self.record.note(ways_left_out=left_out)
        return fit

    def _sweep(self, way: Way, part: Measuring, reading: _Reading, able: float) -> list[tuple[Tried, tuple[Any, Any]]]:
        """Each alpha of the dense veneer, then each rank at the best of them."""
        if not self.config.tries(way.name):
            return [(self._try(way.candidate(None, None), part, reading), (None, None))]
        tried: list[tuple[Tried, tuple[Any, Any]]]
        tried = [(self._try(way.candidate(a, None), part, reading), (a, None)) for a in self.config.tried_alphas(way.name)]
        if way.ranks:
            best = choose([t for t, _ in tried], self.config.weights, able)
            alpha = next(a for t, (a, _) in tried if t is best)
            for rank in dict.fromkeys(self.config.ranks):
                tried.append((self._try(way.candidate(alpha, rank), part, reading), (alpha, rank)))
        return tried

    def _try(self, candidate: Candidate, part: Measuring, reading: _Reading) -> Tried:
        found, seed = part.measure(candidate.system, self.paths[type(candidate.system)]), self.config.seed
        self.results.extend(curve_rows(candidate.name, found, part, seed=seed))
        self.results.extend(reading.rows(candidate.system, names(self._benign()), "validation", seed=seed))
        return Tried(
            candidate.name, candidate.size(self.config.validation_tokens), candidate.rank, part.harm(found),
            found.values(self.roles.safe, "refusal_rate"), found.values(self.roles.capability),
        )  # fmt: skip

    def report(self) -> None:
        """References and what was chosen, on the report part."""
        part, seed = self.part("report"), self.config.seed
        with self.record.stage("report references"):
            references = {s.name: (s, part.measure(s)) for s in self.models.references()}
            reading = _Reading.of(part, references, self.models)
        measured: dict[str, tuple[Local, Measured]] = dict(references)
        for name, one in self.chosen.items():
            with self.record.stage(f"answer {name}"), spent(self.record, name, "answer"):
                system = one.named(name)
                measured[name] = (system, part.measure(system))
        self.record.note(systems=[s.facts() for s, _ in measured.values()], judges=sorted(self._judge_ids(part)))
        for task in self.roles.measured():
            scored = [found.scored[task.name] for _, found in measured.values()]
            self.results.extend(behaviour_rows(task, part.prompts[task.name], scored, seed=seed))
        with self.record.stage("reading"):
            for system, _ in measured.values():
                self.results.extend(reading.rows(system, names(self._benign()), "test", seed=seed))
            self.results.extend(reading.noise_rows(names(self._benign()), seed=seed))
            seen = {name: self._seen(part, reading, system, found) for name, (system, found) in measured.items()}
        ways = {n: seen[n] for n in self.chosen}
        capability = f"{self.roles.capability[0].headline} on {names(self.roles.capability)}"
        self.found = verdicts(
            ways, seen["compromised"], seen.get("aligned"), reading.texts.lengths, capability=capability, seed=seed
        )
        first = references["compromised"][1].scored[self.roles.harmful[0].name]
        self.results.extend(verdict_rows(self.found, self.roles, first.judges["refusal_rate"], first.judges.get("harm_rate")))

    def attack_again(self) -> None:
        """The fine-tuning that broke the model, repeated on the best restored checkpoint (studies/guard.py)."""
        if not self.examples:
            return
        ranks = (RESTORED, PARTLY, NOT)
        white = [v for v in self.found if isinstance(self.ways[v.way], HeadWay)]
        best = min(white, key=lambda v: (ranks.index(v.word), -(v.gain.difference.value or 0.0)))
        restored = self.chosen[best.way].named("restored")
        assert isinstance(restored, System)
        systems = [*(s for s in self.models.references() if s.name == "aligned"), restored]
        prompts = [p for t in self.roles.harmful for p in self.parts[t.name].report][:BENIGN]
        with self.record.stage("reattack"), spent(self.record, best.way, "reattack"):
            rows = guard_rows(
                systems, self.examples, {"harmful": prompts}, self.out / "reattack",
                GuardConfig(self.config.attack, batch_size=self.config.batch_size, seed=self.config.seed),
                fine_tuned=[s.name for s in systems], progress=self.progress,
            )  # fmt: skip
        self.results.extend(rows)
        self.record.note(reattack={"way": best.way, "found": guard_words(rows)})

    def finish(self) -> Results:
        """Checkpoints, costs, results and report."""
        if self.config.merge:
            for verdict in self.found:
                way = self.ways[verdict.way]
                if isinstance(way, HeadWay):
                    with self.record.stage(f"merge {way.name}"), spent(self.record, way.name, "merge"):
                        merge_restored(
                            self.chosen[way.name], way.lm, self.out / f"restored-{way.name}", verdict=verdict.sentence,
                            aligned=self.models.teacher_name(),
                        )  # fmt: skip
        prompts = sum(len(self.parts[t.name].report) for t in self.roles.measured())
        self.results.extend(cost_rows(self.record, self._measured_names(), prompts))
        self.results.write(self.out / "results.jsonl")
        with self.record.stage("report"):
            write_report([self.out], self.out / "report.html")
        self.record.finish()
        write_report([self.out], self.out / "report.html")  # once more, with all its seconds
        return self.results

    def _seen(self, part: Measuring, reading: _Reading, system: Local, found: Measured) -> Seen:
        roles = self.roles
        return Seen(
            found.values(roles.harmful, "refusal_rate"), found.values(roles.safe, "refusal_rate"), found.values(roles.capability),
            found.values(roles.harmful, "harm_rate") if part.judged else None, reading.text_nats(system),
        )  # fmt: skip

    def _is_it_broken(self, references: Mapping[str, tuple[System, Measured]]) -> None:
        """A row with the aligned model's refusals above the compromised one's; a note where there is nothing to restore."""
        if "aligned" not in references:
            return
        a, c = (references[n][1].values(self.roles.harmful, "refusal_rate") for n in ("aligned", "compromised"))
        lost = stats.difference(a, c, seed=self.config.seed)
        note = None if lost.low is not None and lost.low > 0 else NOT_BROKEN
        if note:
            logging.getLogger("veneer").warning("veneer: %s", note)
        self.record.note(note=note)
        self.results.add(
            Measurement.estimated(
                lost,
                STUDY,
                names(self.roles.harmful),
                "lost_refusals",
                "compromised",
                split="validation",
                unit="share",
                note=note,
            )
        )

    def _moment(self, reading: _Reading) -> Tensor:
        """Second moment of the compromised model's hidden states over both references' answers to the validation prompts."""
        system = self.models.compromised_system()
        return second_moment(s for p in reading.answers.values() for s in p.states(system.lm, system.format))

    def _benign(self):
        return list({t.name: t for t in (*self.roles.capability, *self.roles.safe) if t.kind == "generate"}.values())

    def _measured_names(self) -> str:
        return names(self.roles.measured())

    def _sizes(self) -> dict[str, dict[str, int]]:
        return {
            name: {"extraction": len(p.extraction), "validation": len(p.validation), "report": len(p.report)}
            for name, p in self.parts.items()
        }

    def _judge_ids(self, part: Measuring) -> set[str]:
        return {j.id for some in part.judges.values() for j in some}


@dataclass
class _Reading:
    """The passages of a part: answers of the references to benign prompts, and plain texts."""

    references: Mapping[str, System]
    answers: Mapping[str, Passages]
    texts: Passages

    @classmethod
    def of(cls, part: Measuring, references: Mapping[str, tuple[System, Measured]], models: Models) -> _Reading:
        prompts = part.benign(BENIGN)
        lm = models.compromised
        other = None if models.aligned is None else (models.aligned, match_vocabularies(lm, models.aligned))
        answers = {}
        for name, (system, found) in references.items():
            by_id = {(r.task, r.prompt_id): r for some in found.answers.values() for r in some}
            rows = [(p, _own_ids(by_id[p.task, p.id], system, other)) for p in prompts]
            rows = [(p, ids) for p, ids in rows if ids]
            answers[name] = Passages([p for p, _ in rows], [ids for _, ids in rows], lm.pad_id, other)
        texts = plain_texts(prompts, lm)
        texts.other = other
        return cls({n: s for n, (s, _) in references.items()}, answers, texts)

    def rows(self, system: Local, task: str, split: str, *, seed: int) -> list[Measurement]:
        """kl_from_compromised, kl_from_aligned: KL(reference || system) on the reference's own answers to benign prompts; text_nats: -log p
        of the prompts' plain text."""
        sums = {
            f"kl_from_{name}": (passages.kl(self.references[name], system), passages.lengths)
            for name, passages in self.answers.items()
            if name != system.name and len(passages.tokens)
        }
        nats = self.text_nats(system)
        if nats is not None:
            sums["text_nats"] = (nats, self.texts.lengths)
        return list(reading_rows(system.name, task, split, sums, seed=seed))

    def noise_rows(self, task: str, *, seed: int) -> list[Measurement]:
        """The noise floor: the compromised model against itself at another batch size."""
        system = self.references["compromised"]
        values, tokens = self.answers["compromised"].noise(system)
        note = "noise floor: the same model at batch size 1"
        return list(reading_rows("compromised", task, "noise", {"kl_from_compromised": (values, tokens)}, seed=seed, note=note))

    def text_nats(self, system: Local) -> np.ndarray | None:
        """None for a system that reads instructions of its own before everything."""
        return None if system.name.startswith("urial") or not self.texts.tokens else self.texts.nats(system)


def _own_ids(response: Response, system: System, other: Any) -> tuple[int, ...]:
    """A reference's answer in the compromised model's token ids."""
    if other is None or system.lm is not other[0]:
        return response.token_ids
    return tuple(other[1].ids_from_other(list(response.token_ids)))
