"""veneer lm-eval: tasks of lm-evaluation-harness on base, veneer and aligned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from veneer.terminal.options import PairOptions, progress


@dataclass(frozen=True, kw_only=True)
class LmEval(PairOptions):
    """Run tasks of lm-evaluation-harness on base, aligned and a veneer, with intervals and the
    superficial portion.

    What a task asks is plain text for base and veneer, and one user message in the chat
    template for aligned."""

    tasks: str
    """Names of the harness' tasks or groups, or YAML files, separated by commas."""
    out: str
    """Folder for samples, results and the report."""
    veneer: str | None = None
    """Folder of a veneer. Default: base and aligned only."""
    include_path: str | None = None
    """Folder with more task files (*.yaml)."""
    limit: int | None = None
    """At most so many documents of each task. Default: all."""
    num_fewshot: int | None = None
    """Examples before each question. Default: what the task says."""
    batch_size: int = 32
    """Prompts or continuations read together."""
    seed: int = 0
    """Of few-shot examples, sampling and intervals."""

    def run(self) -> None:
        from veneer.adapters.lm_eval_rows import chosen_lm_eval_tasks, evaluate_with_lm_eval
        from veneer.foundation.errors import InputError
        from veneer.foundation.files import folder_lock
        from veneer.foundation.results import Results
        from veneer.foundation.run_record import RunRecord
        from veneer.head.veneer import Veneer
        from veneer.report import write_report
        from veneer.systems.system import System, pair_systems

        for name in ("limit", "batch_size"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError(f"--{name.replace('_', '-')} is {value}; expected 1 or more")
        out, veneer = Path(self.out), None if self.veneer is None else Veneer.load(self.veneer)
        tasks = [t.strip() for t in self.tasks.split(",") if t.strip()]
        words = ("include_path", "limit", "num_fewshot", "batch_size", "seed")
        said = {
            **self.said(),
            "tasks": tasks,
            "veneer": None if veneer is None else veneer.identity(),
            **{w: getattr(self, w) for w in words},
        }
        with folder_lock(out), progress() as say:
            record = RunRecord(out, "lm-eval", said)
            if not record.finished:
                chosen = chosen_lm_eval_tasks(tasks, self.include_path)
                with record.stage("load"):
                    pair = self.pair().dated(record.day)
                    if veneer is not None:
                        systems = pair_systems(pair, veneer)
                    else:
                        stops = pair.aligned_stop_ids
                        systems = [
                            System("base", pair.base, pair.base_format, pair.stop_ids),
                            System("aligned", pair.aligned, pair.aligned_format, stops),
                        ]
                with record.stage("lm-eval"):
                    rows = evaluate_with_lm_eval(
                        systems,
                        chosen,
                        self.include_path,
                        self.limit,
                        out / "samples",
                        num_fewshot=self.num_fewshot,
                        batch_size=self.batch_size,
                        seed=self.seed,
                        progress=say,
                    )
                record.note(
                    pair=pair.facts(),
                    systems=[s.facts() for s in systems],
                    seeds={"study": self.seed},
                )
                Results(rows).write(out / "results.jsonl")
                record.finish()
                write_report([out], out / "report.html")
        table(Results.read(out / "results.jsonl"))
        print(f"\nreport: {out / 'report.html'}")


def table(results) -> None:
    """A line a task and metric, the systems side by side."""
    from rich.console import Console
    from rich.table import Table

    from veneer.terminal.show import figure

    rows = {(r.task, r.metric, r.of, r.system): r for r in results}
    systems = list(dict.fromkeys(s for *_, s in rows))
    grid = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("task", "metric"):
        grid.add_column(name)
    for name in ("n", *systems, *(["portion"] if "veneer" in systems else [])):
        grid.add_column(name, justify="right")
    for task, metric in dict.fromkeys((task, metric) for task, metric, of, _ in rows if of is None):
        found = [rows.get((task, metric, None, s)) for s in systems]
        portion = (
            [figure(rows.get((task, "portion", metric, "veneer")))] if "veneer" in systems else []
        )
        grid.add_row(
            task,
            metric,
            str(max(r.n for r in found if r is not None)),
            *(figure(r) for r in found),
            *portion,
        )
    console = Console(highlight=False)
    console.width = max(console.width, 120)
    console.print(grid)
    console.print("value [95 % interval over documents]")
