"""veneer measure: base, veneer and aligned on tasks, with a veneer that is there already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from veneer.terminal.options import JudgeOptions, PairOptions, data_folder, progress
from veneer.terminal.show import show


@dataclass(frozen=True, kw_only=True)
class Measure(JudgeOptions, PairOptions):
    """Measure base, veneer and aligned on tasks and report the superficial portion."""

    veneer: str
    """Folder of the veneer."""
    out: str
    """Folder for the results and the report."""
    tasks: str | None = None
    """Tasks, separated by commas. Default: every task that the data folder has and that
    needs no judge model."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""
    limit: int | None = None
    """At most so many test prompts of each task. Default: all."""
    max_new_tokens: int = 128
    """Longest answer, in tokens."""
    published: bool = False
    """Use the papers' limits on answers (512 new tokens) instead of --max-new-tokens."""
    prompt_template: str | None = None
    """Template in which base reads the prompts of all tasks: text with {prompt}, a name, or
    published (each task's own), as for `veneer run`. Default: the one that the veneer was fitted
    behind; where it was fitted behind several, each task's own."""
    no_controls: bool = False
    """Leave out the controls (base-chat, aligned-plain, base-no-empty)."""
    baselines: str | None = None
    """Systems to measure beside base, veneer and aligned, separated by commas: urial, system-prompt
    (both in context)."""
    samples: int = 1
    """Answers a prompt; more than one needs --temperature."""
    temperature: float = 0.0
    """Of sampling in measuring; 0 is greedy."""
    batch_size: int = 32
    """Prompts answered together."""
    seed: int = 0
    """Of sampling and of the intervals."""

    def run(self) -> None:
        from dataclasses import replace

        from veneer.head.veneer import Veneer
        from veneer.measures.run_template import check_base_template, measure_template
        from veneer.studies.portion.study import StudyConfig, measure
        from veneer.tasks.registry import chosen_tasks

        veneer = Veneer.load(self.veneer)
        config = StudyConfig(
            test_prompts=self.limit,
            max_new_tokens=self.max_new_tokens,
            published=self.published,
            batch_size=self.batch_size,
            controls=not self.no_controls,
            seed=self.seed,
            baselines=self.baselines or "",
            samples=self.samples,
            temperature=self.temperature,
            judges=self.judges(device=self.device, dtype=self.dtype),
        )
        check_base_template(self.prompt_template, self.base_template)
        tasks = chosen_tasks(self.tasks, data_folder(self.data))
        given = self.prompt_template if self.base_template is None else self.base_template
        behind = replace(
            self, base_template=measure_template(tasks, veneer, given), prompt_template=None
        )
        with progress() as say:
            results = measure(
                behind.pair,
                veneer,
                tasks,
                self.out,
                config,
                said={**behind.said(), "veneer": veneer.identity()},
                progress=say,
            )
        show(results)
        print(f"\nreport: {Path(self.out) / 'report.html'}")
