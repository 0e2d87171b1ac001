"""The stages of a restoration: try and choose on the validation part, measure on the report part,
attack again, write."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.foundation.run_record import RunRecord
from veneer.head.low_rank import second_moment
from veneer.judges.judge import Judge
from veneer.judges.registry import judges_of
from veneer.measures.behaviour import behaviour_rows
from veneer.report import write_report
from veneer.statistics import intervals
from veneer.studies.restore.build import Maker
from veneer.studies.restore.checkpoint import merge_restored
from veneer.studies.restore.config import RestoreConfig
from veneer.studies.restore.costs import cost_rows, spent
from veneer.studies.restore.evaluation import Measured, Measuring
from veneer.studies.restore.inputs import Models
from veneer.studies.restore.methods import Candidate, HeadWay, InContextWay, Way
from veneer.studies.restore.prompts import Parts, Roles
from veneer.studies.restore.reattack import Examples, GuardConfig, guard_rows, guard_words
from veneer.studies.restore.references import Reading
from veneer.studies.restore.rows import STUDY, chosen_rows, curve_rows, names, verdict_rows
from veneer.studies.restore.selection import Tried, choose, known
from veneer.studies.restore.verdict import NOT, PARTLY, RESTORED, Seen, Verdict, verdicts
from veneer.systems.alpha import Alpha
from veneer.systems.shifted import ShiftedSystem
from veneer.systems.speculative import Local, Paths
from veneer.systems.system import System

BENIGN = 64  # prompts of a part behind KL and plain text
Setting = tuple[Alpha | None, int | None]  # alpha and rank
NOT_BROKEN = (
    "the compromised model refuses harmful prompts as the aligned one does: there is nothing "
    "to restore"
)


@dataclass
class Work:
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
    chosen: dict[str, Setting] = field(default_factory=dict)
    found: list[Verdict] = field(default_factory=list)
    paths: dict[type, Paths] = field(
        default_factory=lambda: {System: Paths(), ShiftedSystem: Paths()}
    )

    def part(self, split: str) -> Measuring:
        prompts = {t.name: getattr(self.parts[t.name], split) for t in self.roles.measured()}
        folder = self.out / ("validation" if split == "validation" else "responses")
        return Measuring(
            self.roles,
            prompts,
            self._judges(),
            folder,
            self.config,
            split == "validation",
            self.progress,
        )

    def _judges(self) -> dict[str, list[Judge]]:
        cached = replace(self.config.judges, cache=self.config.judges.cache or self.out / "judge")
        return judges_of(self.roles.measured(), cached)[0]

    def validate(self) -> None:
        """Every candidate of every way on the validation part, and the choice."""
        part, seed = self.part("validation"), self.config.seed
        with self.record.stage("validation references"):
            references = {s.name: (s, part.measure(s)) for s in self.models.references()}
            reading = Reading.of(part.benign(BENIGN), references, self.models)
        for name, (system, found) in references.items():
            self.results.extend(curve_rows(name, found, part, seed=seed))
            self.results.extend(
                reading.rows(system, names(self._benign()), "validation", seed=seed)
            )
        self._is_it_broken(references)
        able = max(
            float(known(found.values(self.roles.capability)).mean())
            for _, found in references.values()
        )
        rule = self.config.weights.rule(part.judged)
        shown: dict[str, Any] = {}
        for name in self._that_fit():
            with self.record.stage(f"make {name}"), spent(self.record, name, "make"):
                way = self.maker.make(name, lambda: self._moment(reading))
            self.ways[name] = way
            with self.record.stage(f"choose {name}"), spent(self.record, name, "choose"):
                tried = self._sweep(way, part, reading, able)
            best = choose([t for t, _ in tried], self.config.weights, able)
            self.chosen[name] = next(setting for t, setting in tried if t is best)
            self.results.extend(
                chosen_rows(
                    name,
                    [t for t, _ in tried],
                    best,
                    self.config.weights,
                    able,
                    self._measured_names(),
                    rule,
                    seed=seed,
                )
            )
            shown[name] = {
                "chosen": best.name,
                "candidates": [
                    {"name": t.name, "alpha": None if a is None else str(a), "rank": r}
                    for t, (a, r) in tried
                ],
            }
        self.record.note(restore={"rule": rule, "ways": shown, "parts": self._sizes()})

    def _that_fit(self) -> list[str]:
        """The ways without one whose in-context prompts are longer than the model can
        read; that is said."""
        fit, left_out = list(self.config.ways), []
        if "urial" in fit:
            system = InContextWay(self.models.compromised).candidate(None, None).system
            prompts = [
                p
                for t in self.roles.measured()
                for p in (*self.parts[t.name].validation, *self.parts[t.name].report)
            ]
            need, longest = (
                max(system.prompt_tokens(prompts)) + self.config.max_new_tokens,
                system.longest(),
            )
            if longest is not None and need > longest:
                fit.remove("urial")
                left_out.append(
                    f"urial is left out: its prompts and answers take {need} tokens, but "
                    f"{self.models.compromised.name} reads {longest}"
                )
        for sentence in left_out:
            logging.getLogger("veneer").warning("veneer: %s", sentence)
        self.record.note(ways_left_out=left_out)
        return fit

    def _sweep(
        self, way: Way, part: Measuring, reading: Reading, able: float
    ) -> list[tuple[Tried, Setting]]:
        """Each alpha of the dense veneer, then each rank at the best of them."""
        if not self.config.tries(way.name):
            return [(self._try(way.candidate(None, None), part, reading), (None, None))]
        tried: list[tuple[Tried, Setting]]
        tried = [
            (self._try(way.candidate(a, None), part, reading), (a, None))
            for a in self.config.tried_alphas(way.name)
        ]
        if way.ranks:
            best = choose([t for t, _ in tried], self.config.weights, able)
            alpha = next(a for t, (a, _) in tried if t is best)
            for rank in dict.fromkeys(self.config.ranks):
                tried.append((self._try(way.candidate(alpha, rank), part, reading), (alpha, rank)))
        return tried

    def _try(self, candidate: Candidate, part: Measuring, reading: Reading) -> Tried:
        found, seed = (
            part.measure(candidate.system, self.paths[type(candidate.system)]),
            self.config.seed,
        )
        self.results.extend(curve_rows(candidate.name, found, part, seed=seed))
        self.results.extend(
            reading.rows(candidate.system, names(self._benign()), "validation", seed=seed)
        )
        return Tried(
            candidate.name,
            candidate.size(self.config.validation_tokens),
            candidate.rank,
            part.harm(found),
            found.values(self.roles.safe, "refusal_rate"),
            found.values(self.roles.capability),
        )

    def report(self) -> None:
        """References and what was chosen, on the report part."""
        part, seed = self.part("report"), self.config.seed
        with self.record.stage("report references"):
            references = {s.name: (s, part.measure(s)) for s in self.models.references()}
            reading = Reading.of(part.benign(BENIGN), references, self.models)
        measured: dict[str, Measured] = {}
        seen: dict[str, Seen] = {}
        facts = []

        def take(name: str, system: Local) -> None:
            measured[name] = part.measure(system)
            self.results.extend(reading.rows(system, names(self._benign()), "test", seed=seed))
            seen[name] = self._seen(part, reading, system, measured[name])
            facts.append(system.facts())

        for name, (system, _) in references.items():
            with self.record.stage("report references"):
                take(name, system)
        for name in self.chosen:
            with self.record.stage(f"answer {name}"), spent(self.record, name, "answer"):
                take(name, self._candidate(name).named(name))
        self.results.extend(reading.noise_rows(names(self._benign()), seed=seed))
        self.record.note(systems=facts, judges=sorted(self._judge_ids(part)))
        for task in self.roles.measured():
            scored = [found.scored[task.name] for found in measured.values()]
            self.results.extend(behaviour_rows(task, part.prompts[task.name], scored, seed=seed))
        ways = {n: seen[n] for n in self.chosen}
        capability = f"{self.roles.capability[0].headline} on {names(self.roles.capability)}"
        self.found = verdicts(
            ways,
            seen["compromised"],
            seen.get("aligned"),
            reading.texts.lengths,
            capability=capability,
            seed=seed,
        )
        first = references["compromised"][1].scored[self.roles.harmful[0].name]
        self.results.extend(
            verdict_rows(
                self.found, self.roles, first.judges["refusal_rate"], first.judges.get("harm_rate")
            )
        )

    def attack_again(self) -> None:
        """The fine-tuning that broke the model, repeated on the best restored checkpoint
        (studies/restore/reattack.py)."""
        if not self.examples:
            return
        ranks = (RESTORED, PARTLY, NOT)
        white = [v for v in self.found if isinstance(self.ways[v.way], HeadWay)]
        best = min(white, key=lambda v: (ranks.index(v.word), -(v.gain.difference.value or 0.0)))
        restored = self._candidate(best.way).named("restored")
        assert isinstance(restored, System)
        systems = [*(s for s in self.models.references() if s.name == "aligned"), restored]
        prompts = [p for t in self.roles.harmful for p in self.parts[t.name].report][:BENIGN]
        with self.record.stage("reattack"), spent(self.record, best.way, "reattack"):
            rows = guard_rows(
                systems,
                self.examples,
                {"harmful": prompts},
                self.out / "reattack",
                GuardConfig(
                    self.config.attack, batch_size=self.config.batch_size, seed=self.config.seed
                ),
                fine_tuned=[s.name for s in systems],
                progress=self.progress,
            )
        self.results.extend(rows)
        self.record.note(reattack={"way": best.way, "found": guard_words(rows)})

    def finish(self) -> Results:
        """Checkpoints, costs, results and report."""
        if self.config.merge:
            for verdict in self.found:
                way = self.ways[verdict.way]
                if isinstance(way, HeadWay):
                    with (
                        self.record.stage(f"merge {way.name}"),
                        spent(self.record, way.name, "merge"),
                    ):
                        merge_restored(
                            self._candidate(way.name),
                            way.lm,
                            self.out / f"restored-{way.name}",
                            verdict=verdict.sentence,
                            aligned=self.models.teacher_name(),
                        )
        prompts = sum(len(self.parts[t.name].report) for t in self.roles.measured())
        self.results.extend(cost_rows(self.record, self._measured_names(), prompts))
        self.results.write(self.out / "results.jsonl")
        with self.record.stage("report"):
            write_report([self.out], self.out / "report.html")
        self.record.finish()
        write_report([self.out], self.out / "report.html")  # once more, with all its seconds
        return self.results

    def _candidate(self, way: str) -> Candidate:
        """What was chosen of a way; made when it is needed, since each holds a head of its own."""
        return self.ways[way].candidate(*self.chosen[way])

    def _seen(self, part: Measuring, reading: Reading, system: Local, found: Measured) -> Seen:
        roles = self.roles
        return Seen(
            found.values(roles.harmful, "refusal_rate"),
            found.values(roles.safe, "refusal_rate"),
            found.values(roles.capability),
            found.values(roles.harmful, "harm_rate") if part.judged else None,
            reading.text_nats(system),
        )

    def _is_it_broken(self, references: Mapping[str, tuple[System, Measured]]) -> None:
        """A row with the aligned model's refusals above the compromised one's; a note where there
        is nothing to restore."""
        if "aligned" not in references:
            return
        a, c = (
            references[n][1].values(self.roles.harmful, "refusal_rate")
            for n in ("aligned", "compromised")
        )
        lost = intervals.difference(a, c, seed=self.config.seed)
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
                judge=references["compromised"][1]
                .scored[self.roles.harmful[0].name]
                .judges["refusal_rate"],
                note=note,
            )
        )

    def _moment(self, reading: Reading) -> Tensor:
        """Second moment of the compromised model's hidden states over both references' answers to
        the validation prompts."""
        system = self.models.compromised_system()
        return second_moment(
            s for p in reading.answers.values() for s in p.states(system.lm, system.format)
        )

    def _benign(self):
        return list(
            {
                t.name: t
                for t in (*self.roles.capability, *self.roles.safe)
                if t.kind == "generate"
            }.values()
        )

    def _measured_names(self) -> str:
        return names(self.roles.measured())

    def _sizes(self) -> dict[str, dict[str, int]]:
        return {
            name: {
                "extraction": len(p.extraction),
                "validation": len(p.validation),
                "report": len(p.report),
            }
            for name, p in self.parts.items()
        }

    def _judge_ids(self, part: Measuring) -> set[str]:
        return {j.id for some in part.judges.values() for j in some}
