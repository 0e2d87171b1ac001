"""veneer lm-eval: tasks of lm-evaluation-harness on base, veneer and aligned."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

from veneer.foundation.settings import Option
from veneer.studies.lm_eval.settings import LmEvalSettings
from veneer.terminal.options import Machine, PairTemplates, load_pair, pair_settings, progress
from veneer.terminal.output import TableOptions, present

if TYPE_CHECKING:
    from veneer.foundation.results import Results


@dataclass(frozen=True, kw_only=True)
class LmEvalCommand:
    """Run tasks of lm-evaluation-harness on base, aligned and a veneer, with intervals and the
    superficial portion.

    Base and the veneer read a task's question as plain text, aligned as one user message in its
    chat template."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer lm-eval --base lab:base --aligned lab:aligned --tasks task.yaml --out lm-eval",
        "veneer lm-eval --base BASE --aligned ALIGNED --veneer run/veneer --tasks gsm8k,boolq "
        "--limit 100 --out lm-eval",
    )

    base: str
    """The base model."""
    aligned: str
    """The aligned model; it must share base's tokenizer."""
    tasks: Annotated[tuple[str, ...], Option(commas=True)]
    """Names of the harness' tasks or groups, or YAML files, separated by commas."""
    out: str
    """Folder for samples, results and the report."""
    veneer: str | None = None
    """Folder of a veneer. Default: base and aligned only."""
    templates: PairTemplates = field(default_factory=PairTemplates)
    method: LmEvalSettings = field(default_factory=LmEvalSettings)
    machine: Machine = field(default_factory=Machine)
    output: TableOptions = field(default_factory=TableOptions)

    def run(self) -> None:
        from veneer.head.veneer import Veneer
        from veneer.studies.lm_eval.study import lm_eval

        self.machine.refuse_unread(self.base, self.aligned)
        with progress() as report_progress:
            results = lm_eval(
                partial(load_pair, self.base, self.aligned, self.templates, self.machine),
                self.tasks,
                self.out,
                self.method,
                veneer=None if self.veneer is None else Veneer.load(self.veneer),
                settings=pair_settings(self.base, self.aligned, self.templates, self.machine),
                progress=report_progress,
            )
        present(results, self.out, lambda: print_table(results))


def print_table(results: Results) -> None:
    """Print one row per task and metric, the systems side by side."""
    from rich.table import Table

    from veneer.report.basis import in_clusters
    from veneer.terminal.show import figure
    from veneer.terminal.tables import plain_console, print_table

    rows = {(r.task, r.metric, r.of, r.system): r for r in results}
    systems = list(dict.fromkeys(s for *_, s in rows))
    grid = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("task", "metric"):
        grid.add_column(name)
    for name in ("n", *systems, *(["portion"] if "veneer" in systems else [])):
        grid.add_column(name, justify="right")
    for task, metric in dict.fromkeys((task, metric) for task, metric, of, _ in rows if of is None):
        figures = [rows.get((task, metric, None, s)) for s in systems]
        portion = (
            [figure(rows.get((task, "portion", metric, "veneer")))] if "veneer" in systems else []
        )
        grid.add_row(
            task,
            metric,
            f"{max(r.n for r in figures if r is not None)}{in_clusters(figures)}",
            *(figure(r) for r in figures),
            *portion,
        )
    console = plain_console()
    print_table(console, grid)
    console.print("value [95 % interval over documents]")
