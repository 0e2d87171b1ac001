"""Skill by number of examples: base trained on more and more of them, measured, and fitted
(docs/curve.md). A killed run resumes: one folder per size and seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import json_lines, sha256_text
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.foundation.stages import Stage
from veneer.imports.examples import Example
from veneer.judges.judge import Judge
from veneer.judges.registry import check_judges
from veneer.measures.behaviour import Scored, score
from veneer.models.formats import ChatFormat, Format, PlainFormat, dated
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.studies.curve.fits import fit_rows
from veneer.studies.curve.lessons import Lesson, Lessons
from veneer.studies.curve.names import EPOCHS, STUDY, veneer_of
from veneer.studies.curve.outcomes import Outcomes, add_classes
from veneer.studies.curve.rows import outcome_rows, step_rows
from veneer.studies.curve.settings import SIZES, CurveConfig, CurveSettings
from veneer.studies.curve.surface import Surface
from veneer.studies.curve.training import Plan, plans, trained
from veneer.studies.runner import run_study
from veneer.studies.study import Run
from veneer.systems.lora import need_peft
from veneer.systems.respond import respond
from veneer.systems.system import Answering, System
from veneer.systems.tuning import layers_from
from veneer.tasks.task import Task
from veneer.tasks.train_prompts import TrainPrompts

RUNS = "runs"  # folder of the training runs
TRAINING = 40.0  # time to train on an example once, in decoded tokens


@dataclass(frozen=True)
class CurveModels:
    """base: the model to train. aligned: whose answers are learned with `teach` aligned.
    base_format: what base reads beside a veneer. format: what the trained models read."""

    base: LanguageModel
    aligned: LanguageModel | None = None
    base_format: Format = field(default_factory=PlainFormat)
    format: Format = field(default_factory=ChatFormat)

    def dated(self, day: str) -> CurveModels:
        form = dated(self.format, day, self.base.tokenizer)
        return replace(self, format=form)

    @property
    def stop_ids(self) -> tuple[int, ...]:
        return self.base.stop_ids


def curve(
    load: Callable[[], CurveModels],
    tasks: Sequence[Task],
    out: str | Path,
    method: CurveSettings | None = None,
    config: CurveConfig | None = None,
    *,
    examples: Sequence[Example] | None = None,
    beside: Sequence[Task] = (),
    settings: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Train base on more and more examples, measure every model on tasks, and fit curves; writes
    the study folder `out`.

    load: gives the models; not called where the folder is finished. tasks: measured, and their
    train prompts taught unless `examples` are given. beside: tasks that are only measured.
    settings: more of what a second run must share, for run.json. Raises InputError where there are
    fewer examples than the greatest size, where the data has no answers to learn from, and where
    `out` holds another configuration.
    """
    study = CurveStudy(
        load,
        tasks,
        method or CurveSettings(),
        config or CurveConfig(),
        examples=examples,
        beside=beside,
        settings=settings,
    )
    return run_study(study, out, progress=progress)


class CurveStudy:
    """Skill by number of examples. See `curve` for the arguments."""

    name = STUDY

    def __init__(
        self,
        load: Callable[[], CurveModels],
        tasks: Sequence[Task],
        method: CurveSettings,
        config: CurveConfig,
        *,
        examples: Sequence[Example] | None = None,
        beside: Sequence[Task] = (),
        settings: dict[str, Any] | None = None,
    ):
        self.load, self.taught, self.method, self.config = load, list(tasks), method, config
        self.tasks = [*tasks, *beside]
        self.examples = None if examples is None else list(examples)
        self.more_settings = dict(settings or {})
        self.test: dict[str, list[Prompt]] = {}
        self.lessons = Lessons({})
        if method.sizes == SIZES:  # here, not in check(): the record holds the sizes from the start
            self.method = method.within(len(self._lessons().pool))

    def settings(self) -> dict[str, Any]:
        texts = [[e.question, e.answer] for e in self.examples or ()]
        return {
            **self.more_settings,
            "tasks": [t.name for t in self.tasks],
            "settings": self.config.facts(),
            "method": self.method.facts(),
            "examples_sha256": sha256_text(json_lines(texts)) if texts else None,
        }

    def check(self) -> None:
        if not self.tasks:
            raise InputError("there is no task to measure; give at least one with --tasks")
        if other := [t.name for t in self.tasks if t.kind != "generate"]:
            raise InputError(
                f"{', '.join(other)} is answered by a choice, but a curve is of answers in words; "
                "leave it out of --tasks"
            )
        if self.method.method == "lora":
            need_peft()
        check_judges(self.tasks, self.config.judges)
        self.test = {t.name: t.prompts("test")[: self.config.test_prompts] for t in self.tasks}
        self.lessons = self._lessons()
        self.lessons.check(self.method.largest)

    def _lessons(self) -> Lessons:
        if self.examples is None:
            return Lessons.of_tasks(self.taught, replies=self.method.teach == "reference")
        return Lessons.of_examples(
            self.examples, [p for t in self.tasks for p in t.prompts("test")]
        )

    def stages(self) -> tuple[Stage, ...]:
        sizes = {name: len(prompts) for name, prompts in self.test.items()}
        longest = {t.name: self.config.sampling(t).max_new_tokens for t in self.tasks}
        teach = self.method.teach != "reference" and self.examples is None
        return (
            Stage("load"),
            *((Stage("teach", unknown=True),) if teach else ()),
            *(
                Stage(
                    f"answer {plan.folder}",
                    also=(f"train {plan.folder}", f"veneer {plan.folder}"),
                    prompts=sizes,
                    systems=(plan.identity.name,),
                    tokens=longest,
                    share=TRAINING * plan.steps * plan.batch,
                    unknown=self.method.veneers,
                    writes=(f"{RUNS}/{plan.folder}/",),
                )
                for plan in plans(self.method, self.config.seed)
            ),
            Stage("fit"),
        )

    def measure(self, run: Run) -> Iterator[Measurement]:
        judges = run.judges(self.tasks, self.config.judges)
        with run.stage("load"):
            models = self.load().dated(run.day)
            self._check_models(models)
        self._note(run, models)
        outcomes = Outcomes(self.test)
        surface = self._surface(run, models, judges)
        every = list(plans(self.method, self.config.seed))
        run.identify(*(p.identity for p in every))
        order = {p.seed: self._taught(run, models, p.seed) for p in every}
        for plan in every:
            self._run(run, models, plan, order[plan.seed], judges, outcomes, surface)
        run.note_judge_usage(judges)
        yield from step_rows(every)
        for task in self.tasks:
            yield from outcome_rows(task, outcomes, self.config.seed)
            with run.stage("fit"):
                yield from fit_rows(task, outcomes, self.method.sizes, self.config.seed)
        if surface is not None:
            run.identify(*(veneer_of(size) for size in surface.sizes))
            yield from surface.rows(self.tasks, outcomes)

    def _run(
        self,
        run: Run,
        models: CurveModels,
        plan: Plan,
        lessons: Sequence[Lesson],
        judges: dict[str, list[Judge]],
        outcomes: Outcomes,
        surface: Surface | None,
    ) -> None:
        """One training run: trained, measured, and its veneer extracted."""
        folder = run.out / RUNS / plan.folder
        with run.stage("train", plan.folder):
            lm = trained(
                models.base,
                models.format,
                lessons[: plan.examples],
                plan,
                self.method,
                folder / "model",
                run.progress,
            )
        system = System(plan.identity.name, lm, models.format, models.stop_ids)
        for task in self.tasks:
            scored = self._answers(run, system, task, folder, judges[task.name])
            outcomes.add(task.name, plan.identity, scored)
        if surface is not None and plan.examples and plan.how == EPOCHS:
            surface.add(plan, lm, folder)

    def _answers(
        self, run: Run, system: Answering, task: Task, folder: Path, judges: Sequence[Judge]
    ) -> Scored:
        prompts = self.test[task.name]
        with run.stage("answer", folder.name):
            answers = respond(
                system,
                prompts,
                self.config.sampling(task),
                stop_strings=task.stop,
                batch_size=self.config.batch_size,
                out=folder / f"{task.name}.jsonl",
                progress=run.progress,
            )
        with run.stage("judge"):
            scored = score(task, prompts, answers, judges, run.progress)
        add_classes(scored, prompts, answers)
        return scored

    def _taught(self, run: Run, models: CurveModels, seed: int) -> list[Lesson]:
        """The lessons of a seed, up to the greatest size, with their answers."""
        lessons = self.lessons.ordered(seed)[: self.method.largest]
        if self.method.teach == "reference" or self.examples is not None:
            return lessons
        if models.aligned is None:
            raise InputError("--teach aligned needs the model that answers; give --aligned")
        stops = tuple(sorted({*models.stop_ids, *models.aligned.stop_ids}))
        teacher = System("aligned", models.aligned, models.format, stops)
        longest = max(t.max_new_tokens for t in self.taught)
        sampling = replace(self.config.sampling(self.taught[0]), max_new_tokens=longest)
        with run.stage("teach"):
            answers = respond(
                teacher,
                [one.prompt for one in lessons],
                sampling,
                stop_strings=tuple(dict.fromkeys(s for t in self.taught for s in t.stop)),
                batch_size=self.config.batch_size,
                out=run.out / f"taught.seed-{seed}.jsonl",
                progress=run.progress,
            )
        return [replace(one, answer=a.text or " ") for one, a in zip(lessons, answers, strict=True)]

    def _surface(
        self, run: Run, models: CurveModels, judges: dict[str, list[Judge]]
    ) -> Surface | None:
        if not self.method.veneers:
            return None
        train_prompts = TrainPrompts.of_tasks(self.taught, self.config.train_prompts)
        if len(train_prompts.prompts) < LEAST_TRAIN:
            raise InputError(
                f"--veneers needs train prompts, found {len(train_prompts.prompts)}; expected at "
                f"least {LEAST_TRAIN} in the tasks of --tasks, or leave --veneers out"
            )

        def answer(system: Answering, task: Task, folder: Path) -> Scored:
            return self._answers(run, system, task, folder, judges[task.name])

        def pair(lm: LanguageModel) -> Pair:
            return Pair(models.base, lm, models.base_format, models.format)

        return Surface(run, pair, train_prompts.prompts, self.tasks, self.config, answer)

    def _check_models(self, models: CurveModels) -> None:
        """Raises InputError, before anything is written, where base has no such layer or cannot
        read the format."""
        layers_from(models.base, self.method.from_layer)
        for prompt in (p for prompts in self.test.values() for p in prompts[:1]):
            models.format.encode(models.base.tokenizer, prompt)

    def _note(self, run: Run, models: CurveModels) -> None:
        run.note(
            base=models.base.facts(),
            **({} if models.aligned is None else {"aligned": models.aligned.facts()}),
            format=models.format.facts(),
            data={t.name: t.source() for t in self.tasks},
            seeds={"study": self.config.seed},
            lessons=len(self.lessons.pool),
            lessons_left_out=self.lessons.tested,
            not_taught=list(self.lessons.without_reply),
        )


LEAST_TRAIN = 10  # prompts from which a veneer is extracted and held out
