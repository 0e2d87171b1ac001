"""veneer capture: a teacher's answers and base's reading of them, in shards."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from veneer.foundation.dry_run import DryRun, Plan, noted_models
from veneer.foundation.settings import Option, check_least, refuse_unused
from veneer.scale.cluster import RayConfig
from veneer.terminal.options import Machine, PairTemplates, data_folder, progress
from veneer.terminal.output import LongOptions
from veneer.terminal.template_options import arguments

if TYPE_CHECKING:
    from veneer.capture.artefact import Capture as CaptureArtefact
    from veneer.capture.config import CaptureConfig
    from veneer.capture.job import Job
    from veneer.capture.teachers.teacher import Teacher
    from veneer.models.formats import Format
    from veneer.models.language_model import LanguageModel
    from veneer.prompts.prompt import Prompt

CHOICES = ("aligned", "responses", "teacher_url", "teacher")  # each names a teacher


@dataclass(frozen=True, kw_only=True)
class TeacherOptions:
    """Who answers the prompts: give one of --aligned, --responses, --teacher-url and --teacher."""

    aligned: str | None = None
    """The aligned model; it must share base's tokenizer."""
    responses: Annotated[str | None, Option(metavar="FILE")] = None
    """A file of answers to the prompts, as `veneer generate` writes it or `veneer import` reads it.
    Only their tokens are known, so the veneer is fitted by maximum likelihood."""
    answers_only: bool = False
    """With --responses: use the text of each answer without the reasoning of a thinking model
    (docs/thinking.md)."""
    format: str = "auto"
    """Format of --responses: auto, or a format of answers that `veneer import --help` lists."""
    teacher_url: Annotated[str | None, Option(metavar="URL")] = None
    """OpenAI-compatible endpoint, such as http://localhost:8000/v1. The targets are its
    log-probabilities where it gives any, otherwise its answers alone."""
    teacher_model: str | None = None
    """Name of the model at that endpoint."""
    teacher_key_env: Annotated[str, Option(metavar="NAME")] = "OPENAI_API_KEY"
    """Environment variable that holds the endpoint's key; the key itself is never written."""
    teacher_concurrency: int = 8
    """Number of simultaneous requests to the endpoint."""
    teacher_timeout: Annotated[float, Option(metavar="SECONDS")] = 120.0
    """Seconds to wait for one whole reply of the endpoint."""
    top_logprobs: int = 20
    """Log-probabilities per token to request from the endpoint; 0 uses its answers alone."""
    teacher: str | None = None
    """A teacher that an installed package offers, NAME or NAME:TEXT (docs/extending.md)."""

    def check(self, templates: CaptureTemplates, engine: str) -> None:
        """Raises InputError unless exactly one teacher is named, with options that belong to it."""
        from veneer.foundation.errors import InputError

        given = [n for n in CHOICES if getattr(self, n) is not None]
        if len(given) != 1:
            names = " and ".join(f"--{n.replace('_', '-')}" for n in given) or "no teacher"
            raise InputError(
                f"found {names}; expected one of --aligned, --responses, --teacher-url and "
                "--teacher"
            )
        if (self.teacher_url is None) != (self.teacher_model is None):
            raise InputError("--teacher-url and --teacher-model go together; give both")
        check_least(self, 0, "top_logprobs")
        if self.teacher_url is None:
            options = ("teacher_key_env", "teacher_concurrency", "teacher_timeout", "top_logprobs")
            refuse_unused(self, "without --teacher-url", *options)
        if self.responses is None:
            refuse_unused(self, "without --responses", "format")
        if self.answers_only and self.responses is None:
            raise InputError(
                "--answers-only goes with --responses alone: a model that thinks gives its "
                "log-probabilities behind its reasoning, which base would not read; store its "
                "answers first (veneer generate) and give them with --responses"
            )
        if engine == "ray" and self.teacher_url is not None:
            raise InputError(
                "an endpoint answers many requests at once already; leave out --engine ray, or "
                "--teacher-url"
            )
        plain = self.aligned is not None and templates.aligned_plain
        if (self.responses or self.teacher or plain) and templates.given != "chat":
            unread = "--responses" if self.responses else "--teacher"
            templates.refuse_template_options(f"beside {'--aligned-plain' if plain else unread}")
        if self.teacher_url is not None and templates.template_date is not None:
            raise InputError(
                "found --template-date beside --teacher-url, whose server writes the date itself; "
                "leave it out"
            )

    def settings(self) -> dict[str, Any]:
        """The record in run.json: only the chosen teacher's options, and --aligned."""
        names = ["aligned"]
        if self.aligned is None:
            names += ["responses", "format", "teacher_url", "teacher_model", "top_logprobs"]
        if self.answers_only:
            names.append("answers_only")
        if self.teacher is not None:
            names.append("teacher")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class CaptureTemplates(PairTemplates):
    """What base and the aligned model read around each prompt (docs/chat-templates.md)."""

    base_template: str | None = None
    """Text around each prompt for base: text with {prompt}, or alpaca, question, answer, qa, user,
    plain, or chat (the tokenizer's template). Default: a task's own template, a file's text as it
    is."""
    prompt_template: str | None = None
    """The same as --base-template, under its name in `veneer run`; published leaves a task's own
    template."""
    system: str | None = None
    """System text for the aligned model's chat template, or for the endpoint. Default: the
    template's own."""

    @property
    def given(self) -> str | None:
        """The value of --base-template or --prompt-template. Raises InputError for both."""
        from veneer.measures.run_template import PUBLISHED, check_base_template

        check_base_template(self.prompt_template, self.base_template)
        given = self.prompt_template if self.base_template is None else self.base_template
        return None if given == PUBLISHED else given

    def base_format(self) -> Format:
        from veneer.models.formats import given_format

        return given_format(self.given, self.chat_format(self.system))

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "base_template": self.given}


@dataclass(frozen=True, kw_only=True)
class CaptureSettings:
    """How answers are drawn, and what a capture stores."""

    k: int = 64
    """Log-probabilities kept per token; the rest of the mass is kept as one number."""
    hidden_dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Number type of the stored hidden states."""
    max_new_tokens: int = 128
    """Longest answer, in tokens; longer stored answers are cut."""
    temperature: float = 0.0
    """Sampling temperature; 0 is greedy."""
    top_p: float = 1.0
    """Probability mass of the most likely tokens that sampling keeps."""
    batch_size: int = 32
    """Prompts answered together; halved where memory runs out."""
    seed: int = 0
    """Seed for the sampling."""

    def config(self) -> CaptureConfig:
        """Raises InputError for a number out of range."""
        from veneer.capture import CaptureConfig
        from veneer.models.sampling import Sampling

        sampling = Sampling(self.max_new_tokens, self.temperature, self.top_p, self.seed)
        return CaptureConfig(self.k, self.hidden_dtype, self.batch_size, sampling=sampling)


@dataclass(frozen=True, kw_only=True)
class CaptureCommand:
    """Let a teacher answer prompts, keep its top-k log-probabilities, and let base read the
    answers. The teacher is an aligned model, stored answers, a model behind an endpoint, or one
    that an installed package offers. Resumes if run again, to the same bytes."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer capture --base lab:base --aligned lab:aligned --prompts lab-requests --limit 48 "
        "--out capture",
        "veneer capture --base lab:base --responses answers.jsonl --prompts lab-requests --split "
        "test --out capture-stored",
    )

    base: str
    """The base model."""
    prompts: str
    """A task's name, or a file: JSONL ({"prompt"} or {"messages"}), text (one prompt per line), CSV
    or Parquet (with --column), or hf://OWNER/NAME for a hub data set."""
    out: str
    """Folder for the capture, or a URL such as s3://bucket/folder (docs/scale.md)."""
    column: str | None = None
    """Column that holds the prompt, in a CSV or Parquet file or a hub data set."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""
    split: Literal["train", "test"] = "train"
    """Part of a task's prompts."""
    limit: int | None = None
    """At most this many prompts. Default: all."""
    engine: Literal["local", "ray"] = "local"
    """Where the shards are computed: in this process, or in workers on Ray. The bytes are the same
    where a worker has as many threads."""
    teachers: TeacherOptions = field(default_factory=TeacherOptions)
    templates: CaptureTemplates = field(default_factory=CaptureTemplates)
    method: CaptureSettings = field(default_factory=CaptureSettings)
    machine: Machine = field(default_factory=Machine)
    workers: RayConfig = field(default_factory=RayConfig)
    output: LongOptions = field(default_factory=LongOptions)

    def run(self) -> None:
        import time

        from veneer.scale.remote_shelf import shelf_of
        from veneer.scale.storage import without_secrets

        self.teachers.check(self.templates, self.engine)
        self.method.config()  # a number out of range is named first
        self.workers.check_engine(self.engine)
        self.machine.refuse_unread(self.base, self.teachers.aligned)
        if self.teachers.aligned is None:
            refuse_unused(self.templates, "without --aligned", "aligned_plain")
        if self.teachers.responses is not None:
            refuse_unused(self.method, "with --responses", "temperature", "top_p")
        elif self.method.temperature == 0:
            refuse_unused(self.method, "at temperature 0", "top_p")
        shelf = shelf_of(self.out)
        if self.output.dry_run:
            raise DryRun(self._plan())
        started = time.perf_counter()
        capture = self._capture()
        shelf.prepare()  # whichever process wrote the shards
        if not (shelf.folder / "run.json").is_file():
            self._record(shelf.folder, capture, time.perf_counter() - started)
            shelf.share()
        print(
            f"{capture.tokens:,} response tokens of {len(capture.prompts)} prompts in "
            f"{without_secrets(self.out)}"
        )
        if capture.one_hot:
            print(
                "only the answers' tokens are known: no distributions, so `veneer extract` "
                "reports their likelihood and no KL"
            )
        elif capture.endpoint_note:
            print(capture.endpoint_note)

    def _plan(self) -> Plan:
        """What the capture would cost, and what is there of it. Raises InputError where a prompt
        cannot be read, and for a folder of another capture as far as its prompts and settings
        tell."""
        from veneer.capture.estimate import estimate
        from veneer.capture.job import Layout
        from veneer.capture.shelf import look
        from veneer.foundation.files import look_at_folder
        from veneer.scale.remote_shelf import shelf_of
        from veneer.scale.storage import is_url, without_secrets

        if not is_url(self.out):
            look_at_folder(Path(self.out))
        base, teacher, prompts, config, form = self._inputs()
        laid = Layout.of(base, teacher, prompts, config, form)
        state, shards = look(shelf_of(self.out), laid, config)
        costs = estimate(base, teacher, prompts, config, base_format=form)
        return Plan(
            command="capture",
            out=without_secrets(self.out),
            state=state,
            kept={f"of {len(laid.plan):,} shards": shards} if shards else {},
            models=noted_models(),
            costs=costs.words(),
            writes=("manifest.json", "prompts.jsonl", "head.safetensors", "shard-*", "run.json"),
            unchecked=("weights",),
        )

    def _capture(self) -> CaptureArtefact:
        """The capture, computed by this process or by workers."""
        from veneer.capture.run import make_capture
        from veneer.scale.ray_capture import capture_with_ray
        from veneer.scale.remote_shelf import shelf_of

        with progress() as report_progress:
            if self.engine == "local":
                return make_capture(self.job(), shelf_of(self.out), report_progress)
            command = self
            if self.teachers.aligned is not None:  # one date for all machines
                templates = replace(self.templates, template_date=self._day())
                command = replace(self, templates=templates)
            return capture_with_ray(command.job, self.out, self.workers, report_progress)

    def _record(self, folder: Any, capture: CaptureArtefact, seconds: float) -> None:
        """Write run.json beside the capture's own manifest."""
        from veneer.studies.runner import record_capture

        facts = (
            "base",
            "aligned",
            "base_format",
            "aligned_format",
            "vocabulary",
            "stop_ids",
            "teacher",
        )
        settings = {
            "base": self.base,
            **self.teachers.settings(),
            **self.templates.settings(),
            **self.machine.how(),
            "prompts": self.prompts,
            "limit": self.limit,
            **capture.manifest["config"],
        }
        record_capture(
            folder,
            settings,
            seconds,
            pair={k: capture.manifest[k] for k in facts if k in capture.manifest},
            seeds={"sampling": self.method.seed},
        )

    def job(self) -> Job:
        """What to capture. The process, or the worker, that computes the capture calls this."""
        from veneer.capture.job import Job

        return Job.of(*self._inputs())

    def _inputs(self) -> tuple[LanguageModel, Teacher, list[Prompt], CaptureConfig, Format]:
        """The arguments of Job.of."""
        from veneer.imports.teacher import check_answers
        from veneer.models.load import load_model
        from veneer.models.places import check_places
        from veneer.tasks.source import load_prompts, refuse_unread

        prompts = load_prompts(
            self.prompts,
            data=data_folder(self.data),
            column=self.column,
            limit=self.limit,
            split=self.split,
        )
        config = self.method.config()
        refuse_unread(self, self.prompts)
        if self.teachers.responses is not None:
            check_answers(self.teachers.responses, prompts, format=self.teachers.format)
        check_places(self.base, self.teachers.aligned)
        base, form = load_model(self.base, **self.machine.how()), self.templates.base_format()
        teacher, prompts = self._teacher(base, form, prompts, config)
        return base, teacher, prompts, config, form

    def _teacher(
        self, base: LanguageModel, form: Format, prompts: list[Prompt], config: CaptureConfig
    ) -> tuple[Teacher, list[Prompt]]:
        """The teacher and the prompts that it answers."""
        given = self.teachers
        if given.responses is not None:
            import sys

            from veneer.imports.teacher import read_teacher

            stored = read_teacher(
                given.responses, base, prompts, format=given.format, answers_only=given.answers_only
            )
            for line in stored.lines():
                print(line, file=sys.stderr)
            return stored.teacher, stored.prompts
        if given.aligned is not None:
            from veneer.capture.teachers.aligned import AlignedModel
            from veneer.models.load import load_model
            from veneer.models.pair import Pair

            aligned = load_model(given.aligned, **self.machine.how())
            chat = self.templates.chat_format(self.templates.system)
            pair = Pair(base, aligned, form, form if self.templates.aligned_plain else chat)
            return AlignedModel(pair.dated(self._day())), prompts
        if given.teacher is not None:
            from veneer.capture.teachers.registry import get_teacher

            return get_teacher(given.teacher, base, prompts), prompts
        return self._endpoint_teacher(base, prompts, config), prompts

    def _day(self) -> str:
        from veneer.foundation.days import day_of
        from veneer.scale.remote_shelf import shelf_of

        return self.templates.template_date or day_of(shelf_of(self.out).folder / "manifest.json")

    def _endpoint_teacher(
        self, base: LanguageModel, prompts: list[Prompt], config: CaptureConfig
    ) -> Teacher:
        """The model behind --teacher-url. One request finds out which log-probabilities it gives,
        unless an interrupted capture recorded that."""
        from veneer.capture.teachers.endpoint import RemoteTeacher, known_top, probe
        from veneer.endpoint import EndpointConfig
        from veneer.scale.remote_shelf import shelf_of

        given, system = self.teachers, self.templates.system
        folder = shelf_of(self.out).folder
        assert given.teacher_url is not None and given.teacher_model is not None
        endpoint = EndpointConfig(
            given.teacher_url,
            given.teacher_model,
            key_env=given.teacher_key_env,
            timeout=given.teacher_timeout,
            concurrency=given.teacher_concurrency,
            cache=folder / "replies.log",
        )
        template_arguments = arguments(self.templates.template_arg)
        top = known_top(folder, given.top_logprobs)
        if top is None:
            top = probe(
                endpoint,
                prompts[0],
                config.sampling,
                top=given.top_logprobs,
                system=system,
                arguments=template_arguments,
            )
        return RemoteTeacher(base, endpoint, top, system, template_arguments)
