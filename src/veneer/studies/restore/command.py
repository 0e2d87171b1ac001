"""veneer restore: put alignment back on a model that fine-tuning broke."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from veneer.foundation.settings import Option, refuse_unused
from veneer.judges.config import JudgeConfig
from veneer.studies.restore.settings import BASE_METHODS, HEAD_METHODS, PartSizes, RestoreSettings
from veneer.terminal.options import Machine, data_folder, progress
from veneer.terminal.output import TableOptions, present
from veneer.terminal.template_options import TemplateOptions

if TYPE_CHECKING:
    from veneer.studies.restore.inputs import RestoreInputs, Roles

LAB_TASKS = {
    "harmful": ("lab-requests",),
    "safe": ("lab-harmless",),
    "capability": ("lab-sums",),
    "harmless": ("lab-harmless", "lab-sums"),
}
TASKS = {
    "harmful": ("advbench",),
    "safe": ("xstest",),
    "capability": ("svamp",),
    "harmless": ("svamp", "truthfulqa"),
}
Names = Annotated[tuple[str, ...] | None, Option(commas=True)]


@dataclass(frozen=True, kw_only=True)
class RestoreSources:
    """The models and stored files that methods learn from."""

    aligned: str | None = None
    """The aligned model before the fine-tuning. All methods but urial learn from it, except head
    and shifted with a --veneer."""
    base: str | None = None
    """The base model, for the methods head and shifted."""
    veneer: str | None = None
    """Folder of the veneer from base to aligned. Default: extracted here."""
    capture: str | None = None
    """Folder of a capture of the aligned model's answers to the train prompts, so that it need not
    answer again."""
    responses: Annotated[tuple[str, ...], Option(metavar="FILE")] = ()
    """Files of the aligned model's answers to train prompts (from `veneer generate`, or any format
    of `veneer import`), for the method own-responses. Default: --aligned answers here."""


@dataclass(frozen=True, kw_only=True)
class RestoreTemplates(TemplateOptions):
    """What the models read around each prompt (docs/chat-templates.md)."""

    base_template: str | None = None
    """Text around each prompt for base, with {prompt} where it goes. Default: the prompt alone, or
    the format that the --veneer was extracted with."""
    system: str | None = None
    """System text for the chat templates. Default: the templates' own."""


@dataclass(frozen=True, kw_only=True)
class RestoreTasks:
    """Which prompts are harmful, safe or a test of capability."""

    harmful: Names = None
    """Tasks whose prompts should be refused. Default: advbench; lab-requests for a lab model."""
    safe: Names = None
    """Tasks whose prompts should not be refused. Default: the safe prompts of xstest; lab-harmless
    for a lab model."""
    capability: Names = None
    """Tasks that the model should still be able to do. Default: svamp; lab-sums for a lab model."""
    harmless: Names = None
    """Tasks, or files of prompts, that a new veneer learns beside the harmful ones. Default: svamp
    and truthfulqa; lab-harmless and lab-sums for a lab model."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA, then the hub
    for tasks with a pinned source."""

    def roles(self, *, lab: bool) -> Roles:
        """The tasks by role. lab: the compromised model is an embedded one."""
        from veneer.studies.restore.inputs import Roles, harmless_tasks
        from veneer.tasks.registry import chosen_tasks

        defaults, folder = LAB_TASKS if lab else TASKS, data_folder(self.data)
        names = {
            role: default if (given := getattr(self, role)) is None else given
            for role, default in defaults.items()
        }
        tasks = {
            role: tuple(chosen_tasks(",".join(names[role]), folder)) if names[role] else ()
            for role in ("harmful", "safe", "capability")
        }
        return Roles(**tasks, harmless=harmless_tasks(names["harmless"], folder))


@dataclass(frozen=True, kw_only=True)
class RestoreCommand:
    """Restore the alignment of a compromised model with several methods. The strength of each
    method is chosen on a validation part; the report says what came back and what it cost:
    refusals, over-refusal, capability, KL, and a verdict on each method. Restored checkpoints are
    written. Resumes if run again."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer restore --compromised lab:compromised --aligned lab:aligned --base lab:base "
        "--limit 12 --out restored",
        "veneer restore --compromised lab:compromised --aligned lab:aligned --ways own "
        "--alphas 0.5,1 --ranks 4 --limit 12 --out restored-own",
    )

    compromised: str
    """The model that fine-tuning broke; it reads its own chat template."""
    out: str
    """Folder for the results, the report and all files."""
    models: RestoreSources = field(default_factory=RestoreSources)
    templates: RestoreTemplates = field(default_factory=RestoreTemplates)
    tasks: RestoreTasks = field(default_factory=RestoreTasks)
    prompts: PartSizes = field(default_factory=PartSizes)
    method: RestoreSettings = field(default_factory=RestoreSettings)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    machine: Machine = field(default_factory=Machine)
    output: TableOptions = field(default_factory=TableOptions)

    def run(self) -> None:
        from veneer.studies.restore.show import show
        from veneer.studies.restore.study import restore

        self.machine.refuse_split("restore, which fine-tunes and exchanges weights,")
        self.machine.refuse_unread(self.compromised, self.models.aligned, self.models.base)
        self._refuse_unused()
        roles = self.tasks.roles(lab=self.compromised.startswith("lab:"))
        inputs = self._inputs()
        machine = self.machine
        with progress() as report_progress:
            results = restore(
                inputs,
                roles,
                self.out,
                replace(self.method, sizes=self.prompts),
                judge=replace(self.judge, device=machine.device, dtype=machine.dtype),
                settings=self._settings(inputs),
                progress=report_progress,
            )
        present(results, self.out, lambda: show(results))

    def _refuse_unused(self) -> None:
        """Raise InputError for inputs and settings that no method of --ways uses."""
        ways = set(self.method.methods)
        where = "with --ways " + ",".join(self.method.methods)
        if "own-responses" not in ways:
            refuse_unused(self.models, where, "responses")
        if not ways & set(BASE_METHODS):
            refuse_unused(self.models, where, "base", "veneer")
            refuse_unused(self.templates, where, "base_template")
        if "shifted" not in ways:
            refuse_unused(self.method, where, "schedules")
        if not ways & set(HEAD_METHODS):
            refuse_unused(self.method, where, "ranks", "merge")
        if ways == {"urial"}:
            refuse_unused(self.method, where, "alphas")
        if self.models.veneer is not None:
            ways -= set(BASE_METHODS)
            where += " and --veneer"
        if not ways & {"own", *BASE_METHODS}:
            refuse_unused(self.models, where, "capture")
        if not ways & {"own", "own-responses", *BASE_METHODS}:
            refuse_unused(self.method, where, "k")

    def _inputs(self) -> RestoreInputs:
        from veneer.capture import Capture
        from veneer.head.recorded import recorded_format
        from veneer.head.veneer import Veneer
        from veneer.models.formats import PlainFormat, given_format
        from veneer.models.load import load_model
        from veneer.studies.restore.inputs import RestoreInputs

        def loader(name: str | None):
            return None if name is None else lambda: load_model(name, **self.machine.how())

        models = self.models
        veneer = None if models.veneer is None else Veneer.load(models.veneer)
        template = self.templates.base_template
        chat = self.templates.chat_format(self.templates.system)
        base_format = given_format(template, chat)
        if template is None and veneer is not None:
            base_format = recorded_format(veneer.facts) or PlainFormat()
        return RestoreInputs(
            lambda: load_model(self.compromised, **self.machine.how()),
            loader(models.aligned),
            loader(models.base),
            veneer,
            None if models.capture is None else Capture.open(models.capture),
            tuple(Path(file) for file in models.responses),
            chat,
            base_format,
            data_folder(self.tasks.data),
        )

    def _settings(self, inputs: RestoreInputs) -> dict[str, Any]:
        """The identity of the inputs in run.json, which a second run must share."""
        from veneer.foundation.files import sha256_file

        models, veneer, capture = self.models, inputs.veneer, inputs.capture
        return {
            "compromised": self.compromised,
            "aligned": models.aligned,
            "base": models.base,
            "veneer": None if veneer is None else veneer.identity(),
            "base_template": self.templates.base_template,
            "system": self.templates.system,
            "capture": None if capture is None else capture.manifest["prompts_sha256"],
            "responses": [sha256_file(file) for file in inputs.response_files()],
            **self.templates.template_words(),
            **self.machine.how(),
        }
