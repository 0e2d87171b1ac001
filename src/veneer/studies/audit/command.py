"""veneer audit: how far a fine-tuned model's surface has moved from its reference's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from veneer.terminal.options import Machine, data_folder, progress
from veneer.terminal.template_options import TemplateOptions

if TYPE_CHECKING:
    from veneer.foundation.results import Results


@dataclass(frozen=True, kw_only=True)
class Audit(TemplateOptions, Machine):
    """How far the surface of a fine-tuned model has moved from its reference: KL by position,
    refusals, where the change lies (head, layers, or both), and whether a veneer could restore it.
    Both read the same format."""

    reference: Annotated[str, tyro.conf.Positional]
    """The reference model A, such as the aligned model before it was fine-tuned."""
    audited: Annotated[str, tyro.conf.Positional]
    """The model C to be audited."""
    out: str
    """Folder for answers, results and the report."""
    harmful: str | None = None
    """Tasks or prompt files with harmful requests, separated by commas. Default: advbench;
    lab-requests for a lab model."""
    harmless: str | None = None
    """The same with harmless prompts. Default: svamp,truthfulqa; lab-harmless for a lab model."""
    limit: int = 40
    """Prompts of each set, shared out over its sources."""
    system: str | None = None
    """System text of the chat template that both read. Default: the template's own."""
    plain: bool = False
    """Both models read plain text instead of their chat templates."""
    max_new_tokens: int = 48
    """Longest answer, in tokens."""
    folds: int = 5
    """Parts in which each prompt is held out once from a veneer; 0 leaves the veneer out."""
    patched_prompts: int = 12
    """Prompts of each set for the patching of layers; 0 leaves it out."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""
    batch_size: int = 20
    """Prompts answered together."""
    seed: int = 0
    """Of the veneers' parts and of the intervals."""

    def run(self) -> None:
        from veneer.models.formats import PlainFormat
        from veneer.models.load import load_model
        from veneer.studies.audit.config import HARMFUL, HARMLESS
        from veneer.studies.audit.prompts import default_sources, prompt_sets
        from veneer.studies.audit.study import AuditConfig, audit

        if self.plain:
            self.refuse_template_options("--plain")
        self.refuse_split("an audit, which compares and exchanges weights,")
        given = {HARMFUL: self.harmful, HARMLESS: self.harmless}
        usual = default_sources((self.reference, self.audited))
        sources = {
            role: usual[role] if text is None else _names(text) for role, text in given.items()
        }
        sets = prompt_sets(sources, data=data_folder(self.data), limit=self.limit)
        config = AuditConfig(
            max_new_tokens=self.max_new_tokens,
            batch_size=self.batch_size,
            folds=self.folds,
            patched_prompts=self.patched_prompts,
            seed=self.seed,
        )
        said = {
            "reference": self.reference,
            "audited": self.audited,
            "sources": sources,
            "system": self.system,
            "plain": self.plain,
            **self.template_words(),
            **self.how(),
        }
        with progress() as say:
            results = audit(
                lambda: (
                    load_model(self.reference, **self.how()),
                    load_model(self.audited, **self.how()),
                ),
                sets,
                self.out,
                config,
                format=PlainFormat() if self.plain else self.chat_format(self.system),
                said=said,
                progress=say,
            )
        show(results, Path(self.out))
        print(f"\nreport: {Path(self.out) / 'report.html'}")


def show(results: Results, out: Path) -> None:
    """The verdict, and a line a set and metric."""
    from rich.console import Console
    from rich.table import Table

    from veneer.foundation.files import read_json
    from veneer.studies.audit.config import AUDITED, HARMFUL, HARMLESS, REFERENCE, RESTORED
    from veneer.terminal.show import figure

    verdict = read_json(out / "run.json", "the record of an audit")["verdict"]
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, 120)
    console.print(verdict["headline"], style="bold")
    for sentence in verdict["sentences"]:
        console.print(f"  {sentence}")
    table = Table(box=None, header_style="bold", pad_edge=False)
    systems = [
        s for s in (REFERENCE, AUDITED, RESTORED) if results.where(metric="refusal_rate", system=s)
    ]
    for name in ("set", "metric", "n", *systems):
        table.add_column(name, justify="left" if name in ("set", "metric") else "right")
    for task in (HARMFUL, HARMLESS):
        for metric in (
            "refusal_rate",
            "same_answer",
            "empty_rate",
            "unfinished_rate",
            "common_opening",
            "mean_length",
        ):
            rows = {r.system: r for r in results.where(task=task, metric=metric)}
            if rows:
                n = str(next(iter(rows.values())).n)
                table.add_row(
                    task, metric.replace("_", " "), n, *(figure(rows.get(s)) for s in systems)
                )
    console.print()
    console.print(table)


def _names(text: str) -> tuple[str, ...]:
    return tuple(n.strip() for n in text.split(",") if n.strip())
