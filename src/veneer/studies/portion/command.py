"""veneer run, measure and extract: the superficial portion of a pair's alignment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from veneer.foundation.settings import Option
from veneer.foundation.threads import AUTO
from veneer.head.config import ExtractConfig
from veneer.judges.config import JudgeConfig
from veneer.measures.config import StudyConfig
from veneer.scale.cluster import RayConfig
from veneer.systems.forced import Beginning
from veneer.terminal.options import (
    Machine,
    PairTemplates,
    load_pair,
    pair_settings,
    progress,
    tasks_named,
)
from veneer.terminal.output import TableOptions, present
from veneer.terminal.show import show

if TYPE_CHECKING:
    from veneer.models.pair import Pair


@dataclass(frozen=True, kw_only=True)
class RunTemplates(PairTemplates):
    """What base and the aligned model read around each prompt (docs/chat-templates.md)."""

    prompt_template: str | None = None
    """Template in which base reads the prompts of all tasks: text with {prompt}, or alpaca,
    question, answer, qa, user, plain, chat (the tokenizer's chat template), or published for each
    task's own. Default: alpaca, or the template of a task file that names one."""
    base_template: str | None = None
    """The same as --prompt-template, under its name in other commands. Give one of the two."""

    @property
    def given(self) -> str | None:
        """The value of --prompt-template or --base-template. Raises InputError for both."""
        from veneer.measures.run_template import check_base_template

        check_base_template(self.prompt_template, self.base_template)
        return self.prompt_template if self.base_template is None else self.base_template


@dataclass(frozen=True, kw_only=True)
class MeasureTemplates(RunTemplates):
    """What base and the aligned model read around each prompt (docs/chat-templates.md)."""

    prompt_template: str | None = None
    """Template in which base reads the prompts of all tasks: text with {prompt}, or a name, as for
    `veneer run`. Default: the one with which the veneer was fitted; where it was fitted
    with several, each task's own."""


@dataclass(frozen=True, kw_only=True)
class MeasureSettings(StudyConfig):
    """How answers are drawn and compared."""

    train_prompts: Annotated[int | None, Option(hidden=True)] = 200
    """Train prompts, which measuring does not use."""
    k: Annotated[int, Option(hidden=True)] = 64
    """Log-probabilities kept in a capture, which measuring does not make."""
    max_new_tokens: int = 128
    """Longest answer, in tokens."""
    published: bool = False
    """Use the papers' limits on answers (512 new tokens) instead of --max-new-tokens."""
    seed: int = 0
    """Seed for the sampling and the intervals."""
    controls: bool = True
    """Controls beside every portion: base-chat, aligned-plain and base-no-empty. --no-controls
    leaves them out."""
    baselines: Annotated[str, Option(metavar="A,B,...")] = ""
    """Systems to measure beside base, veneer and aligned, separated by commas: urial, system-prompt
    (both in context)."""


@dataclass(frozen=True, kw_only=True)
class RunCommand:
    """Measure the superficial portion of a pair's alignment: capture the aligned model's answers,
    extract a veneer, measure base, veneer and aligned on each task, and write results.jsonl and
    report.html. Resumes if run again."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer run --base lab:base --aligned lab:aligned --tasks lab-requests,lab-sums --limit 40 "
        "--out run",
        "veneer run --base lab:base --aligned lab:aligned --tasks lab-requests --baselines "
        "bias,rank-4 --out run-baselines",
    )

    base: str
    """The base model."""
    aligned: str
    """The aligned model; it must share base's tokenizer."""
    out: str
    """Folder for everything that the run writes."""
    tasks: Annotated[tuple[str, ...] | None, Option(commas=True)] = None
    """Tasks to measure, separated by commas. Default: every task that the data folder has and that
    needs no judge model."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA, then the hub
    where a pinned source is known."""
    limit: int | None = None
    """At most this many train and this many test prompts of each task, regardless of --train and
    --test."""
    rank: int | None = None
    """Rank of the veneer. Default: dense."""
    engine: Literal["local", "ray"] = "local"
    """Where the capture runs: in this process, or in workers on Ray (docs/scale.md). The bytes are
    the same."""
    templates: RunTemplates = field(default_factory=RunTemplates)
    method: StudyConfig = field(default_factory=StudyConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    machine: Machine = field(default_factory=Machine)
    workers: RayConfig = field(default_factory=RayConfig)
    output: TableOptions = field(default_factory=TableOptions)

    def run(self) -> None:
        from veneer.measures.run_template import run_template, warn_of_refusals_alone
        from veneer.studies.portion.baselines import trains_lora
        from veneer.studies.portion.study import study

        self.workers.check_engine(self.engine)
        if trains_lora(self.method.baselines):
            self.machine.refuse_split("a LoRA among the baselines")
        self.machine.refuse_unread(self.base, self.aligned)
        given = self.templates.given
        tasks = tasks_named(self.tasks, self.data)
        template = run_template(tasks, given, published=self.method.published)
        templates = replace(self.templates, base_template=template, prompt_template=None)
        config = replace(
            self.method.limited(self.limit),
            extraction=ExtractConfig(rank=self.rank),
            judges=replace(self.judge, device=self.machine.device, dtype=self.machine.dtype),
        )
        warn_of_refusals_alone(tasks, config.train_prompts)
        with progress() as report_progress:
            results = study(
                partial(load_pair, self.base, self.aligned, templates, self.machine),
                tasks,
                self.out,
                config,
                settings=pair_settings(self.base, self.aligned, templates, self.machine),
                progress=report_progress,
                **self._capture_with(templates),
            )
        present(results, self.out, lambda: show(results))

    def _capture_with(self, templates: RunTemplates) -> dict[str, Any]:
        """The argument of `study` that says where the capture runs."""
        if self.engine == "local":
            return {}
        from veneer.scale.cluster import need_ray
        from veneer.scale.ray_capture import capture_with_ray, pair_job

        need_ray()

        def capture(pair: Pair, prompts: Any, folder: Path, config: Any, progress: Any) -> Any:
            """Workers load the pair by themselves, and write the date that this process writes."""
            day = getattr(pair.aligned_format, "day", None)
            dated = templates if day is None else replace(templates, template_date=day)
            load = partial(load_pair, self.base, self.aligned, dated, self.machine)
            job = partial(pair_job, load, prompts, config)
            return capture_with_ray(job, folder, self.workers, progress)

        return {"capture_with": capture}


@dataclass(frozen=True, kw_only=True)
class MeasureCommand:
    """Measure base, an existing veneer and aligned on tasks and report the superficial portion.
    Resumes if run again."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer measure --base lab:base --aligned lab:aligned --veneer run/veneer --tasks lab-sums "
        "--out measure",
        "veneer measure --base lab:base --aligned lab:aligned --veneer run/veneer --tasks "
        "lab-facts --samples 2 --temperature 0.7 --out measure-sampled",
    )

    base: str
    """The base model."""
    aligned: str
    """The aligned model; it must share base's tokenizer."""
    veneer: str
    """Folder of the veneer."""
    out: str
    """Folder for the results and the report."""
    tasks: Annotated[tuple[str, ...] | None, Option(commas=True)] = None
    """Tasks to measure, separated by commas. Default: every task that the data folder has and that
    needs no judge model."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""
    limit: int | None = None
    """At most this many test prompts of each task, regardless of --test."""
    templates: MeasureTemplates = field(default_factory=MeasureTemplates)
    method: MeasureSettings = field(default_factory=MeasureSettings)
    beginning: Beginning = field(default_factory=Beginning)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    machine: Machine = field(default_factory=Machine)
    output: TableOptions = field(default_factory=TableOptions)

    def run(self) -> None:
        from veneer.head.veneer import Veneer
        from veneer.measures.run_template import measure_template
        from veneer.studies.portion.study import measure

        veneer = Veneer.load(self.veneer)
        judges = replace(self.judge, device=self.machine.device, dtype=self.machine.dtype)
        method = self.method.limited(self.limit)
        # the train prompts stand in run.json with their default
        config = replace(method, judges=judges, train_prompts=self.method.train_prompts)
        self.machine.refuse_unread(self.base, self.aligned)
        given = self.templates.given
        tasks = tasks_named(self.tasks, self.data)
        template = measure_template(tasks, veneer, given)
        templates = replace(self.templates, base_template=template, prompt_template=None)
        settings = pair_settings(self.base, self.aligned, templates, self.machine)
        with progress() as report_progress:
            results = measure(
                partial(load_pair, self.base, self.aligned, templates, self.machine),
                veneer,
                tasks,
                self.out,
                config,
                beginning=self.beginning,
                settings={**settings, "veneer": veneer.identity(), **self.beginning.facts()},
                progress=report_progress,
            )
        present(results, self.out, lambda: show(results))


@dataclass(frozen=True, kw_only=True)
class ExtractCommand:
    """Extract the veneer dW from a capture as a convex problem, and measure it on the capture's
    report part."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer extract capture --out veneer",
        "veneer extract capture --rank 4 --tasks lab-requests --out veneer-rank-4",
    )

    capture: Annotated[str, Option(positional=True, metavar="CAPTURE")]
    """Folder that `veneer capture` wrote, or a URL such as s3://bucket/folder."""
    out: str
    """Folder for the veneer, its results and its report."""
    partial: bool = False
    """Accept a capture that is not finished."""
    device: str = "auto"
    """Where to compute: auto (a GPU if there is one), cpu, cuda, ..."""
    threads: str = AUTO
    """Threads that compute on the CPU: a number, or auto: as many as there are free cores when the
    command starts, or what OMP_NUM_THREADS says."""
    engine: Literal["local", "torchrun", "ray"] = "local"
    """Who holds the tokens: this process, the processes that torchrun started (the default there),
    or workers on Ray."""
    method: ExtractConfig = field(default_factory=ExtractConfig)
    workers: RayConfig = field(default_factory=RayConfig)
    output: TableOptions = field(default_factory=TableOptions)

    def run(self) -> None:
        from veneer.scale.extraction import chosen_engine, holders

        self.workers.check_engine(self.engine)
        engine = chosen_engine(self.engine)
        with holders(
            engine, self.capture, self.method, device=self.device, ray=self.workers
        ) as held:
            if held.leads:
                self._lead(held.source)

    def _lead(self, source: Any) -> None:
        """Extract and report in the one process that leads."""
        from veneer.scale.remote import open_capture
        from veneer.scale.storage import is_url, without_secrets
        from veneer.studies.portion.extract_study import extract_veneer

        capture = open_capture(self.capture, partial=self.partial)
        address = (
            without_secrets(self.capture)
            if is_url(self.capture)
            else str(Path(self.capture).resolve())
        )
        with progress() as report_progress:
            results = extract_veneer(
                capture,
                self.out,
                self.method,
                device=self.device,
                source=source,
                settings={"capture": address},
                progress=report_progress,
            )
        present(results, self.out, lambda: show(results), place=f"veneer: {self.out}")
