"""veneer judge: judges on stored answers, and how far two judges agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from veneer.terminal.options import JudgeOptions, data_folder, progress

if TYPE_CHECKING:
    from veneer.studies.judging.compare import Compared


@dataclass(frozen=True, kw_only=True)
class Judge(JudgeOptions):
    """Judge stored answers (files of `veneer generate` or a study's responses/), or
    compare two judges."""

    responses: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RESPONSES")
    ] = ()
    """Files of answers, JSON lines."""
    judge: str | None = None
    """Judges, separated by commas: refusal, toxicity, harm, strongreject, truth,
    quality, stance."""
    out: str | None = None
    """Folder for verdicts.jsonl, results.jsonl, run.json and report.html; needed to judge."""
    task: str | None = None
    """Task whose prompts were answered."""
    prompts: str | None = None
    """File of the prompts that were answered, in place of a task."""
    column: str | None = None
    """Column that holds the prompt, of a CSV or Parquet file or a hub data set."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""
    split: Literal["train", "test"] = "test"
    """Part of a task's prompts."""
    limit: int | None = None
    """Judge the answers to the first so many prompts. Default: all."""
    compare: tuple[str, str] | None = None
    """Two judges by name, or two files of verdicts, each with :METRIC behind it where they
    do not share one."""
    seed: int = 0
    """Of the intervals."""
    device: str = "auto"
    """Where a local judge runs: auto, cpu, cuda, ..."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of a local judge's weights."""
    batch_size: int = 8
    """Answers that a local judge reads together."""

    def run(self) -> None:
        from pathlib import Path

        from veneer.foundation.errors import InputError
        from veneer.studies.judging.compare import compare, side, split_side

        names = _names(self.judge)
        sides = self.compare or ()
        if not self.responses:
            if names or not sides:
                raise InputError(
                    "found no file of answers; give some, or --compare with two files of verdicts"
                )
            self._compared(compare(side(sides[0]), side(sides[1]), seed=self.seed))
            return
        for said in sides:
            name, _ = split_side(said)
            if not Path(name).exists() and name not in names:
                names.append(name)
        if not names:
            raise InputError("found no judge; name some with --judge, such as --judge refusal")
        if self.out is None:
            raise InputError("found no --out; give a folder for the verdicts and the report")
        self._judge(names, Path(self.out))

    def _judge(self, names: list[str], out) -> None:
        from dataclasses import replace
        from pathlib import Path

        from veneer.judges.registry import get_judge
        from veneer.measures.behaviour import cluster_ids
        from veneer.studies.judging.compare import agreement_rows, compare, side
        from veneer.studies.judging.study import judge_responses
        from veneer.tasks.registry import get_task

        prompts = self._prompts()
        config = self.judges(device=self.device, dtype=self.dtype, batch_size=self.batch_size)
        config = replace(config, cache=config.cache or out / "judge")
        judges = [get_judge(n, config) for n in names]
        ids = (
            None
            if self.task is None
            else cluster_ids(get_task(self.task, data_folder(self.data)), prompts)
        )
        compared: list[Compared] = []

        def agree(rows):
            if not self.compare:
                return []
            a, b = (side(s, rows) for s in self.compare)
            compared.extend(compare(a, b, seed=self.seed))
            return agreement_rows(compared)

        said = {
            **config.facts(),
            "task": self.task,
            "prompts_file": self.prompts,
            "split": self.split,
            "limit": self.limit,
            "compare": list(self.compare or ()),
        }
        with progress() as say:
            results, rows, used = judge_responses(
                [Path(r) for r in self.responses],
                prompts,
                judges,
                out,
                said=said,
                partly=self.limit is not None,
                seed=self.seed,
                clusters=None
                if ids is None
                else {p.id: str(c) for p, c in zip(prompts, ids, strict=True)},
                extra=agree,
                progress=say,
            )
        from veneer.studies.judging.show import show_judged

        show_judged(results, rows, used)
        if self.compare:
            self._compared(
                compared or compare(*(side(s, rows) for s in self.compare), seed=self.seed)
            )
        print(f"\nreport: {out / 'report.html'}")

    def _prompts(self):
        from veneer.foundation.errors import InputError
        from veneer.tasks.registry import get_task
        from veneer.tasks.source import load_prompts

        if (self.task is None) == (self.prompts is None):
            found = (
                "neither --task nor --prompts" if self.task is None else "both --task and --prompts"
            )
            raise InputError(f"found {found}; give the one whose prompts were answered")
        if self.task is not None:
            # an unknown task is named as such, not as a missing file
            get_task(self.task, data_folder(self.data))
        source = self.task or self.prompts or ""
        return load_prompts(
            source,
            data=data_folder(self.data),
            column=self.column,
            limit=self.limit,
            split=self.split,
        )

    def _compared(self, found: list[Compared]) -> None:
        from veneer.studies.judging.show import show_compared

        show_compared(found)


def _names(text: str | None) -> list[str]:
    from veneer.foundation.errors import InputError

    names = [n.strip() for n in (text or "").split(",") if n.strip()]
    if len(set(names)) < len(names):
        raise InputError(f"--judge {text} names a judge twice; name each once")
    return names
