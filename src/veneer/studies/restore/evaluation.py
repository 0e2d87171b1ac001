"""Systems on one part of the prompts: answers on disk, scores per prompt, KL, and likelihood of
given texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement
from veneer.judges.judge import Judge
from veneer.measures.behaviour import Scored, score
from veneer.measures.choice import score_choices
from veneer.measures.clusters import kept, prompt_clusters
from veneer.measures.discernment import AnsweredTask, Contrast, Discernment, discernment
from veneer.measures.given_texts import Passages, plain_texts
from veneer.models.in_context import FencedFormat
from veneer.models.sampling import Sampling
from veneer.models.vocabulary import match_vocabularies
from veneer.prompts.prompt import Prompt
from veneer.statistics import intervals
from veneer.statistics.intervals import Estimate
from veneer.studies.restore import words
from veneer.studies.restore.inputs import RestoreModels, Roles, task_names
from veneer.studies.restore.settings import RestoreSettings
from veneer.systems.respond import respond
from veneer.systems.responses import Response
from veneer.systems.speculative import Local, Paths, Retraced
from veneer.systems.system import System
from veneer.tasks.task import Task

STUDY = "restore"
NATS = "nats/token"
BENIGN = 64  # at most so many prompts behind KL and plain text


@dataclass(frozen=True)
class SystemScores:
    """A system's scores and answers by task; a task that compares likelihoods has no answers."""

    scored: Mapping[str, Scored]
    answers: Mapping[str, list[Response]]

    def values(self, tasks: Sequence[Task], metric: str | None = None) -> np.ndarray:
        """A metric (default: each task's headline) of several tasks, one after the other (n,)."""
        return np.concatenate([self.scored[t.name].values[metric or t.headline] for t in tasks])

    def unit(self, tasks: Sequence[Task], metric: str | None = None) -> str:
        """The unit of those values, which is that of the first task."""
        return self.scored[tasks[0].name].units.get(metric or tasks[0].headline, "share")


@dataclass(frozen=True)
class OutcomeClusters:
    """The id of each harmful prompt, safe prompt, prompt of a capability and plain text
    (measures/clusters.py); None where every one stands by itself."""

    harmful: np.ndarray | None = None
    safe: np.ndarray | None = None
    capability: np.ndarray | None = None
    text: np.ndarray | None = None


BY_ITSELF = OutcomeClusters()


@dataclass(frozen=True)
class SplitEvaluation:
    """The prompts of one split, and how systems are measured on them.

    split: "validation" or "test", as rows name it. folder: for the answers.
    """

    roles: Roles
    prompts: Mapping[str, Sequence[Prompt]]
    judges: Mapping[str, list[Judge]]
    split: str
    folder: Path
    settings: RestoreSettings
    progress: Progress | None = None

    @property
    def judged(self) -> bool:
        """Whether every harmful task has a judge of harm."""
        return all(
            any("harm_rate" in j.metrics for j in self.judges[t.name]) for t in self.roles.harmful
        )

    def measure(self, system: Local, paths: Paths | None = None) -> SystemScores:
        """Answer and score all measured tasks; existing answers are read. paths: answers of the
        same backbone, which speed this one up."""
        scored, answers = {}, {}
        answering = system if paths is None else Retraced(system, paths)
        for task in self.roles.measured():
            prompts = self.prompts[task.name]
            path = self.folder / f"{task.name}.{system.name}.jsonl"
            if task.kind == "choice":
                assert isinstance(system, System)
                scored[task.name] = score_choices(
                    system,
                    task,
                    prompts,
                    out=path,
                    batch_size=self.settings.batch_size,
                    progress=self.progress,
                )
                continue
            answers[task.name] = respond(
                answering,
                prompts,
                self._sampling(task),
                stop_strings=task.stop,
                batch_size=self.settings.batch_size,
                out=path,
                progress=self.progress,
            )
            scored[task.name] = score(task, prompts, answers[task.name], self.judges[task.name])
        return SystemScores(scored, answers)

    def clusters(self, tasks: Sequence[Task]) -> np.ndarray | None:
        """The cluster of each prompt of several tasks, in the order of `SystemScores.values`; None
        where every prompt stands by itself."""
        return prompt_clusters([p for t in tasks for p in self.prompts[t.name]])

    def outcome_clusters(self, text: np.ndarray | None = None) -> OutcomeClusters:
        """The clusters of the prompts of each role. text: those of the plain texts."""
        roles = self.roles
        return OutcomeClusters(
            self.clusters(roles.harmful),
            self.clusters(roles.safe),
            self.clusters(roles.capability),
            text,
        )

    def _sampling(self, task: Task) -> Sampling:
        """Greedy, up to the task's limit and the settings'."""
        settings = self.settings
        validation = self.split == "validation"
        longest = settings.validation_tokens if validation else settings.max_new_tokens
        return Sampling(min(task.max_new_tokens, longest), seed=settings.seed)

    def harm(self, scores: SystemScores) -> np.ndarray:
        """Harm per harmful prompt (n,): the judge's verdict, or 1 where the prompt is not
        refused."""
        if self.judged:
            return scores.values(self.roles.harmful, "harm_rate")
        return 1 - scores.values(self.roles.harmful, "refusal_rate")

    def benign_tasks(self) -> list[Task]:
        """Capability tasks and safe ones that are answered in words, each once."""
        tasks = (*self.roles.capability, *self.roles.safe)
        return list({t.name: t for t in tasks if t.kind == "generate"}.values())

    def benign_prompts(self) -> list[Prompt]:
        """Prompts of the benign tasks in turn, at most BENIGN."""
        columns = [self.prompts[t.name] for t in self.benign_tasks()]
        longest = max((len(c) for c in columns), default=0)
        return [c[i] for i in range(longest) for c in columns if i < len(c)][:BENIGN]

    def discernment(
        self, systems: Sequence[Local], scores: Mapping[str, SystemScores]
    ) -> Discernment:
        """Whether the systems tell each harmful task's prompts from each safe one's; the portion
        goes from the compromised to the aligned model. scores: by system name."""
        harmful, safe = self.roles.harmful, self.roles.safe
        contrasts = [Contrast.of_two(a, b, self.prompts) for a in harmful for b in safe]
        answered = [
            AnsweredTask(
                self.prompts[t.name],
                {name: s.scored[t.name] for name, s in scores.items()},
                {name: s.answers[t.name] for name, s in scores.items()},
            )
            for t in self.roles.measured()
            if t.kind == "generate"
        ]
        return discernment(
            systems, contrasts, answered, zero="compromised", seed=self.settings.seed
        )

    def curve_rows(self, system: str, scores: SystemScores) -> Iterator[Measurement]:
        """A system's shares on this part, which are one point of the trade-off: refusal_rate of
        harmful prompts, over_refusal_rate of safe ones, capability."""
        roles = self.roles
        columns = [
            (roles.harmful, "refusal_rate", "refusal_rate"),
            (roles.safe, "refusal_rate", "over_refusal_rate"),
            (roles.capability, None, roles.capability[0].headline),
        ]
        if self.judged:
            columns.append((roles.harmful, "harm_rate", "harm_rate"))
        for tasks, metric, name in columns:
            first = scores.scored[tasks[0].name]
            values, unit = scores.values(tasks, metric), scores.unit(tasks, metric)
            yield Measurement.estimated(
                mean_judged(values, self.clusters(tasks), unit=unit, seed=self.settings.seed),
                STUDY,
                task_names(tasks),
                name,
                system,
                split=self.split,
                judge=first.judges.get(metric or tasks[0].headline),
                unit=unit,
            )


def judged(values: np.ndarray) -> np.ndarray:
    """The values that are no NaN: a judge may have given no verdict on some prompts."""
    return values[~np.isnan(values)]


def mean_judged(
    values: np.ndarray, clusters: np.ndarray | None, *, unit: str = "share", seed: int = 0
) -> Estimate:
    """The mean of the values that are no NaN, with its 95 % interval. clusters: one id per value,
    or None. unit: of the values, as a row has it."""
    keep = ~np.isnan(values)
    return intervals.in_unit(values[keep], unit, seed=seed, clusters=kept(clusters, keep))


@dataclass
class ReferenceTexts:
    """The texts that every system reads on a split: the references' answers to benign prompts, and
    those prompts as plain text.

    task: names of the benign tasks, as rows have them.
    """

    references: Mapping[str, System]
    answers: Mapping[str, Passages]
    plain: Passages
    task: str
    split: str
    seed: int

    @classmethod
    def of(
        cls,
        evaluation: SplitEvaluation,
        references: Mapping[str, tuple[System, SystemScores]],
        models: RestoreModels,
    ) -> ReferenceTexts:
        """The texts of a part on which the references have answered."""
        lm, prompts = models.compromised, evaluation.benign_prompts()
        other = None
        if models.aligned is not None:
            other = (models.aligned, match_vocabularies(lm, models.aligned))
        answers = {}
        for name, (system, scores) in references.items():
            by_id = {(r.task, r.prompt_id): r for rs in scores.answers.values() for r in rs}
            texts = [(p, _own_ids(by_id[p.task, p.id], system, other)) for p in prompts]
            texts = [(p, ids) for p, ids in texts if ids]
            answered_prompts = [p for p, _ in texts]
            answers[name] = Passages(
                [*answered_prompts],
                [ids for _, ids in texts],
                lm.pad_id,
                other,
                prompt_clusters(answered_prompts),
            )
        plain = plain_texts(prompts, lm)
        plain.other = other
        systems = {name: system for name, (system, _) in references.items()}
        task = task_names(evaluation.benign_tasks())
        return cls(systems, answers, plain, task, evaluation.split, evaluation.settings.seed)

    def rows(self, system: Local) -> Iterator[Measurement]:
        """kl_from_compromised, kl_from_aligned: KL(reference || system) on the reference's own
        answers to benign prompts; text_nats: -log p of the prompts' plain text."""
        sums = {
            f"kl_from_{name}": (passages.kl(self.references[name], system), passages)
            for name, passages in self.answers.items()
            if name != system.name and len(passages.tokens)
        }
        nats = self.text_nats(system)
        if nats is not None:
            sums["text_nats"] = (nats, self.plain)
        for metric, (values, passages) in sums.items():
            yield self._row(metric, system.name, self.split, values, passages)

    def noise_row(self) -> Measurement:
        """The noise floor: the compromised model against itself at another batch size."""
        passages = self.answers["compromised"]
        values, tokens = passages.noise(self.references["compromised"])
        return Measurement.estimated(
            intervals.ratio_of_sums(
                values,
                tokens,
                seed=self.seed,
                clusters=kept(passages.clusters, np.arange(len(values))),
            ),
            STUDY,
            self.task,
            "kl_from_compromised",
            "compromised",
            split="noise",
            unit=NATS,
            note=words.NOISE_FLOOR,
        )

    def text_nats(self, system: Local) -> np.ndarray | None:
        """-log p of each plain text, nats (n,); None for a system that reads instructions of its
        own before everything, and where there is no text."""
        in_context = isinstance(system, System) and isinstance(system.format, FencedFormat)
        return None if in_context or not self.plain.tokens else self.plain.nats(system)

    def _row(
        self,
        metric: str,
        system: str,
        split: str,
        values: np.ndarray,
        passages: Passages,
    ) -> Measurement:
        """values: sums over the tokens of each of the passages, nats (n,)."""
        e = intervals.ratio_of_sums(
            values, passages.lengths, seed=self.seed, clusters=passages.clusters
        )
        return Measurement.estimated(e, STUDY, self.task, metric, system, split=split, unit=NATS)


def _own_ids(response: Response, system: System, other: Any) -> tuple[int, ...]:
    """A reference's answer in the compromised model's token ids."""
    if other is None or system.lm is not other[0]:
        return response.token_ids
    return tuple(other[1].ids_from_other(list(response.token_ids)))
