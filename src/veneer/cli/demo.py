"""veneer demo: everything, on the embedded pair, without a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from veneer.terminal.options import Machine, progress
from veneer.terminal.show import show

TASKS = "lab-requests,lab-harmless,lab-sums,lab-facts"


@dataclass(frozen=True, kw_only=True)
class Demo(Machine):
    """See the whole method in a minute or two, on a small pair of models that comes
    with the package."""

    out: str = "veneer-demo"
    """Folder for everything that is made."""
    limit: int | None = None
    """At most so many train and so many test prompts of each task. Default: 200 train, 100 test."""
    seed: int = 0
    """Of the split, of sampling and of the intervals."""

    def run(self) -> None:
        import torch

        from veneer.models.pair import Pair
        from veneer.studies.portion.study import StudyConfig, study
        from veneer.tasks.registry import chosen_tasks

        most = 10**9 if self.limit is None else self.limit
        # models this small lose by two threads, and much where the cores are busy
        torch.set_num_threads(1)
        config = StudyConfig(
            train_prompts=min(200, most),
            test_prompts=min(100, most),
            max_new_tokens=48,
            batch_size=64,
            seed=self.seed,
        )
        with progress() as say:
            results = study(
                lambda: Pair.load("lab:base", "lab:aligned", **self.how()),
                chosen_tasks(TASKS, None),
                self.out,
                config,
                said=self.how(),
                command="demo",
                progress=say,
            )
        show(results)
        print(f"\nreport: {Path(self.out) / 'report.html'}  (open it in a browser)")
