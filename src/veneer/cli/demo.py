"""veneer demo: the whole method on the embedded pair, without a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from veneer.foundation.threads import AUTO
from veneer.terminal.options import Machine, progress
from veneer.terminal.output import TableOptions, present
from veneer.terminal.show import show

NEXT = """\
report: {out}/report.html  (open it in a browser)

what to look at
  portion        how much of a behaviour a new head alone carries: near 1 it lies
                 on the surface, near 0 it lies deeper
  over-refusal   what refusals cost: harmless prompts that are refused too
  the report     the answers side by side, coloured where the systems differ

what to do next
  veneer chat {out}          type a question and see three answers
  veneer run --help          measure your own pair of models
  veneer run ... --dry-run   see what a run would do before it does it"""
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
        present(results, self.out, lambda: show(results), place=NEXT.format(out=self.out))
