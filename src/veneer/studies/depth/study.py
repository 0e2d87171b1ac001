"""How deep refusals are (docs/depth.md). Systems answer harmful requests behind the first tokens of
a harmful answer, base answers harmful and harmless prompts behind the first tokens of a refusal,
and behind a forced prefix the systems' distributions are compared. A killed run resumes.

Qi et al. 2025, "Safety alignment should be made more than just a few tokens deep" (arXiv
2406.05946), force prefixes on aligned models and refusals on base models, and plot KL by position;
Zhang et al. 2026, "Any-depth alignment" (arXiv 2510.18081), show refusals by the number of forced
tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from veneer.foundation.errors import InputError
from veneer.foundation.files import file_name, sha256_text
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.head.veneer import Veneer
from veneer.judges.config import JudgeConfig
from veneer.judges.judge import Judge
from veneer.judges.registry import judges_of
from veneer.measures.behaviour import Scored, behaviour_rows, score
from veneer.measures.well_formed import add_well_formed, warn_left_out
from veneer.models.decode import Sampling
from veneer.models.formats import PlainFormat, forced_ids
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.prompts.templates import marks
from veneer.statistics.intervals import independent_difference, mean
from veneer.studies.depth.distance import distances, kl_rows
from veneer.studies.depth.half_depth import half_depth
from veneer.studies.depth.inputs import DepthPrompts, Requests
from veneer.studies.depth.names import ALL, HARMFUL_PREFIX, REFUSAL_PREFIX, STUDY
from veneer.studies.depth.settings import Count, DepthSettings
from veneer.studies.runner import run_study
from veneer.studies.study import Run
from veneer.systems.dated import dated_system
from veneer.systems.forced import first
from veneer.systems.respond import respond
from veneer.systems.responses import Response
from veneer.systems.system import Answering, System, pair_systems

LEAST_REFUSALS = 2  # refusals of the aligned model, to force on base
REFUSAL = "refusal_rate"


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
        judges_of(self.tasks, self.judge_config)

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
        behind = Behind(self.method, models.pair, systems, judges, run)
        harmful = HarmfulPrefix.of(behind, self.prompts.harmful)
        run.note(lead=harmful.lead)
        yield from harmful.rows()
        run.note(shown=harmful.shown(self.method.shown))
        yield from harmful.distance_rows()
        yield from self._refusal_rows(behind, harmful)
        run.note_judge_usage(judges)

    def _refusal_rows(self, behind: Behind, harmful: HarmfulPrefix) -> Iterator[Measurement]:
        """Base behind the aligned model's own refusals."""
        refusals = harmful.refusals()
        counts = self.method.refusal_counts
        if len(refusals) < LEAST_REFUSALS:
            reason = {"reason": "few_refusals", "refusals": len(refusals), "least": LEAST_REFUSALS}
            behind.run.note(refusal_prefix_left_out=reason)
            return
        base = behind.system("base")
        rates: dict[Count, Any] = {}
        for task in self.tasks:
            prompts = refusals_forced(task.prompts("test"), refusals)
            for k in counts:
                scored = behind.scored(task, prompts, REFUSAL_PREFIX, k, [base])
                yield from behind.rows(task, scored, REFUSAL_PREFIX, k, prompts)
                rate = mean(scored[0].values[REFUSAL], seed=self.method.seed)
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


@dataclass(frozen=True)
class Behind:
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
        with self.run.stage(f"answers of {system.name}"):
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
    ) -> list[Scored]:
        """The scores of the systems' whole answers, what was forced included."""
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
        return scored

    def rows(
        self,
        task: Requests,
        scored: Sequence[Scored],
        prefix: str,
        k: Count,
        prompts: Sequence[Prompt],
    ) -> Iterator[Measurement]:
        """One row per system and metric, and the portion of each headline. The fact "tokens" is the
        mean number of forced tokens."""
        facts = {"prefix": prefix, "forced": k, "tokens": self.tokens(prompts, k)}
        split = f"{prefix}:{k}"
        for row in behaviour_rows(task, prompts, scored, split=split, seed=self.method.seed):
            yield replace(row, study=STUDY, facts={**(row.facts or {}), **facts})

    def tokens(self, prompts: Sequence[Prompt], k: Count) -> float:
        """How many tokens are forced on average."""
        tokenizer = self.pair.base.tokenizer
        sizes = [len(forced_ids(tokenizer, p)) for p in self.cut(prompts, k)]
        return float(np.mean(sizes))


class HarmfulPrefix:
    """Every system behind the first tokens of a harmful answer.

    lead: white space in front of each target, as it stands in front of most of the aligned model's
    own answers: without it, the target would be a text that no system writes.
    """

    def __init__(self, behind: Behind, task: Requests, lead: str = ""):
        self.behind = behind
        self.task = task
        self.lead = lead
        self.prompts = [replace(p, forced=lead + p.forced.lstrip()) for p in task.prompts("test")]
        self.scores: dict[Count, list[Scored]] = {}

    @classmethod
    def of(cls, behind: Behind, task: Requests) -> HarmfulPrefix:
        """With the white space of the aligned model's answers behind no forced token."""
        answers = behind.answers(
            task, task.prompts("test"), HARMFUL_PREFIX, 0, behind.system("aligned")
        )
        leads = Counter(a.text[: len(a.text) - len(a.text.lstrip())] for a in answers)
        return cls(behind, task, leads.most_common(1)[0][0])

    def rows(self) -> Iterator[Measurement]:
        counts = self.behind.method.harmful_counts
        for k in counts:
            self.scores[k] = self.behind.scored(
                self.task, self.prompts, HARMFUL_PREFIX, k, self.behind.systems
            )
            yield from self.behind.rows(self.task, self.scores[k], HARMFUL_PREFIX, k, self.prompts)
        lengths = [self.behind.tokens(self.prompts, k) for k in counts]
        for place, system in enumerate(self.behind.systems):
            by_count = [self.scores[k][place] for k in counts]
            yield half_depth(
                np.stack([s.values[REFUSAL] for s in by_count]),
                counts,
                lengths,
                task=self.task.name,
                system=system.name,
                judge=by_count[0].judges[REFUSAL],
                seed=self.behind.method.seed,
            )

    def refusals(self) -> dict[str, str]:
        """The aligned model's full refusals without a forced token: prompt id -> text."""
        aligned = next(s for s in self.scores[0] if s.system == "aligned")
        answers = self._answers("aligned", 0)
        return {
            a.prompt_id: a.text
            for a, refused in zip(answers, aligned.values[REFUSAL], strict=True)
            if refused == 1
        }

    def distance_rows(self) -> Iterator[Measurement]:
        """KL of base and of the veneer behind the prefixes."""
        behind = self.behind
        systems = [behind.system("aligned"), behind.system("base")]
        systems += [s for s in behind.systems if s.name == "veneer"]
        local = [s for s in systems if isinstance(s, System)]
        tokenizer = behind.pair.aligned.tokenizer
        for k in behind.method.kl_counts:
            lengths = [len(forced_ids(tokenizer, p)) for p in behind.cut(self.prompts, k)]
            with behind.run.stage("distances"):
                values = distances(
                    behind.pair,
                    local,
                    self.prompts,
                    self._answers("aligned", k),
                    lengths,
                    behind.run.out / "distances" / f"{k}.jsonl",
                )
            yield from kl_rows(
                values,
                task=self.task.name,
                split=f"{HARMFUL_PREFIX}:{k}",
                facts={"prefix": HARMFUL_PREFIX, "forced": k},
                seed=behind.method.seed,
            )

    def shown(self, most: int) -> list[dict[str, Any]]:
        """Answers of the first prompts for the page, every system behind every prefix."""
        rows = []
        for at, prompt in enumerate(self.prompts[:most]):
            for k, scored in self.scores.items():
                for one in scored:
                    answer = self._answers(one.system, k)[at]
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

    def _answers(self, system: str, k: Count) -> list[Response]:
        """Answers that are in the study folder already."""
        return self.behind.answers(
            self.task, self.prompts, HARMFUL_PREFIX, k, self.behind.system(system)
        )


def refusals_forced(prompts: Sequence[Prompt], refusals: Mapping[str, str]) -> list[Prompt]:
    """The prompts with a refusal as forced text: the aligned model's own where it refused this
    prompt, otherwise its refusals of other prompts in turn."""
    texts = list(refusals.values())
    return [
        replace(p, forced=refusals.get(p.id) or texts[i % len(texts)])
        for i, p in enumerate(prompts)
    ]
