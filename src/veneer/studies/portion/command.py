"""veneer run: capture, extract, measure, report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from veneer.terminal.options import JudgeOptions, PairOptions, WorkerOptions, data_folder, progress
from veneer.terminal.show import show

if TYPE_CHECKING:
    from veneer.models.pair import Pair


@dataclass(frozen=True, kw_only=True)
class Run(WorkerOptions, JudgeOptions, PairOptions):
    """Measure the superficial portion of a pair's alignment: capture the aligned model's answers,
    extract a veneer, measure base, veneer and aligned on each task, and write results.jsonl and
    report.html. Run again, it goes on where it was."""

    out: str
    """Folder for everything that is made."""
    tasks: str | None = None
    """Tasks, separated by commas. Default: every task that the data folder has and that
    needs no judge model."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA, then the hub
    where a pinned source is known."""
    train: int = 200
    """Train prompts of each task, for the capture."""
    test: int | None = None
    """Test prompts of each task. Default: all."""
    limit: int | None = None
    """At most so many train and so many test prompts of each task, whatever
    --train and --test say."""
    max_new_tokens: int = 128
    """Longest answer, in tokens, in capture and measuring."""
    published: bool = False
    """Use the papers' limits on answers (512 new tokens) instead of --max-new-tokens, and each
    task's own template for base."""
    prompt_template: str | None = None
    """Template in which base reads the prompts of all tasks: text with {prompt} where the prompt
    goes, or a name: alpaca, question, answer, qa, user, plain, chat (the tokenizer's chat
    template), or published (each task's own; the veneer then serves several formats). Default:
    alpaca, or the template of a task file that names one."""
    k: int = 64
    """Log-probabilities kept a token; the rest of the mass is kept as one number."""
    rank: int | None = None
    """Rank of the veneer. Default: dense."""
    no_controls: bool = False
    """Leave out the controls (base-chat, aligned-plain, base-no-empty, shuffled)."""
    baselines: str | None = None
    """Systems to measure beside base, veneer and aligned, separated by commas: urial and
    system-prompt (in context), lora-K (fine-tuned on K answers), bias and rank-R (lesser veneers),
    from-TASK (extracted on one task), all, or cross (from-TASK of every task)."""
    samples: int = 1
    """Answers a prompt; more than one needs --temperature."""
    temperature: float = 0.0
    """Of sampling in measuring; 0 is greedy."""
    batch_size: int = 32
    """Prompts answered together."""
    seed: int = 0
    """Of the split, of sampling and of the intervals."""
    engine: Literal["local", "ray"] = "local"
    """Who makes the capture: this process, or workers on Ray (docs/scale.md). Its
    bytes are the same."""

    def run(self) -> None:
        from dataclasses import replace

        from veneer.head.config import ExtractConfig
        from veneer.measures.run_template import (
            check_base_template,
            run_template,
            warn_of_refusals_alone,
        )
        from veneer.studies.portion.study import StudyConfig, study
        from veneer.tasks.registry import chosen_tasks

        if any(
            name.strip() == "all" or name.strip().startswith("lora")
            for name in (self.baselines or "").split(",")
        ):
            self.refuse_split("a LoRA among the baselines")
        check_base_template(self.prompt_template, self.base_template)
        tasks = chosen_tasks(self.tasks, data_folder(self.data))
        given = self.prompt_template if self.base_template is None else self.base_template
        behind = replace(
            self,
            base_template=run_template(tasks, given, published=self.published),
            prompt_template=None,
        )
        config = StudyConfig(
            train_prompts=self.train if self.limit is None else min(self.train, self.limit),
            test_prompts=self.test
            if self.limit is None
            else min(self.test or self.limit, self.limit),
            max_new_tokens=self.max_new_tokens,
            published=self.published,
            batch_size=self.batch_size,
            controls=not self.no_controls,
            baselines=self.baselines or "",
            samples=self.samples,
            temperature=self.temperature,
            k=self.k,
            seed=self.seed,
            extraction=ExtractConfig(rank=self.rank),
            judges=self.judges(device=self.device, dtype=self.dtype),
        )
        warn_of_refusals_alone(tasks, config.train_prompts)
        with progress() as say:
            results = study(
                behind.pair,
                tasks,
                self.out,
                config,
                said=behind.said(),
                progress=say,
                **behind._engine(),
            )
        show(results)
        print(f"\nreport: {Path(self.out) / 'report.html'}")

    def _engine(self) -> dict[str, Any]:
        """Words for `study` that say who makes the capture."""
        if self.engine == "local":
            return {}
        from veneer.scale.cluster import need_ray
        from veneer.scale.ray_capture import capture_with_ray, pair_job

        need_ray()
        ray = self.ray()

        def capture(pair: Pair, prompts: Any, folder: Path, config: Any, say: Any) -> Any:
            """Workers load the pair by themselves, and write the date that this one writes."""
            command = (
                self
                if (day := getattr(pair.aligned_format, "day", None)) is None
                else replace(self, template_date=day)
            )
            return capture_with_ray(
                partial(pair_job, command.pair, prompts, config), folder, ray, say
            )

        return {"capture_with": capture}
