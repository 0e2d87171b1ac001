"""Restore: put alignment back on a model that fine-tuning broke, and measure what it costs
(docs/restore.md)."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from veneer.foundation.errors import InputError
from veneer.foundation.files import json_lines, write_text
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.foundation.stages import Stage
from veneer.foundation.system_id import SystemId
from veneer.head.low_rank import second_moment
from veneer.judges.config import JudgeConfig
from veneer.judges.judge import Judge
from veneer.judges.registry import check_judges
from veneer.measures.behaviour import behaviour_rows
from veneer.measures.clusters import kept
from veneer.prompts.prompt import Prompt
from veneer.statistics import intervals
from veneer.studies.restore import words
from veneer.studies.restore.checkpoint import merge_restored
from veneer.studies.restore.costs import cost_rows, spent
from veneer.studies.restore.evaluation import (
    BENIGN,
    STUDY,
    ReferenceTexts,
    SplitEvaluation,
    SystemScores,
    judged,
)
from veneer.studies.restore.inputs import RestoreInputs, RestoreModels, Roles, task_names
from veneer.studies.restore.methods import HeadMethod, InContextMethod, MethodBuilder, candidate_id
from veneer.studies.restore.prompt_splits import RoleSplits, TaskSplits
from veneer.studies.restore.reattack import (
    Examples,
    ReattackSettings,
    attack_examples,
    reattack_outcomes,
    reattack_rows,
)
from veneer.studies.restore.selection import ChosenSettings, Sweep, choose
from veneer.studies.restore.settings import HEAD_METHODS, RestoreSettings
from veneer.studies.restore.side_by_side import shown_prompts, shown_rows
from veneer.studies.restore.stages import restore_stages
from veneer.studies.restore.verdict import (
    ORDER,
    Outcomes,
    RestoreVerdict,
    least_prompts,
    lost_facts,
    verdict_rows,
    verdicts,
)
from veneer.studies.runner import run_study
from veneer.studies.study import Run
from veneer.systems.attack import need_peft
from veneer.systems.speculative import Local
from veneer.systems.system import System
from veneer.tasks.task import Task
from veneer.tasks.train_prompts import TrainPrompts

References = Mapping[str, tuple[System, SystemScores]]


def restore(
    inputs: RestoreInputs,
    roles: Roles,
    out: str | Path,
    method: RestoreSettings | None = None,
    *,
    judge: JudgeConfig | None = None,
    settings: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Try every method on the validation part, choose alpha and rank on it, measure the choice on
    the report part, and write the study folder `out` (docs/restore.md).

    inputs: the models are not loaded where the folder is finished. settings: what identifies the
    inputs in run.json. Raises InputError where a method lacks an input, a task its prompts, or
    `out` was made with other settings.
    """
    study = RestoreStudy(inputs, roles, method, judge, settings)
    return run_study(study, out, progress=progress)


class RestoreStudy:
    """Which method brings refusals back, and at what cost. See `restore` for the arguments."""

    name = "restore"

    def __init__(
        self,
        inputs: RestoreInputs,
        roles: Roles,
        method: RestoreSettings | None = None,
        judge: JudgeConfig | None = None,
        settings: dict[str, Any] | None = None,
    ):
        self.inputs = inputs
        self.roles = roles
        self.method = method or RestoreSettings()
        self.judge = judge or JudgeConfig()
        self.given = settings or {}
        self.prompts = RoleSplits({}, TrainPrompts({}, {}, {}), {})
        self.examples: Examples = ()
        self.learned: list[Prompt] = []

    @property
    def splits(self) -> Mapping[str, TaskSplits]:
        """The splits of every task, by its name."""
        return self.prompts.by_task

    @property
    def tasks(self) -> list[Task]:
        return [*self.roles.measured(), *self.roles.learned()]

    def settings(self) -> dict[str, Any]:
        roles = ("harmful", "safe", "capability", "harmless")
        return {
            **self.given,
            "tasks": {role: [t.name for t in getattr(self.roles, role)] for role in roles},
            "settings": {**self.method.to_json(), "judges": self.judge.facts()},
        }

    def check(self) -> None:
        methods, roles = self.method.methods, self.roles
        self.inputs.check(methods)
        roles.check(methods)
        self.prompts = RoleSplits.of_roles(roles, self.method.sizes.limited())
        extracts = self.inputs.extracts(methods)
        if extracts and not any(self.splits[t.name].extraction for t in roles.harmful):
            raise InputError(
                f"{task_names(roles.harmful)} has no train prompts to learn refusals from; add a "
                "task that has, such as advbench, or use the methods head and shifted with an "
                "existing veneer"
            )
        self.learned = self.prompts.extraction(roles.learned())
        self.inputs.check_responses(methods, self.learned)
        self.examples = _examples_to_attack_with(self.method, self.inputs)
        check_judges(roles.measured(), self.judge)
        harmful = sum(len(self.splits[t.name].report) for t in roles.harmful)
        if harmful < (needed := least_prompts(len(methods))):
            few = words.too_few_prompts(harmful, len(methods), needed)
            logging.getLogger("veneer").warning("veneer: %s", few)
        if extracts and not roles.harmless:
            logging.getLogger("veneer").warning("veneer: %s", words.ONLY_REFUSALS)

    def stages(self) -> tuple[Stage, ...]:
        return restore_stages(self.roles, self.splits, self.method, self.inputs.aligned is not None)

    def load(self) -> RestoreModels:
        """The models, for a dry run."""
        return self.inputs.load(self.method.methods)

    def measure(self, run: Run) -> Iterator[Measurement]:
        judges = run.judges(self.roles.measured(), self.judge)
        with run.stage("load"):
            models = self.inputs.load(self.method.methods).dated(run.day)
            builder = MethodBuilder(models, self.learned, self.method, run)
            builder.check(self.method.methods)
        tasks = {t.name: t for t in (*self.roles.measured(), *self.roles.learned())}
        run.note(
            models=models.facts(),
            data={name: t.source() for name, t in tasks.items()},
            seeds={"study": self.method.seed},
            train_prompts_left_out=self.prompts.left_out.facts(),
            validation_prompts_left_out=self.prompts.repeated,
        )
        chosen = yield from self._choose(run, models, builder, judges)
        restored = yield from self._report(run, models, chosen, judges)
        yield from self._reattack(run, models, chosen, restored, judges)
        self._merge(run, models, chosen, restored)
        run.note_judge_usage(judges)
        measured = self.roles.measured()
        n = sum(len(self.splits[t.name].report) for t in measured)
        yield from cost_rows(run, task_names(measured), n)

    def _evaluation(
        self, run: Run, split: str, judges: Mapping[str, list[Judge]]
    ) -> SplitEvaluation:
        """The validation part or, with split "test", the report part."""
        validation = split == "validation"
        splits = {t.name: self.splits[t.name] for t in self.roles.measured()}
        prompts = {n: p.validation if validation else p.report for n, p in splits.items()}
        folder = run.out / ("validation" if validation else "responses")
        return SplitEvaluation(
            self.roles, prompts, judges, split, folder, self.method, run.progress
        )

    def _choose(
        self,
        run: Run,
        models: RestoreModels,
        builder: MethodBuilder,
        judges: Mapping[str, list[Judge]],
    ) -> Generator[Measurement, None, dict[str, ChosenSettings]]:
        """Every candidate of every method on the validation part, and the choice."""
        evaluation = self._evaluation(run, "validation", judges)
        with run.stage("validation references"):
            references = {s.name: (s, evaluation.measure(s)) for s in models.references()}
            texts = ReferenceTexts.of(evaluation, references, models)
        for name, (system, scores) in references.items():
            yield from evaluation.curve_rows(name, scores)
            yield from texts.rows(system)
        if "aligned" in references:
            yield self._lost_refusals(run, evaluation, references)
        capable = [scores.values(self.roles.capability) for _, scores in references.values()]
        able = max(float(judged(values).mean()) for values in capable)
        unit = references["compromised"][1].unit(self.roles.capability)
        sweep = Sweep(evaluation, texts, self.method, able, unit)
        chosen: dict[str, ChosenSettings] = {}
        candidates: dict[str, Any] = {}
        for name in self._fitting_methods(run, models):
            with run.stage(f"make {name}"), spent(run, name, "make"):
                method = builder.build(name, lambda: _moment(models, texts))
            with run.stage(f"choose {name}"), spent(run, name, "choose"):
                trials = yield from sweep.run(method)
            best = choose(trials, self.method.loss_weights, able)
            chosen[name] = ChosenSettings(method, best.alpha, best.rank)
            yield from sweep.rows(name, trials, best)
            candidates[name] = {
                "chosen": best.name,
                "candidates": [
                    {"name": t.name, "alpha": t.alpha and str(t.alpha), "rank": t.rank}
                    for t in trials
                ],
            }
            identities = (candidate_id(name, t.alpha, t.rank) for t in trials)
            run.identify(SystemId.of(name), *identities)
        rule = words.rule_text(sweep.rule)
        sizes = {name: p.sizes() for name, p in self.splits.items()}
        run.note(restore={"rule": rule, "ways": candidates, "parts": sizes})
        return chosen

    def _lost_refusals(
        self, run: Run, evaluation: SplitEvaluation, references: References
    ) -> Measurement:
        """The aligned model's refusals above the compromised one's, with a note where there is
        nothing to restore, or where that is not known."""
        harmful = self.roles.harmful
        aligned, compromised = (
            references[name][1].values(harmful, "refusal_rate")
            for name in ("aligned", "compromised")
        )
        keep = ~np.isnan(aligned) & ~np.isnan(compromised)
        lost = intervals.difference(
            aligned[keep],
            compromised[keep],
            seed=self.method.seed,
            clusters=kept(evaluation.clusters(harmful), keep),
        )
        facts = lost_facts(lost)
        note = words.lost_remark(facts)
        if note:
            logging.getLogger("veneer").warning("veneer: %s", note)
        run.note(note=note)
        return Measurement.estimated(
            lost,
            STUDY,
            task_names(harmful),
            "lost_refusals",
            "compromised",
            split="validation",
            unit="share",
            judge=references["compromised"][1].scored[harmful[0].name].judges["refusal_rate"],
            note=note,
            facts=facts,
        )

    def _fitting_methods(self, run: Run, models: RestoreModels) -> list[str]:
        """The methods without urial where its prompts are longer than the model can read; a warning
        and run.json say so."""
        methods, left_out = list(self.method.methods), []
        if "urial" in methods:
            system = InContextMethod(models.compromised).candidate(None, None).system
            splits = [self.splits[t.name] for t in self.roles.measured()]
            prompts = [p for split in splits for p in (*split.validation, *split.report)]
            tokens = max(system.prompt_tokens(prompts)) + self.method.max_new_tokens
            longest = system.longest()
            if longest is not None and tokens > longest:
                methods.remove("urial")
                left_out.append(words.left_out("urial", tokens, models.compromised.name, longest))
        for sentence in left_out:
            logging.getLogger("veneer").warning("veneer: %s", sentence)
        run.note(ways_left_out=left_out)
        return methods

    def _report(
        self,
        run: Run,
        models: RestoreModels,
        chosen: Mapping[str, ChosenSettings],
        judges: Mapping[str, list[Judge]],
    ) -> Generator[Measurement, None, list[RestoreVerdict]]:
        """The references and the chosen candidates on the report part, and the verdicts."""
        evaluation = self._evaluation(run, "test", judges)
        roles, seed = self.roles, self.method.seed
        with run.stage("report references"):
            references = {s.name: (s, evaluation.measure(s)) for s in models.references()}
            texts = ReferenceTexts.of(evaluation, references, models)
        scores: dict[str, SystemScores] = {}
        outcomes: dict[str, Outcomes] = {}
        systems: list[dict[str, Any]] = []
        measured: list[Local] = []

        def measure(name: str, system: Local) -> Iterator[Measurement]:
            scores[name] = evaluation.measure(system)
            yield from texts.rows(system)
            outcomes[name] = Outcomes.of(evaluation, texts, system, scores[name])
            systems.append(system.facts())
            measured.append(system)

        for name, (system, _) in references.items():
            with run.stage("report references"):
                yield from measure(name, system)
        for name, settings in chosen.items():
            with run.stage(f"answer {name}"), spent(run, name, "answer"):
                yield from measure(name, settings.candidate().system_named(name))
        yield texts.noise_row()
        run.note(systems=systems)
        with run.stage("discernment"):
            discernment = evaluation.discernment(measured, scores)
            discernment.write(run.out, run.record)
        yield from discernment.rows
        with run.stage("tokens"):
            shown = shown_prompts(evaluation, scores)
            rows = shown_rows(evaluation, models, measured, scores, shown)
            write_text(run.out / "tokens.jsonl", json_lines(rows))
        run.note(shown_prompts=shown.facts())
        for task in roles.measured():
            scored = [s.scored[task.name] for s in scores.values()]
            yield from behaviour_rows(task, evaluation.prompts[task.name], scored, seed=seed)
        for name, system_scores in scores.items():
            yield from evaluation.curve_rows(name, system_scores)
        restored = verdicts(
            {name: outcomes[name] for name in chosen},
            outcomes["compromised"],
            outcomes.get("aligned"),
            texts.plain.lengths,
            capability={
                "metric": roles.capability[0].headline,
                "tasks": [t.name for t in roles.capability],
                "unit": references["compromised"][1].unit(roles.capability),
            },
            clusters=evaluation.outcome_clusters(texts.plain.clusters),
            seed=seed,
        )
        judge_ids = references["compromised"][1].scored[roles.harmful[0].name].judges
        yield from verdict_rows(
            restored, roles, judge_ids["refusal_rate"], judge_ids.get("harm_rate")
        )
        return restored

    def _reattack(
        self,
        run: Run,
        models: RestoreModels,
        chosen: Mapping[str, ChosenSettings],
        restored: Sequence[RestoreVerdict],
        judges: Mapping[str, list[Judge]],
    ) -> Iterator[Measurement]:
        """The fine-tuning that broke the model, repeated on the best restored checkpoint."""
        if not self.examples:
            return
        best = min(
            (v for v in restored if isinstance(chosen[v.method].method, HeadMethod)),
            key=lambda v: (ORDER.index(v.verdict), -(v.gain.difference.value or 0.0)),
        )
        system = chosen[best.method].candidate().system_named("restored")
        assert isinstance(system, System)
        systems = [*(s for s in models.references() if s.name == "aligned"), system]
        harmful = [p for t in self.roles.harmful for p in self.splits[t.name].report][:BENIGN]
        judge = next(j for j in judges[self.roles.harmful[0].name] if "refusal_rate" in j.metrics)
        with run.stage("reattack"), spent(run, best.method, "reattack"):
            rows = reattack_rows(
                systems,
                self.examples,
                {"harmful": harmful},
                run.out / "reattack",
                ReattackSettings(
                    self.method.attack, batch_size=self.method.batch_size, seed=self.method.seed
                ),
                fine_tuned=[s.name for s in systems],
                judge=judge,
                progress=run.progress,
            )
        yield from rows
        run.note(reattack={"method": best.method, "outcomes": reattack_outcomes(rows)})

    def _merge(
        self,
        run: Run,
        models: RestoreModels,
        chosen: Mapping[str, ChosenSettings],
        restored: Sequence[RestoreVerdict],
    ) -> None:
        """Write the restored checkpoints."""
        if not self.method.merge:
            return
        for verdict in restored:
            name, method = verdict.method, chosen[verdict.method].method
            if isinstance(method, HeadMethod):
                with run.stage(f"merge {name}"), spent(run, name, "merge"):
                    merge_restored(
                        chosen[name].candidate(),
                        method.lm,
                        run.out / f"restored-{name}",
                        verdict=verdict.sentence,
                        aligned=models.teacher_name(),
                    )


def _examples_to_attack_with(method: RestoreSettings, inputs: RestoreInputs) -> Examples:
    """The examples of the repeated attack, none without one. Raises InputError where no method
    gives a checkpoint to attack."""
    if method.reattack is None:
        return ()
    if not any(m in HEAD_METHODS for m in method.methods):
        raise InputError(
            "only a restored checkpoint can be fine-tuned again, and none of the methods makes "
            "one; add head or own to --ways"
        )
    need_peft()
    return attack_examples(method.reattack, data=inputs.data)


def _moment(models: RestoreModels, texts: ReferenceTexts) -> Tensor:
    """Second moment (d, d) of the compromised model's hidden states over the references' answers to
    the validation prompts."""
    system = models.compromised_system()
    return second_moment(
        s for p in texts.answers.values() for s in p.states(system.lm, system.format)
    )
