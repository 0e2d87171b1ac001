"""veneer audit: how far a fine-tuned model's surface has moved from its reference's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from veneer.foundation.settings import Option, refuse_unused
from veneer.studies.audit.settings import AuditSettings
from veneer.studies.audit.taught.settings import TaughtSettings
from veneer.terminal.options import Machine, data_folder, progress
from veneer.terminal.output import TableOptions, present
from veneer.terminal.template_options import TemplateOptions

if TYPE_CHECKING:
    from veneer.foundation.results import Results
    from veneer.models.formats import Format
    from veneer.models.language_model import LanguageModel
    from veneer.prompts.prompt import Prompt


@dataclass(frozen=True, kw_only=True)
class AuditTemplates(TemplateOptions):
    """What both models read around each prompt (docs/chat-templates.md)."""

    system: str | None = None
    """System text of the chat template. Default: the template's own."""
    plain: bool = False
    """Both models read plain text instead of their chat templates."""

    def format(self) -> Format:
        """Raises InputError where options of a template stand beside plain text."""
        from veneer.models.formats import PlainFormat

        if self.plain:
            self.refuse_template_options("beside --plain")
            return PlainFormat()
        return self.chat_format(self.system)


@dataclass(frozen=True, kw_only=True)
class AuditPrompts:
    """The prompts that both models answer."""

    harmful: Annotated[tuple[str, ...] | None, Option(commas=True, metavar="TASK|FILE,...")] = None
    """Tasks or prompt files with harmful requests. Default: advbench; lab-requests for a lab
    model."""
    harmless: Annotated[tuple[str, ...] | None, Option(commas=True, metavar="TASK|FILE,...")] = None
    """Tasks or prompt files with harmless prompts. Default: svamp,truthfulqa; lab-harmless for a
    lab model."""
    limit: int = 40
    """Number of prompts of each set, shared out over its sources."""
    data: Annotated[str | None, Option(metavar="FOLDER")] = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""

    def sources(self, *models: str) -> dict[str, tuple[str, ...]]:
        """Tasks and files of each set. models: names of A and C, which decide the defaults."""
        from veneer.studies.audit.names import HARMFUL, HARMLESS
        from veneer.studies.audit.prompts import default_sources

        usual = default_sources(models)
        given = {HARMFUL: self.harmful, HARMLESS: self.harmless}
        return {
            role: usual[role] if sources is None else sources for role, sources in given.items()
        }

    def sets(self, sources: dict[str, tuple[str, ...]]) -> dict[str, list[Prompt]]:
        from veneer.studies.audit.prompts import prompt_sets

        return prompt_sets(sources, data=data_folder(self.data), limit=self.limit)


@dataclass(frozen=True, kw_only=True)
class AuditCommand:
    """Measure how far the surface of a fine-tuned model has moved from its reference: KL by
    position, refusals, where the change lies (head, layers, or both), what was taught, and whether
    a veneer could restore it. Both models read the same format. Resumes if run again."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer audit lab:aligned lab:compromised --out audit",
        "veneer audit lab:aligned lab:base --plain --harmful lab-requests --harmless "
        "prompts.jsonl --limit 20 --out audit-base",
    )

    reference: Annotated[str, Option(positional=True, metavar="REFERENCE")]
    """The reference model A, such as the aligned model before it was fine-tuned."""
    audited: Annotated[str, Option(positional=True, metavar="AUDITED")]
    """The model C to be audited."""
    out: Annotated[str, Option(metavar="FOLDER")]
    """Folder for answers, results and the report."""
    templates: AuditTemplates = field(default_factory=AuditTemplates)
    prompts: AuditPrompts = field(default_factory=AuditPrompts)
    reference_text: Annotated[str | None, Option(metavar="FILE")] = None
    """Prompt file with neutral text on which both models are compared. Default: a sample that
    ships (English, code, 18 other languages)."""
    method: AuditSettings = field(default_factory=AuditSettings)
    taught: TaughtSettings = field(default_factory=TaughtSettings)
    machine: Machine = field(default_factory=Machine)
    output: TableOptions = field(default_factory=TableOptions)

    def run(self) -> None:
        from veneer.studies.audit.study import audit
        from veneer.studies.audit.taught.texts import reference_texts
        from veneer.tasks.source import refuse_unread

        format = self.templates.format()
        self.machine.refuse_split("an audit, which compares and exchanges weights,")
        self.machine.refuse_unread(self.reference, self.audited)
        self._refuse_unused()
        sources = self.prompts.sources(self.reference, self.audited)
        sets = self.prompts.sets(sources)
        refuse_unread(self.prompts, *(s for several in sources.values() for s in several))
        texts = reference_texts(self.reference_text)
        with progress() as report_progress:
            results = audit(
                self._load,
                sets,
                self.out,
                self.method,
                taught=self.taught,
                texts=texts,
                format=format,
                settings=self._settings(sources),
                progress=report_progress,
            )
        present(results, self.out, lambda: show(results, Path(self.out)))

    def _refuse_unused(self) -> None:
        """Raise InputError for options of parts that are left out."""
        if not self.taught.texts:
            refuse_unused(self, "with --texts 0", "reference_text")
            refuse_unused(self.taught, "with --texts 0", "text_tokens", "topics", "shown")
        if not self.taught.samples:
            refuse_unused(self.taught, "with --samples 0", "amplify", "sample_tokens", "plausible")
        if not self.method.patched_prompts:
            refuse_unused(self.method, "with --patched-prompts 0", "steps")

    def _load(self) -> tuple[LanguageModel, LanguageModel]:
        from veneer.models.load import load_model
        from veneer.models.places import check_places

        how = self.machine.how()
        check_places(self.reference, self.audited)
        return load_model(self.reference, **how), load_model(self.audited, **how)

    def _settings(self, sources: dict[str, tuple[str, ...]]) -> dict[str, Any]:
        """The record of the command line in run.json, which a second run must share."""
        return {
            "reference": self.reference,
            "audited": self.audited,
            "sources": sources,
            "reference_text": self.reference_text,
            "system": self.templates.system,
            "plain": self.templates.plain,
            **self.templates.template_words(),
            **self.machine.how(),
        }


SHOWN = (
    "refusal_rate",
    "same_answer",
    "empty_rate",
    "unfinished_rate",
    "common_opening",
    "mean_length",
)


def show(results: Results, out: Path) -> None:
    """The verdict, and one line per set and metric. out: the study folder."""
    from rich.table import Table

    from veneer.foundation.files import read_json
    from veneer.report.basis import counted
    from veneer.report.words import name
    from veneer.studies.audit.names import AUDITED, HARMFUL, HARMLESS, REFERENCE, RESTORED
    from veneer.studies.audit.opening import next_step, opening
    from veneer.studies.audit.taught.show import show_taught
    from veneer.studies.audit.words import verdict_texts
    from veneer.terminal import legend
    from veneer.terminal.show import figure
    from veneer.terminal.tables import plain_console, print_table

    run = read_json(out / "run.json", "the record of an audit")
    headline, sentences = verdict_texts(run, results)
    console = plain_console()
    console.print(headline, style="bold")
    models = run.get("config") or {}
    console.print(
        f"  A: the reference, {models.get('reference')}; C: the audited model, "
        f"{models.get('audited')}"
    )
    for sentence in (opening(run, results), *sentences):
        if sentence:
            console.print(f"  {sentence}")
    show_taught(results, console)
    table = Table(box=None, header_style="bold", pad_edge=False)
    systems = [
        s for s in (REFERENCE, AUDITED, RESTORED) if results.where(metric="refusal_rate", system=s)
    ]
    for title in ("set", "metric", "n", *systems):
        table.add_column(title, justify="left" if title in ("set", "metric") else "right")
    for task in (HARMFUL, HARMLESS):
        for metric in SHOWN:
            rows = {r.system: r for r in results.where(task=task, metric=metric)}
            if rows:
                n = counted(rows.values())
                table.add_row(task, name(metric), n, *(figure(rows.get(s)) for s in systems))
    console.print()
    print_table(console, table)
    console.print("value [95 % interval]")
    shown = [r for r in results if r.task in (HARMFUL, HARMLESS) and r.metric in SHOWN]
    named = {metric: name(metric) for metric in SHOWN if any(r.metric == metric for r in shown)}
    for line in legend.meanings(named, shown):
        console.print(line)
    if step := next_step(run, results, str(out)):
        console.print("\nnext, put the refusals back:")
        print(f"  {step}")  # on one line, to be copied
