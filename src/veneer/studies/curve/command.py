"""veneer curve: skill by number of examples."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from veneer.foundation.settings import Option, refuse_unused
from veneer.judges.config import JudgeConfig
from veneer.studies.curve.settings import CurveConfig, CurveSettings
from veneer.terminal.options import (
    Machine,
    PairTemplates,
    data_folder,
    pair_settings,
    progress,
    tasks_named,
)
from veneer.terminal.output import TableOptions, present

if TYPE_CHECKING:
    from veneer.foundation.results import Results
    from veneer.studies.curve.study import CurveModels


@dataclass(frozen=True, kw_only=True)
class CurveCommand:
    """Train base on more and more examples, and measure how style, skill and refusals grow: with
    several training runs per size, classes of errors, and five families of curves compared. Resumes
    if run again."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer curve --base lab:base --tasks lab-sums,lab-requests --sizes 0,16,64,256 --rate "
        "0.003 --out curve",
        "veneer curve --base lab:base --tasks lab-sums --sizes 0,16,64 --seeds 2 --veneers --limit "
        "40 --out curve-veneers",
    )

    base: str
    """The base model: a checkpoint in a folder or from the hub."""
    aligned: str | None = None
    """The aligned model, for --teach aligned; it must share base's tokenizer."""
    tasks: Annotated[tuple[str, ...], Option(commas=True)]
    """Tasks to measure, separated by commas. Their train prompts are what base learns from."""
    examples_file: Annotated[str | None, Option(name="examples", metavar="FILE")] = None
    """Questions with answers to learn from, in any format of `veneer import`, in place of the
    tasks' train prompts."""
    out: Annotated[str, Option(metavar="FOLDER")]
    """Folder for models, answers, results and the report."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""
    limit: int | None = None
    """At most this many test prompts of each task, and train prompts of a veneer."""
    curve: CurveSettings = field(default_factory=CurveSettings)
    templates: PairTemplates = field(default_factory=PairTemplates)
    method: CurveConfig = field(default_factory=CurveConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    machine: Machine = field(default_factory=Machine)
    output: TableOptions = field(default_factory=TableOptions)

    def _refuse_unused(self) -> None:
        """Raise InputError for options that this curve does not use."""
        if self.curve.teach != "aligned":
            refuse_unused(self, "without --teach aligned", "aligned")
        if self.curve.method == "full":
            refuse_unused(self.curve, "with --method full", "rank")
        if not self.curve.veneers:
            refuse_unused(self.method, "without --veneers", "train_prompts", "k")
            if not self.templates.aligned_plain:
                refuse_unused(self.templates, "without --veneers", "base_template")

    def run(self) -> None:
        from veneer.foundation.errors import InputError
        from veneer.imports.examples import read_examples
        from veneer.measures.beside import beside
        from veneer.studies.curve.study import curve

        self.machine.refuse_split("a curve study, which trains base,")
        self._refuse_unused()
        self.machine.refuse_unread(self.base, self.aligned)
        if self.curve.teach == "aligned" and self.aligned is None:
            raise InputError("--teach aligned needs the model that answers; give --aligned")
        if self.curve.teach == "aligned" and self.examples_file is not None:
            raise InputError(
                "--teach aligned and --examples are both given; the examples have answers of their "
                "own: give one of the two"
            )
        tasks = tasks_named(self.tasks, self.data)
        more = beside(self.tasks) if self.curve.over_refusal else ()
        examples = (
            None
            if self.examples_file is None
            else read_examples(self.examples_file, data=data_folder(self.data))
        )
        judges = replace(self.judge, device=self.machine.device, dtype=self.machine.dtype)
        with progress() as report_progress:
            results = curve(
                self._load,
                tasks,
                self.out,
                self.curve,
                replace(self.method.limited(self.limit), judges=judges),
                examples=examples,
                beside=tasks_named(more, self.data) if more else (),
                settings=pair_settings(self.base, self.aligned or "", self.templates, self.machine),
                progress=report_progress,
            )
        present(results, self.out, lambda: show(results))

    def _load(self) -> CurveModels:
        from veneer.models.load import load_model
        from veneer.models.pair import Pair
        from veneer.models.places import check_places
        from veneer.studies.curve.study import CurveModels

        base_format, form = self.templates.formats()
        check_places(self.base, self.aligned)
        base = load_model(self.base, **self.machine.how())
        aligned = None
        if self.curve.teach == "aligned" and self.aligned is not None:
            aligned = load_model(self.aligned, **self.machine.how())
            Pair(base, aligned, base_format, form)  # refuses two vocabularies
        return CurveModels(base, aligned, base_format, form)


def show(results: Results) -> None:
    """One line per score with a column per size, and a sentence per curve."""
    from rich.table import Table

    from veneer.report.basis import counted, judged_by
    from veneer.studies.curve.names import STUDY, STYLE, TEST
    from veneer.studies.curve.words import finding, headline, score_words
    from veneer.terminal.show import figure
    from veneer.terminal.tables import plain_console, print_table

    console = plain_console()
    if sentence := headline(results):
        console.print(sentence)
        console.print()
    rows = [r for r in results.where(study=STUDY, split=TEST) if r.identity.kind == "tuned"]
    sizes = sorted({int(r.identity.get("examples")) for r in rows})
    shown = ("accuracy", STYLE, "refusal_rate", "over_refusal_rate", "unsafe_refusal_rate")
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("task", "score", "n"):
        table.add_column(name)
    for size in sizes:
        table.add_column(f"{size:,}", justify="right")
    for task, metric in dict.fromkeys((r.task, r.metric) for r in rows if r.metric in shown):
        own = {
            int(r.identity.get("examples")): r for r in rows if (r.task, r.metric) == (task, metric)
        }
        table.add_row(
            task, score_words(metric), counted(own.values()), *(figure(own.get(s)) for s in sizes)
        )
    print_table(console, table)
    judged = judged_by(r for r in rows if r.metric in shown)
    legend = "share of answers [95 % interval], by number of examples"
    console.print("; ".join(filter(None, (legend, judged))))
    for sentence in finding(results):
        console.print(sentence)
