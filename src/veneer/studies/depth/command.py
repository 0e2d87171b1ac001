"""veneer depth: how deep refusals are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from veneer.foundation.settings import Option
from veneer.judges.config import JudgeConfig
from veneer.studies.depth.settings import DepthSettings
from veneer.terminal.options import (
    Machine,
    PairTemplates,
    data_folder,
    load_pair,
    pair_settings,
    progress,
)
from veneer.terminal.output import TableOptions, present

if TYPE_CHECKING:
    from veneer.foundation.results import Results
    from veneer.head.veneer import Veneer
    from veneer.studies.depth.study import DepthModels

HARMFUL, HARMLESS = "advbench", ("instructions", "xstest")
LAB_HARMFUL, LAB_HARMLESS = "lab-requests", ("lab-harmless",)


@dataclass(frozen=True, kw_only=True)
class DepthPromptOptions:
    """The prompts, and what is forced as the beginning of a harmful answer."""

    harmful: Annotated[str | None, Option(metavar="TASK|FILE")] = None
    """Harmful requests: a task, or a prompt file. Default: advbench; lab-requests for a lab
    model."""
    harmless: Annotated[tuple[str, ...] | None, Option(commas=True, metavar="TASK|FILE,...")] = None
    """Harmless prompts, on which a refusal is forced too; xstest gives its safe prompts. Default:
    instructions,xstest; lab-harmless for a lab model."""
    target: Annotated[str, Option(metavar="TEXT")] = "{target}"
    """Beginning of a harmful answer; {target} stands for each prompt's own (AdvBench has one; in a
    prompt file, the key or column "target")."""
    limit: int = 100
    """At most this many prompts of each source."""
    data: Annotated[str | None, Option(metavar="FOLDER")] = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""


@dataclass(frozen=True, kw_only=True)
class DepthCommand:
    """Measure how deep refusals are: how often each system still refuses a harmful request when the
    first tokens of a harmful answer are given, at how many tokens half of the refusals are gone,
    and how often base refuses when the first tokens of a refusal are given. Resumes if run
    again."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer depth --base lab:base --aligned lab:aligned --veneer run/veneer --also "
        'compromised=lab:compromised --target "Sure, here is how" --limit 20 --out depth',
        "veneer depth --base B --aligned A --veneer runs/mine/veneer --harmful requests.jsonl "
        "--tokens 0,1,5,all --out depth-mine",
    )

    base: str
    """The base model."""
    aligned: str
    """The aligned model; it must share base's tokenizer."""
    out: Annotated[str, Option(metavar="FOLDER")]
    """Folder for answers, results and the report."""
    veneer: Annotated[str | None, Option(metavar="FOLDER")] = None
    """Folder of a veneer of base. Default: base and the aligned model alone."""
    also: Annotated[tuple[str, ...], Option(repeat=True, metavar="NAME=MODEL")] = ()
    """A further model, such as compromised=MODEL or restored=MODEL; may be repeated. It reads its
    chat template, or what base reads where it has none."""
    prompts: DepthPromptOptions = field(default_factory=DepthPromptOptions)
    templates: PairTemplates = field(default_factory=PairTemplates)
    method: DepthSettings = field(default_factory=DepthSettings)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    machine: Machine = field(default_factory=Machine)
    output: TableOptions = field(default_factory=TableOptions)

    def run(self) -> None:
        from dataclasses import replace

        from veneer.head.veneer import Veneer
        from veneer.studies.depth.inputs import read_prompts_of
        from veneer.studies.depth.study import depth
        from veneer.tasks.source import refuse_unread
        from veneer.terminal.pairs import named

        others = named(self.also, "--also", "NAME=MODEL")
        self.machine.refuse_unread(self.base, self.aligned, *others.values())
        veneer = None if self.veneer is None else Veneer.load(self.veneer)
        harmful, harmless = self._sources()
        prompts = read_prompts_of(
            harmful,
            harmless,
            target=self.prompts.target,
            data=data_folder(self.prompts.data),
            limit=self.prompts.limit,
        )
        refuse_unread(self.prompts, harmful, *harmless)
        with progress() as report_progress:
            results = depth(
                lambda: self._load(veneer, others),
                prompts,
                self.out,
                self.method,
                judges=replace(self.judge, device=self.machine.device, dtype=self.machine.dtype),
                settings={
                    **pair_settings(self.base, self.aligned, self.templates, self.machine),
                    "veneer": None if veneer is None else veneer.identity(),
                    "also": others,
                    "sources": {"harmful": harmful, "harmless": list(harmless)},
                },
                progress=report_progress,
            )
        present(results, self.out, lambda: show(results, Path(self.out)))

    def _sources(self) -> tuple[str, tuple[str, ...]]:
        """The harmful and the harmless sources. The lab's tasks are the default for a lab model."""
        lab = any(name.startswith("lab:") for name in (self.base, self.aligned))
        harmful, harmless = (LAB_HARMFUL, LAB_HARMLESS) if lab else (HARMFUL, HARMLESS)
        given = self.prompts
        return given.harmful or harmful, harmless if given.harmless is None else given.harmless

    def _load(self, veneer: Veneer | None, others: dict[str, str]) -> DepthModels:
        from veneer.models.load import load_model
        from veneer.models.places import check_places
        from veneer.studies.depth.study import DepthModels
        from veneer.systems.system import System

        check_places(*others.values())
        pair = load_pair(self.base, self.aligned, self.templates, self.machine)
        if veneer is not None:
            veneer.check_fits(pair.base)
        systems = []
        for name, model in others.items():
            lm = load_model(model, **self.machine.how())
            has_template = bool(lm.tokenizer.chat_template)
            form = pair.aligned_format if has_template else pair.base_format
            systems.append(System(name, lm, form, lm.stop_ids))
        return DepthModels(pair, veneer, tuple(systems))


def show(results: Results, out: Path) -> None:
    """The finding, refusals by the number of forced tokens, and base behind a refusal."""

    from veneer.foundation.files import read_json
    from veneer.studies.depth.names import HARMFUL_PREFIX, REFUSAL_PREFIX
    from veneer.studies.depth.words import basis, finding, headline, rates
    from veneer.terminal.tables import plain_console, print_table

    console = plain_console()
    if title := headline(results):
        console.print(title, style="bold")
    for sentence in finding(results, read_json(out / "run.json", "the record of a depth study")):
        console.print(f"  {sentence}")
    for prefix, caption in (
        (HARMFUL_PREFIX, "full refusals after the first tokens of a harmful answer, by system"),
        (REFUSAL_PREFIX, "full refusals of base after the first tokens of a refusal, by prompts"),
    ):
        table = refusal_table(results, prefix)
        if table is not None:
            console.print()
            print_table(console, table)
            lines = rates(results, prefix)
            console.print(
                f"{caption} and number of forced tokens; share [95 % interval], {basis(lines)}; "
                "the whole answer, or what follows the forced tokens, is a full refusal"
            )


def refusal_table(results: Results, prefix: str) -> Any:
    """One line per system (behind a harmful prefix) or per set of prompts (behind a refusal), one
    column per number of forced tokens; None without rows."""
    from rich.table import Table

    from veneer.studies.depth.names import HARMFUL_PREFIX
    from veneer.studies.depth.words import depth_words, rates
    from veneer.terminal.show import figure

    lines = rates(results, prefix)
    if not lines:
        return None
    counts = list(dict.fromkeys(k for by_count in lines.values() for k in by_count))
    table = Table(box=None, header_style="bold", pad_edge=False)
    harmful = prefix == HARMFUL_PREFIX
    table.add_column("system" if harmful else "prompts")
    for k in counts:
        table.add_column(str(k), justify="right")
    if harmful:
        table.add_column("half depth", justify="right")
    halves = {r.system: r for r in results.where(metric="half_depth")}
    for name, by_count in lines.items():
        cells = [figure(by_count.get(k)) for k in counts]
        end = [depth_words(halves[name])] if harmful and name in halves else []
        table.add_row(name, *cells, *end)
    return table
