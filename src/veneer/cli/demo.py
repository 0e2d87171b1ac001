"""veneer demo: the whole method on the embedded pair, without a network."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

from veneer.foundation.settings import refuse_unused
from veneer.foundation.threads import AUTO
from veneer.terminal.options import Machine, progress
from veneer.terminal.output import TableOptions, present
from veneer.terminal.show import show

END = """\
report: {out}/report.html  (open it in a browser)

what to look at
  portion        how much of a behaviour a new head alone carries: near 1 it lies
                 on the surface, near 0 it lies deeper
  over-refusal   what refusals cost: harmless prompts that are refused too
  the report     the answers side by side, coloured where the systems differ

what to do next
{next}"""
NEXT = {
    "chat {out}": "type a question and see three answers",
    "chat {out} --web": "the same on a page in the browser",
    "run --help": "measure your own pair of models",
    "run ... --dry-run": "see what a run would do before it does it",
}
TASKS = "lab-requests,lab-harmless,lab-sums,lab-facts"


@dataclass(frozen=True, kw_only=True)
class DemoCommand:
    """See the whole method in a minute or two, on a small pair of models that comes with the
    package."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer demo",
        "veneer demo --limit 40 --seed 1 --out small-demo",
    )

    out: str = "veneer-demo"
    """Folder for everything that the demo writes."""
    limit: int | None = None
    """At most this many train and this many test prompts of each task. Default: 200 train, 100
    test."""
    seed: int = 0
    """Seed for the split, the sampling and the intervals."""
    machine: Machine = field(default_factory=Machine)
    output: TableOptions = field(default_factory=TableOptions)

    def run(self) -> None:
        import torch

        where = "with the embedded models"
        refuse_unused(self.machine, where, "revision", "trust_remote_code")
        from veneer.models.pair import Pair
        from veneer.studies.portion.study import StudyConfig, study
        from veneer.tasks.registry import chosen_tasks

        # models this small lose by two threads, and much where the cores are busy
        if self.machine.threads == AUTO:
            torch.set_num_threads(1)
        config = StudyConfig(test_prompts=100, max_new_tokens=48, batch_size=64, seed=self.seed)
        with progress() as report_progress:
            results = study(
                partial(Pair.load, "lab:base", "lab:aligned", **self.machine.how()),
                chosen_tasks(TASKS, None),
                self.out,
                config.limited(self.limit),
                settings=self.machine.how(),
                command="demo",
                progress=report_progress,
            )
        present(results, self.out, lambda: show(results), place=end(self.out))


def end(out: str) -> str:
    """What the demo says last: where the report lies, what to look at, what to do next."""
    program = how_called(sys.argv[0])
    lines = {f"{program} {words.format(out=out)}": why for words, why in NEXT.items()}
    width = max(map(len, lines))
    steps = "\n".join(f"  {line:<{width}}   {why}" for line, why in lines.items())
    return END.format(out=out, next=steps)


def how_called(called: str) -> str:
    """What a person types for `veneer`: the path it was called by, where the shell finds no
    `veneer` of itself, as after `./try demo`, which installs into an environment of its own."""
    if Path(called).name != "veneer" or shutil.which("veneer") is not None:
        return "veneer"
    return called
