"""veneer complexity, and veneer program: the programs that it writes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from veneer.foundation.settings import Option, refuse_unused
from veneer.judges.config import JudgeConfig
from veneer.studies.complexity.settings import ComplexityConfig, ProgramSettings
from veneer.terminal.options import (
    Machine,
    PairTemplates,
    load_pair,
    pair_settings,
    progress,
    tasks_named,
)
from veneer.terminal.output import MessageOptions, TableOptions, present

if TYPE_CHECKING:
    from veneer.foundation.results import Results


@dataclass(frozen=True, kw_only=True)
class ComplexityCommand:
    """Measure how many bytes must be added to base to reach a score: heads, prompts, adapters and
    examples as program files, each decoded by a program of its own. Resumes if run again."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer complexity --base lab:base --aligned lab:aligned --tasks lab-requests,lab-sums "
        "--limit 40 --out complexity",
        "veneer complexity --base lab:base --aligned lab:aligned --tasks lab-requests --limit 40 "
        "--programs head --ranks 1,4 --out complexity-head",
    )

    base: str
    """The base model: a checkpoint in a folder or from the hub."""
    aligned: str
    """The aligned model; it must share base's tokenizer."""
    tasks: Annotated[tuple[str, ...], Option(commas=True)]
    """Tasks to measure, separated by commas."""
    out: str
    """Folder for programs, results and the report."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""
    limit: int | None = None
    """At most this many train and this many test prompts of each task, regardless of --train and
    --test."""
    programs: ProgramSettings = field(default_factory=ProgramSettings)
    templates: PairTemplates = field(default_factory=PairTemplates)
    method: ComplexityConfig = field(default_factory=ComplexityConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    machine: Machine = field(default_factory=lambda: Machine(device="cpu", dtype="float32"))
    output: TableOptions = field(default_factory=TableOptions)

    def run(self) -> None:
        from veneer.measures.beside import beside
        from veneer.studies.complexity.study import complexity

        self.machine.refuse_split("a complexity study, which codes programs by base,")
        self._refuse_unused()
        self.machine.refuse_unread(self.base, self.aligned)
        names = self.tasks
        if self.programs.over_refusal:
            names += beside(names)
        tasks = tasks_named(names, self.data)
        judges = replace(self.judge, device=self.machine.device, dtype=self.machine.dtype)
        config = replace(self.method.limited(self.limit), judges=judges)
        with progress() as report_progress:
            results = complexity(
                partial(load_pair, self.base, self.aligned, self.templates, self.machine),
                tasks,
                self.out,
                self.programs,
                config,
                settings=pair_settings(self.base, self.aligned, self.templates, self.machine),
                progress=report_progress,
            )
        present(results, self.out, lambda: show(results))

    def _refuse_unused(self) -> None:
        """Raise InputError for options of programs that are not made."""
        options = {
            "head": ("ranks", "keep"),
            "text": ("texts", "text_examples"),
            "data": ("data_examples",),
            "lora": ("lora_ranks",),
        }
        made = self.programs.programs
        for view, names in options.items():
            if view not in made:
                refuse_unused(self.programs, f"without {view} in --programs", *names)
        if "head" not in made:
            refuse_unused(self.method, "without head in --programs", "controls")
        if not {"lora", "data"} & set(made):
            where = "without lora or data in --programs"
            refuse_unused(self.programs, where, "epochs", "rates")


def show(results: Results) -> None:
    """One line per score, and one per kind of program whose interval reaches it: the least bits,
    with the interval."""
    from rich.table import Table

    from veneer.report.basis import in_clusters, judged_by
    from veneer.studies.complexity.names import STUDY
    from veneer.studies.complexity.words import bytes_words, interval_words, target_words
    from veneer.terminal.tables import plain_console, print_table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("task", "score", "programs", "least bytes", "95 % interval", "n"):
        table.add_column(name)
    rows = results.where(study=STUDY, metric="complexity_bits")
    for row in rows:
        view = str(row.identity.get("view") or "all")
        if row.low is None and view != "all":
            continue
        interval = interval_words(row.low, row.high)
        target = target_words(row.of or "")
        scored = (row.of or "").partition(">=")[0]
        n = f"{row.n}{in_clusters(results.where(study=STUDY, task=row.task, metric=scored))}"
        table.add_row(row.task, target, view, bytes_words(row.value), interval, n)
    console = plain_console()
    print_table(console, table)
    legend = "bytes of program and decoder together; joint: all tasks' held-out prompts"
    console.print("; ".join(filter(None, (legend, judged_by(rows)))))
    console.print("a kind of program that has no line reaches the score with no interval")


@dataclass(frozen=True, kw_only=True)
class ProgramCommand:
    """Decode program files of `veneer complexity` into a veneer, a prompt or an adapter, in a
    process of its own that needs PyTorch, transformers and NumPy, and no Veneer."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer program decode complexity/programs/text-system-prompt.vnp --base lab:base --out "
        "decoded",
    )

    words: Annotated[tuple[str, ...], Option(positional=True, metavar="decode FILE...")]
    """`decode` and program files."""
    base: str
    """The base model that the programs were made for."""
    out: str
    """Folder; each program gets a folder of its name in it."""
    output: MessageOptions = field(default_factory=MessageOptions)

    def run(self) -> None:
        from veneer.foundation.errors import InputError
        from veneer.models.load import load_model
        from veneer.studies.complexity.program import files
        from veneer.studies.complexity.programs import check_base

        if len(self.words) < 2 or self.words[0] != "decode":
            raise InputError(
                f"found `veneer program {' '.join(self.words)}`; expected `veneer program decode "
                "FILE...`"
            )
        paths = [Path(word) for word in self.words[1:]]
        if len({p.stem for p in paths}) < len(paths):
            raise InputError("two program files have the same name; decode them one by one")
        for path in paths:
            files.kind_of(path)
            if (Path(self.out) / path.stem).exists():
                raise InputError(f"{Path(self.out) / path.stem} exists; give another --out")
        lm = load_model(self.base, device="cpu", dtype="float32")
        for folder in {p.parent for p in paths}:
            check_base(folder, lm, "give base as it was then")
        files.decode_programs(paths, files.BaseFiles.of(lm), Path(self.out))
        for path in paths:
            print(f"{path}: {Path(self.out) / path.stem}")
