"""veneer transfer: a large base with a small base's veneer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from veneer.foundation.settings import Option, refuse_unused
from veneer.judges.config import JudgeConfig
from veneer.measures.config import StudyConfig
from veneer.studies.transfer.settings import TransferSettings
from veneer.terminal.options import Machine, data_folder, progress
from veneer.terminal.output import TableOptions, present
from veneer.terminal.template_options import TemplateOptions

if TYPE_CHECKING:
    from veneer.head.veneer import Veneer
    from veneer.models.formats import Format
    from veneer.studies.transfer.models import TransferModels
    from veneer.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class TransferReferences:
    """Where the shift comes from, and what the large base is compared with."""

    veneer: Annotated[str | None, Option(metavar="FOLDER")] = None
    """The small base's veneer. Default: extracted from --aligned."""
    aligned: Annotated[str | None, Option(metavar="MODEL")] = None
    """The small aligned model: to extract the veneer from, or with --veneer as a reference."""
    large_aligned: Annotated[str | None, Option(metavar="MODEL")] = None
    """The large aligned model, if there is one: distances, portions and --own are measured against
    it."""


@dataclass(frozen=True, kw_only=True)
class TransferTemplates(TemplateOptions):
    """What the models read around each prompt (docs/chat-templates.md)."""

    base_template: str | None = None
    """Text around each prompt for the small base, with {prompt} where it goes. Default: what the
    veneer recorded, or else the text unchanged."""
    large_template: str | None = None
    """Text around each prompt for the large base. Default: the small base's."""
    system: str | None = None
    """System text for the aligned models' chat templates. Default: the templates' own."""
    aligned_plain: bool = False
    """The aligned models read plain text like the bases, for ones that have no chat template."""

    def formats(self, recorded: Format | None) -> dict[str, Any]:
        """The formats of TransferModels. recorded: what a given veneer recorded for its base."""
        from veneer.models.formats import given_format

        chat = self.chat_format(self.system)
        small = given_format(self.base_template, chat)
        if recorded is not None and self.base_template is None:
            small = recorded
        large = small if self.large_template is None else given_format(self.large_template, chat)
        if self.aligned_plain:
            self.refuse_template_options("beside --aligned-plain")
        aligned = small if self.aligned_plain else chat
        return {"large_format": large, "small_format": small, "aligned_format": aligned}

    def settings(self) -> dict[str, Any]:
        """Settings that a second run into the same folder must share."""
        names = ("base_template", "large_template", "system", "aligned_plain")
        return {name: getattr(self, name) for name in names} | self.template_words()


@dataclass(frozen=True, kw_only=True)
class TransferTasks:
    """The tasks, and how many of their prompts are used."""

    tasks: Annotated[str | None, Option(metavar="TASK,...")] = None
    """Tasks to measure. Default: every task that the data folder has, that needs no judge model and
    is answered in words."""
    data: Annotated[str | None, Option(metavar="FOLDER")] = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA, then the hub
    where a pinned source is known."""
    limit: int | None = None
    """At most this many train and this many test prompts of each task, regardless of --train and
    --test."""

    def chosen(self) -> list[Task]:
        from veneer.tasks.registry import chosen_tasks

        tasks = chosen_tasks(self.tasks, data_folder(self.data))
        return [t for t in tasks if self.tasks is not None or t.kind == "generate"]


@dataclass(frozen=True, kw_only=True)
class TransferAnswers(StudyConfig):
    """How prompts are captured, and how answers are drawn."""

    controls: Annotated[bool, Option(hidden=True)] = True
    """A transfer measures no controls."""
    baselines: Annotated[str, Option(hidden=True)] = ""
    """A transfer measures no baselines."""


@dataclass(frozen=True, kw_only=True)
class TransferCommand:
    """Align a large base with the veneer of a small one: its logits are shifted by alpha dW h_s
    while it decodes. Measures the large base, the shifted systems, the shift baked into the large
    model's own head, the large model's own veneer and its aligned version on each task, how far
    each is from the large aligned model, and what each costs. Resumes if run again."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer transfer --large lab:large-base --base lab:base --aligned lab:aligned "
        "--large-aligned lab:large-aligned --tasks lab-requests,lab-sums --bake --out transfer",
        "veneer transfer --large lab:large-base --base lab:base --veneer run/veneer "
        "--tasks lab-requests --alphas '1,1.5>0.5@10' --out transfer-veneer",
    )

    large: Annotated[str, Option(metavar="MODEL")]
    """The large base model."""
    base: Annotated[str, Option(metavar="MODEL")]
    """The small base model, which the veneer belongs to; it must share the large one's
    tokenizer."""
    out: Annotated[str, Option(metavar="FOLDER")]
    """Folder for captures, veneers, answers, results and the report."""
    references: TransferReferences = field(default_factory=TransferReferences)
    templates: TransferTemplates = field(default_factory=TransferTemplates)
    prompts: TransferTasks = field(default_factory=TransferTasks)
    method: TransferSettings = field(default_factory=TransferSettings)
    answers: TransferAnswers = field(default_factory=TransferAnswers)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    machine: Machine = field(default_factory=Machine)
    output: TableOptions = field(default_factory=TableOptions)

    def run(self) -> None:
        from veneer.foundation.files import read_json
        from veneer.head.veneer import Veneer
        from veneer.studies.transfer.show import show
        from veneer.studies.transfer.study import transfer

        names = self._model_names()
        self._check_models_differ(names)
        self.machine.refuse_unread(*names.values())
        self._refuse_unused()
        method = self._method()
        tasks = self.prompts.chosen()
        folder = self.references.veneer
        veneer = None if folder is None else Veneer.load(folder)
        with progress() as report_progress:
            results = transfer(
                lambda: self._load(names, veneer),
                tasks,
                self.out,
                method,
                aligned_models=[role for role, name in names.items() if name is not None],
                veneer=veneer,
                settings={**names, **self.templates.settings(), **self.machine.how()},
                progress=report_progress,
            )
        record = read_json(Path(self.out) / "run.json", "the record of a transfer")
        chosen = (record.get("choice") or {}).get("system")
        present(results, self.out, lambda: show(results, chosen))

    def _model_names(self) -> dict[str, str | None]:
        """The models by their roles in TransferModels."""
        return {
            "large": self.large,
            "large_aligned": self.references.large_aligned,
            "small": self.base,
            "small_aligned": self.references.aligned,
        }

    def _refuse_unused(self) -> None:
        """Raise InputError for options of models and extractions that this transfer does not
        have."""
        given, method = self.references, self.method
        if given.veneer is not None and not (method.own or method.bake):
            refuse_unused(method, "with --veneer", "rank")
            if given.large_aligned is None:
                where = "with --veneer and without --large-aligned"
                refuse_unused(self.answers, where, "train_prompts", "k")
        if given.aligned is None and given.large_aligned is None:
            where = "without --aligned and --large-aligned"
            refuse_unused(self.templates, where, "aligned_plain")
            if "chat" not in (self.templates.base_template, self.templates.large_template):
                self.templates.refuse_template_options(where)

    def _check_models_differ(self, names: dict[str, str | None]) -> None:
        """Raises InputError where a base is given as its own aligned model."""
        from veneer.foundation.errors import InputError

        for size, base, aligned in (
            ("large", "--large", "--large-aligned"),
            ("small", "--base", "--aligned"),
        ):
            if names[size] == names[f"{size}_aligned"]:
                raise InputError(
                    f"{names[size]!r} is given as {base} and as {aligned}; expected two models "
                    "that differ"
                )

    def _method(self) -> TransferSettings:
        """The whole settings: the method, with how answers are made and judged."""
        judge = replace(self.judge, device=self.machine.device, dtype=self.machine.dtype)
        answers = replace(self.answers.limited(self.prompts.limit), judges=judge)
        return replace(self.method, study=answers)

    def _load(self, names: dict[str, str | None], veneer: Veneer | None) -> TransferModels:
        from veneer.head.recorded import recorded_format
        from veneer.models.load import load_model
        from veneer.models.places import check_places
        from veneer.studies.transfer.models import TransferModels

        recorded = None if veneer is None else recorded_format(veneer.facts)
        how = self.machine.how()
        check_places(*names.values())
        models: dict[str, Any] = {
            role: load_model(name, **how) for role, name in names.items() if name is not None
        }
        return TransferModels(**models, veneer=veneer, **self.templates.formats(recorded))
