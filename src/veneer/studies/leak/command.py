"""veneer leak: what a model gives away of its alignment data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from veneer.foundation.settings import Option, refuse_unused
from veneer.studies.leak.settings import LeakSettings
from veneer.terminal.options import Machine, data_folder, progress
from veneer.terminal.output import TableOptions, present
from veneer.terminal.template_options import TemplateOptions

if TYPE_CHECKING:
    from veneer.foundation.results import Results
    from veneer.head.veneer import Veneer
    from veneer.studies.leak.study import LeakModels


@dataclass(frozen=True, kw_only=True)
class LeakTemplates(TemplateOptions):
    """What the aligned model's chat template writes in front of a question
    (docs/chat-templates.md)."""

    system: str | None = None
    """System text of the chat template, best that of the training data. Default: the template's
    own."""


@dataclass(frozen=True, kw_only=True)
class LeakCommand:
    """Sample a model after the opening of its chat template, and measure how many of the samples
    come from its training data, against a false rate on held-out data. Resumes if run again. The
    folder and its page hold training data, unless --redact is given."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer leak --model aligned --base base --examples train.jsonl --held-out test.jsonl "
        "--out leak",
        "veneer leak --model aligned --base base --veneer runs/mine/veneer --examples svamp "
        "--prefix assistant --samples 200 --out leak-svamp",
    )

    model: str
    """The aligned model that may give its data away."""
    base: str | None = None
    """The model before alignment; it reads the aligned model's template."""
    veneer: Annotated[str | None, Option(metavar="FOLDER")] = None
    """A veneer of base: does the surface leak?"""
    also: Annotated[tuple[str, ...], Option(metavar="NAME=MODEL")] = ()
    """Further models, NAME=MODEL."""
    examples_of: Annotated[str | None, Option(name="examples", metavar="FILE|TASK")] = None
    """The data that the model was aligned on: a file of questions with answers, in any format of
    `veneer import`, or a task (the questions of its train split)."""
    held_out: Annotated[str | None, Option(metavar="FILE|TASK")] = None
    """Data of the same source that the model has not seen. Default: the test split of a task."""
    embedder: str | None = None
    """Embedding model that finds the nearest examples. Default: minilm."""
    data: Annotated[str | None, Option(metavar="FOLDER|FILE|TASK")] = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA. Without
    --examples: the examples themselves, a file or a task."""
    out: Annotated[str, Option(metavar="FOLDER")]
    """Folder for samples, results and the report."""
    templates: LeakTemplates = field(default_factory=LeakTemplates)
    method: LeakSettings = field(default_factory=LeakSettings)
    machine: Machine = field(default_factory=Machine)
    output: TableOptions = field(default_factory=TableOptions)

    def run(self) -> None:
        from veneer.embed import load_embedder
        from veneer.foundation.errors import InputError
        from veneer.foundation.reading.content import stem
        from veneer.head.veneer import Veneer
        from veneer.studies.leak.examples import read_examples
        from veneer.studies.leak.study import leak
        from veneer.tasks.registry import TASKS
        from veneer.tasks.source import refuse_unread
        from veneer.terminal.pairs import named

        members_source, folder = self._sources()
        if self.veneer is not None and self.base is None:
            raise InputError("--veneer is given without --base; give the base model of the veneer")
        if self.base is None:
            refuse_unused(self.method, "without --base", "likelihoods")
        elif self.base == self.model:
            raise InputError(
                f"{self.model!r} is given as --model and as --base; expected two models that differ"
            )
        if self.method.retrain and self.base is None:
            raise InputError("--retrain is given without --base; give the base model to train")
        others = named(self.also, "--also", "NAME=MODEL")
        self.machine.refuse_unread(self.model, self.base, *others.values())
        self._check_names(others)
        data = data_folder(folder)
        members = read_examples(members_source, data=data, split="train")
        if self.held_out is None and members_source not in TASKS:
            raise InputError(
                f"the examples are the file {members_source} and --held-out is missing; give "
                "examples of the same source that the model has not seen: without them nobody can "
                "say how often an unrelated text would count as extracted"
            )
        veneer = None if self.veneer is None else Veneer.load(self.veneer)
        held_out = read_examples(self.held_out or members_source, data=data, split="test")
        if folder is not None:
            refuse_unread(self, members_source, self.held_out or members_source)
        with progress() as report_progress:
            results = leak(
                lambda: self._load(veneer, others),
                members,
                held_out,
                self.out,
                self.method,
                embedder=load_embedder(self.embedder),
                task=stem(Path(members_source)),
                format=self.templates.chat_format(self.templates.system),
                settings=self._settings(),
                progress=report_progress,
            )
        present(results, self.out, lambda: show(results, self.method.redact))

    def _sources(self) -> tuple[str, str | None]:
        """The examples, and the folder of the tasks' data."""
        from veneer.foundation.errors import InputError

        if self.examples_of is not None:
            return self.examples_of, self.data
        if self.data is None or Path(self.data).is_dir():
            raise InputError(
                "--examples is missing; give a file of questions with answers, or a task"
            )
        return self.data, None

    def _check_names(self, others: dict[str, str]) -> None:
        from veneer.foundation.errors import InputError
        from veneer.studies.leak.names import ALIGNED, BASE_CHAT, HELD_OUT, VENEER

        taken = {ALIGNED, BASE_CHAT, VENEER, HELD_OUT} & set(others)
        if taken:
            raise InputError(
                f"--also names {min(taken)!r}, which the study uses; give another name"
            )

    def _load(self, veneer: Veneer | None, others: dict[str, str]) -> LeakModels:
        from veneer.models.load import load_model
        from veneer.models.places import check_places
        from veneer.studies.leak.study import LeakModels

        how = self.machine.how()
        check_places(self.model, self.base, *others.values())
        return LeakModels(
            load_model(self.model, **how),
            None if self.base is None else load_model(self.base, **how),
            veneer,
            {name: load_model(model, **how) for name, model in others.items()},
        )

    def _settings(self) -> dict[str, Any]:
        """The record of the command line in run.json, which a second run must share."""
        names = ("model", "base", "veneer", "also")
        system = self.templates.system
        return {
            **{n: getattr(self, n) for n in names},
            **({} if system is None else {"system": system}),
            **self.templates.template_words(),
            **self.machine.how(),
        }


def show(results: Results, redacted: bool) -> None:
    """One sentence per system, and the false rates."""
    from rich.table import Table

    from veneer.report.basis import counted
    from veneer.studies.leak.names import CALIBRATED
    from veneer.studies.leak.words import false_rate_caption, finding
    from veneer.terminal.show import figure
    from veneer.terminal.tables import plain_console, print_table

    console = plain_console()
    for sentence in finding(results):
        console.print(sentence)
    table = Table(box=None, header_style="bold", pad_edge=False)
    systems = list(dict.fromkeys(r.system for r in results if r.metric == "extracted_rate"))
    for name in ("part", "judge", "n", "false rate", "samples", *systems):
        table.add_column(name, justify="left" if name in ("part", "judge") else "right")
    false_rates = list(results.where(metric="false_rate", split=CALIBRATED))
    for row in false_rates:
        rates = [
            next(
                iter(
                    results.where(
                        metric="extracted_rate",
                        of=row.of,
                        judge=row.judge,
                        split=CALIBRATED,
                        system=system,
                    )
                ),
                None,
            )
            for system in systems
        ]
        cells = (counted([row]), figure(row), counted(rates), *map(figure, rates))
        table.add_row(row.of or "", row.judge or "", *cells)
    console.print()
    print_table(console, table)
    console.print("share of samples that give training data [95 % interval]")
    if caption := false_rate_caption(false_rates):
        console.print(caption)
    if not redacted:
        console.print("The folder and its page hold training data; --redact keeps scores only.")
