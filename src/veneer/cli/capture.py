"""veneer capture: a teacher's answers and base's reading of them, in shards."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from veneer.terminal.options import Machine, WorkerOptions, data_folder, progress
from veneer.terminal.template_options import TemplateOptions, arguments

if TYPE_CHECKING:
    from veneer.capture.config import CaptureConfig
    from veneer.capture.job import Job
    from veneer.capture.teachers.teacher import Teacher
    from veneer.models.formats import Format
    from veneer.models.language_model import LanguageModel
    from veneer.prompts.prompt import Prompt


@dataclass(frozen=True, kw_only=True)
class Capture(TemplateOptions, WorkerOptions, Machine):
    """Let a teacher answer prompts, keep its top-k log-probabilities, and let base read the
    answers. The teacher is an aligned model (--aligned), answers that are stored (--responses), a
    model behind an endpoint (--teacher-url), or one that an installed package offers (--teacher).
    Killed and run again, it goes on where it was and
    ends with the same bytes."""

    base: str
    """The base model."""
    prompts: str
    """A task's name, or a file: JSONL ({"prompt"} or {"messages"}), text (a prompt a line), CSV or
    Parquet (with --column), or hf://OWNER/NAME for a hub data set."""
    out: str
    """Folder for the capture, or a URL such as s3://bucket/folder (docs/scale.md)."""
    aligned: str | None = None
    """The aligned model; it must share base's tokenizer."""
    responses: str | None = None
    """In place of --aligned: a file of answers to the prompts, as `veneer generate` writes it
    or `veneer import` reads it. Nothing but their tokens is known: the veneer is fitted by
    maximum likelihood."""
    answers_only: bool = False
    """Of --responses: take the text of each answer and leave out the reasoning of a thinking model
    (docs/thinking.md)."""
    format: str = "auto"
    """Of --responses: auto, jsonl, overton-open, overton-api, inspect or lm-eval."""
    teacher_url: str | None = None
    """In place of --aligned: OpenAI-compatible endpoint, such as http://localhost:8000/v1. Its
    log-probabilities are the targets where it gives any, otherwise its answers alone."""
    teacher_model: str | None = None
    """Name of the model at that endpoint."""
    teacher_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the endpoint's key; the key itself is never written."""
    teacher_concurrency: int = 8
    """Requests to the endpoint at once."""
    teacher_timeout: float = 120.0
    """Seconds for one whole reply of the endpoint."""
    top_logprobs: int = 20
    """Log-probabilities a token that the endpoint is asked for; 0 takes its answers alone."""
    teacher: str | None = None
    """In place of --aligned: a teacher that an installed package offers, NAME or NAME:TEXT
    (docs/extending.md)."""
    base_template: str | None = None
    """Text around each prompt for base, with {prompt} where it goes, or a name: alpaca, question,
    answer, qa, user, plain, or chat (the tokenizer's chat template). It replaces the template that
    a task brings. Default: a task's own template, a file's text as it is."""
    prompt_template: str | None = None
    """The same as --base-template, under the name that `veneer run` has for it; published leaves a
    task's own template."""
    system: str | None = None
    """System text for the aligned model's chat template, or for the endpoint. Default:
    the template's own."""
    aligned_plain: bool = False
    """The aligned model reads plain text like base, for one that has no chat template."""
    column: str | None = None
    """Column that holds the prompt, of a CSV or Parquet file or a hub data set."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""
    split: Literal["train", "test"] = "train"
    """Part of a task's prompts."""
    limit: int | None = None
    """At most so many prompts. Default: all."""
    k: int = 64
    """Log-probabilities kept a token; the rest of the mass is kept as one number."""
    hidden_dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the stored hidden states."""
    max_new_tokens: int = 128
    """Longest answer, in tokens; stored answers are cut there."""
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    """Mass of the most likely tokens that sampling keeps."""
    batch_size: int = 32
    """Prompts answered together; halved where memory runs out."""
    seed: int = 0
    """Of sampling."""
    engine: Literal["local", "ray"] = "local"
    """Who makes the shards: this process, or workers on Ray. The bytes are the same where a worker
    has as many threads."""
    dry_run: bool = False
    """Only state the tokens, disk and memory that the capture would use."""

    def run(self) -> None:
        import time

        from veneer.capture.estimate import estimate
        from veneer.capture.run import make_capture
        from veneer.foundation.errors import InputError
        from veneer.foundation.run_record import RunRecord
        from veneer.scale.ray_capture import capture_with_ray
        from veneer.scale.remote import shelf_of
        from veneer.scale.storage import without_secrets

        teachers = ("aligned", "responses", "teacher_url", "teacher")
        given = [n for n in teachers if getattr(self, n) is not None]
        if len(given) != 1:
            said = " and ".join(f"--{n.replace('_', '-')}" for n in given) or "no teacher"
            raise InputError(
                f"found {said}; expected one of --aligned, --responses, --teacher-url and --teacher"
            )
        if (self.teacher_url is None) != (self.teacher_model is None):
            raise InputError("--teacher-url and --teacher-model go together; give both")
        if self.answers_only and self.responses is None:
            raise InputError(
                "--answers-only goes with --responses alone: a model that thinks gives its "
                "log-probabilities behind its reasoning, which base would not read; store its "
                "answers first (veneer generate) and give them with --responses"
            )
        if self.engine == "ray" and self.teacher_url is not None:
            raise InputError(
                "an endpoint answers many requests at once already; leave out --engine ray, or "
                "--teacher-url"
            )
        if self.responses is not None or (self.aligned is not None and self.aligned_plain):
            self.refuse_template_options(
                "--responses" if self.responses is not None else "--aligned-plain"
            )
        if self.teacher_url is not None and self.template_date is not None:
            raise InputError(
                "found --template-date beside --teacher-url, whose server writes the date itself; "
                "leave it out"
            )
        ray = self.ray()
        shelf = shelf_of(self.out)
        if self.dry_run:
            job = self.job()
            print(
                "\n".join(
                    estimate(
                        job.base, job.teacher, job.prompts, job.config, base_format=self._form()
                    ).lines()
                )
            )
            return
        started = time.perf_counter()
        with progress() as say:
            if self.engine == "ray":
                dated = (
                    replace(self, template_date=self._day()) if self.aligned is not None else self
                )  # one date for all machines
                taken = capture_with_ray(dated.job, self.out, ray, say)
            else:
                taken = make_capture(self.job(), shelf, say)
        shelf.prepare()  # whoever made the shards
        if not (shelf.folder / "run.json").is_file():
            record = RunRecord(
                shelf.folder,
                "capture",
                {
                    **self._said(),
                    "prompts": self.prompts,
                    "limit": self.limit,
                    **taken.manifest["config"],
                },
                fresh=False,
            )
            facts = (
                "base",
                "aligned",
                "base_format",
                "aligned_format",
                "vocabulary",
                "stop_ids",
                "teacher",
            )
            record.note(
                pair={k: taken.manifest[k] for k in facts if k in taken.manifest},
                seeds={"sampling": self.seed},
                seconds={"capture": round(time.perf_counter() - started, 2)},
                finished=True,
            )
            shelf.share()
        print(
            f"{taken.tokens:,} response tokens of {len(taken.prompts)} prompts in "
            f"{without_secrets(self.out)}"
        )
        if taken.one_hot:
            print(
                "only the answers' tokens are known: no distributions, so `veneer extract` "
                "reports their likelihood and no KL"
            )
        elif taken.endpoint_note:
            print(taken.endpoint_note)

    def job(self) -> Job:
        """What is to be made: called by the process, or the worker, that makes it."""
        from veneer.capture import CaptureConfig
        from veneer.capture.job import Job
        from veneer.models.decode import Sampling
        from veneer.models.load import load_model
        from veneer.tasks.source import load_prompts

        found = load_prompts(
            self.prompts,
            data=data_folder(self.data),
            column=self.column,
            limit=self.limit,
            split=self.split,
        )
        sampling = Sampling(self.max_new_tokens, self.temperature, self.top_p, self.seed)
        config = CaptureConfig(self.k, self.hidden_dtype, self.batch_size, sampling=sampling)
        base, form = load_model(self.base, **self.how()), self._form()
        teacher, found = self._teacher(base, form, found, config)
        return Job.of(base, teacher, found, config, form)

    def _form(self) -> Format:
        from veneer.models.formats import given_format

        return given_format(self._template(), self.chat_format(self.system))

    def _template(self) -> str | None:
        """What --base-template or --prompt-template says. Raises InputError
        where both are given."""
        from veneer.measures.run_template import PUBLISHED, check_base_template

        check_base_template(self.prompt_template, self.base_template)
        given = self.prompt_template if self.base_template is None else self.base_template
        return None if given == PUBLISHED else given

    def _teacher(
        self, base: LanguageModel, form: Format, prompts: list[Prompt], config: CaptureConfig
    ) -> tuple[Teacher, list[Prompt]]:
        """The teacher and the prompts that it answers."""
        if self.responses is not None:
            import sys

            from veneer.imports.teacher import read_teacher

            answers = read_teacher(
                self.responses, base, prompts, format=self.format, answers_only=self.answers_only
            )
            for line in answers.lines():
                print(line, file=sys.stderr)
            return answers.teacher, answers.prompts
        if self.aligned is not None:
            from veneer.capture.teachers.aligned import AlignedModel
            from veneer.models.load import load_model
            from veneer.models.pair import Pair

            aligned = load_model(self.aligned, **self.how())
            pair = Pair(
                base, aligned, form, form if self.aligned_plain else self.chat_format(self.system)
            )
            return AlignedModel(pair.dated(self._day())), prompts
        if self.teacher is not None:
            from veneer.capture.teachers.registry import get_teacher

            return get_teacher(self.teacher, base, prompts), prompts
        return self._remote(base, prompts, config), prompts

    def _day(self) -> str:
        from veneer.foundation.days import day_of
        from veneer.scale.remote import shelf_of

        return self.template_date or day_of(shelf_of(self.out).folder / "manifest.json")

    def _remote(self, base: LanguageModel, prompts: list[Prompt], config: CaptureConfig) -> Teacher:
        """Asked once what it tells, unless a capture that is there knows that already."""
        from veneer.capture.teachers.endpoint import RemoteTeacher, known_top, probe
        from veneer.endpoint import EndpointConfig
        from veneer.scale.remote import shelf_of

        folder = shelf_of(self.out).folder
        assert self.teacher_url is not None and self.teacher_model is not None
        how = EndpointConfig(
            self.teacher_url,
            self.teacher_model,
            key_env=self.teacher_key_env,
            timeout=self.teacher_timeout,
            concurrency=self.teacher_concurrency,
            cache=folder / "replies.log",
        )
        top = known_top(folder, self.top_logprobs)
        if top is None:
            top = probe(
                how,
                prompts[0],
                config.sampling,
                top=self.top_logprobs,
                system=self.system,
                arguments=arguments(self.template_arg),
            )
        return RemoteTeacher(base, how, top, self.system, arguments(self.template_arg))

    def _said(self) -> dict[str, Any]:
        """What run.json says of the command."""
        names = [
            "base",
            "aligned",
            "base_template",
            "system",
            "aligned_plain",
            "device",
            "dtype",
            "revision",
            "trust_remote_code",
        ]
        if self.aligned is None:
            names += ["responses", "format", "teacher_url", "teacher_model", "top_logprobs"]
        if self.answers_only:
            names.append("answers_only")
        if self.teacher is not None:
            names.append("teacher")
        return {
            **{k: getattr(self, k) for k in names},
            "base_template": self._template(),
            **self.template_words(),
        }
