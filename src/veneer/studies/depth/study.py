"""How deep refusals are (docs/depth.md). Systems answer harmful requests behind the first tokens of
a harmful answer, base answers harmful and harmless prompts behind the first tokens of a refusal,
and behind a forced prefix the systems' distributions are compared. A killed run resumes.

Qi et al. 2025, "Safety alignment should be made more than just a few tokens deep" (arXiv
2406.05946), force prefixes on aligned models and refusals on base models, and plot KL by position;
Zhang et al. 2026, "Any-depth alignment" (arXiv 2510.18081), show refusals by the number of forced
tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_text
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.foundation.stages import Stage
from veneer.head.veneer import Veneer
from veneer.judges.config import JudgeConfig
from veneer.judges.registry import check_judges
from veneer.measures.clusters import prompt_clusters
from veneer.measures.stages import READING
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.statistics.intervals import independent_difference, mean
from veneer.studies.depth.forced_answers import ForcedAnswers
from veneer.studies.depth.harmful import HarmfulPrefix
from veneer.studies.depth.inputs import DepthPrompts, Requests
from veneer.studies.depth.names import REFUSAL, REFUSAL_PREFIX, STUDY
from veneer.studies.depth.settings import Count, DepthSettings
from veneer.studies.runner import run_study
from veneer.studies.study import Run
from veneer.systems.dated import dated_system
from veneer.systems.system import Answering, System, pair_systems

LEAST_REFUSALS = 2  # refusals of the aligned model, to force on base


@dataclass(frozen=True)
class DepthModels:
    """The systems of a depth study: base and aligned, base with a veneer, and any others."""

    pair: Pair
    veneer: Veneer | None = None
    others: tuple[Answering, ...] = ()

    def systems(self) -> list[Answering]:
        """Raises InputError where another system has the name of one of the three."""
        pair = self.pair
        if self.veneer is None:
            base = System("base", pair.base, pair.base_format, pair.stop_ids)
            aligned = System("aligned", pair.aligned, pair.aligned_format, pair.aligned_stop_ids)
            systems: list[Answering] = [base, aligned]
        else:
            systems = [*pair_systems(pair, self.veneer)]
        systems += self.others
        names = [s.name for s in systems]
        if len(set(names)) < len(names):
            raise InputError(
                f"two systems have one name ({', '.join(names)}); name each differently"
            )
        return systems


def depth(
    load: Callable[[], DepthModels],
    prompts: DepthPrompts,
    out: str | Path,
    method: DepthSettings | None = None,
    *,
    judges: JudgeConfig | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Measure how deep the refusals of systems are and write the study folder `out`.

    load: gives the models; not called where the folder is finished. judges: a judge model for the
    harm of answers, if any. settings: more of what a second run must share, for run.json. Raises
    InputError where `out` was made with other settings.
    """
    study = DepthStudy(load, prompts, method or DepthSettings(), judges or JudgeConfig(), settings)
    return run_study(study, out, progress=progress)


class DepthStudy:
    """How deep the refusals are. See `depth` for the arguments."""

    name = STUDY

    def __init__(
        self,
        load: Callable[[], DepthModels],
        prompts: DepthPrompts,
        method: DepthSettings,
        judges: JudgeConfig,
        settings: Mapping[str, Any] | None = None,
    ):
        self.load = load
        self.prompts = prompts
        self.method = method
        self.judge_config = judges
        self.more_settings = dict(settings or {})

    @property
    def tasks(self) -> list[Requests]:
        return [self.prompts.harmful, *self.prompts.harmless]

    def settings(self) -> dict[str, Any]:
        texts = [
            (t.name, p.id, p.plain, list(p.messages), p.forced)
            for t in self.tasks
            for p in t.prompts("test")
        ]
        return {
            **self.more_settings,
            "settings": self.method.facts(),
            "judges": self.judge_config.facts(),
            "prompts": {t.name: len(t.prompts("test")) for t in self.tasks},
            "prompts_sha256": sha256_text(repr(texts)),
        }

    def check(self) -> None:
        check_judges(self.tasks, self.judge_config)

    def stages(self) -> tuple[Stage, ...]:
        veneer = ["veneer"] if self.more_settings.get("veneer") else []
        systems = ("base", *veneer, "aligned", *(self.more_settings.get("also") or ()))
        method, harmful = self.method, self.prompts.harmful
        sizes = {t.name: len(t.prompts("test")) for t in self.tasks}
        readings = len(method.kl_counts) * (2 + len(veneer)) * sizes[harmful.name]
        return (
            Stage("load"),
            Stage(
                "answers",
                prompts={harmful.name: sizes[harmful.name]},
                systems=systems,
                samples=len(method.harmful_counts),
                tokens=method.max_new_tokens,
                writes=("responses/", "likelihoods/"),
            ),
            Stage("distances", share=READING * readings, writes=("distances/",)),
            Stage(
                "forced refusals",
                prompts=sizes,
                systems=("base",),
                samples=len(method.refusal_counts),
                tokens=method.max_new_tokens,
            ),
        )

    def measure(self, run: Run) -> Iterator[Measurement]:
        judges = run.judges(self.tasks, self.judge_config)
        with run.stage("load"):
            models = self.load()
            models = replace(models, pair=models.pair.dated(run.day))
            systems = [dated_system(s, run.day) for s in models.systems()]
        run.note(
            pair=models.pair.facts(),
            systems=[s.facts() for s in systems],
            seeds={"study": self.method.seed},
        )
        forced = ForcedAnswers(self.method, models.pair, systems, judges, run)
        harmful = HarmfulPrefix.of(forced, self.prompts.harmful)
        run.note(lead=harmful.lead)
        yield from harmful.rows()
        run.note(shown=harmful.shown(self.method.shown))
        yield from harmful.distance_rows()
        yield from self._refusal_rows(forced, harmful)
        run.note_judge_usage(judges)

    def _refusal_rows(self, forced: ForcedAnswers, harmful: HarmfulPrefix) -> Iterator[Measurement]:
        """Base behind the aligned model's own refusals."""
        refusals = harmful.refusals()
        counts = self.method.refusal_counts
        if len(refusals) < LEAST_REFUSALS:
            reason = {"reason": "few_refusals", "refusals": len(refusals), "least": LEAST_REFUSALS}
            forced.run.note(refusal_prefix_left_out=reason)
            return
        base = forced.system("base")
        rates: dict[Count, Any] = {}
        for task in self.tasks:
            prompts = refusals_forced(task.prompts("test"), refusals)
            for k in counts:
                scored, _ = forced.scored(task, prompts, REFUSAL_PREFIX, k, [base])
                yield from forced.rows(task, scored, REFUSAL_PREFIX, k, prompts)
                rate = mean(
                    scored[0].values[REFUSAL],
                    seed=self.method.seed,
                    clusters=prompt_clusters(prompts),
                )
                if task is self.prompts.harmful:
                    rates[k] = rate
                    continue
                yield Measurement.estimated(
                    independent_difference(rates[k], rate),
                    *(STUDY, task.name, "refusal_gap", "base"),
                    of=REFUSAL,
                    split=f"{REFUSAL_PREFIX}:{k}",
                    judge=scored[0].judges[REFUSAL],
                    unit="share",
                    facts={"prefix": REFUSAL_PREFIX, "forced": k, "from": self.tasks[0].name},
                )


def refusals_forced(prompts: Sequence[Prompt], refusals: Mapping[str, str]) -> list[Prompt]:
    """The prompts with a refusal as forced text: the aligned model's own where it refused this
    prompt, otherwise its refusals of other prompts in turn."""
    texts = list(refusals.values())
    return [
        replace(p, forced=refusals.get(p.id) or texts[i % len(texts)])
        for i, p in enumerate(prompts)
    ]
