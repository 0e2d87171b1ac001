"""veneer judge: judges on stored answers, and how far two judges agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from veneer.foundation.errors import InputError
from veneer.foundation.settings import Option, refuse_unused
from veneer.judges.config import JudgeConfig
from veneer.studies.judging.settings import JudgingSettings
from veneer.terminal.options import data_folder
from veneer.terminal.options import progress as progress_line
from veneer.terminal.output import TableOptions, as_json, present, print_json

if TYPE_CHECKING:
    from veneer.prompts.prompt import Prompt


@dataclass(frozen=True, kw_only=True)
class AnsweredPrompts:
    """The prompts that were answered: a task's, or those of a file."""

    task: str | None = None
    """Task whose prompts were answered. Default: the one that all answers name."""
    prompts: Annotated[str | None, Option(metavar="FILE")] = None
    """File of the prompts that were answered, in place of a task. Default: the file that `veneer
    import` wrote beside the answers."""
    column: str | None = None
    """Column that holds the prompt, in a CSV or Parquet file or a hub data set."""
    data: Annotated[str | None, Option(metavar="FOLDER")] = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""
    split: Literal["train", "test"] = "test"
    """Part of a task's prompts."""
    limit: int | None = None
    """Use only the answers to the first N prompts. Default: all."""

    def of_answers(self, files: Sequence[Path]) -> AnsweredPrompts:
        """These settings with what the files of answers say themselves, where neither --task nor
        --prompts is given: the one file of prompts beside them, or the one task that all of them
        name. Raises InputError where they say neither."""
        from veneer.imports.registry import PROMPTS
        from veneer.systems.responses import read_responses
        from veneer.tasks.registry import TASKS

        if self.task is not None or self.prompts is not None:
            return self
        beside = files[0].with_name(files[0].name + PROMPTS)
        if len(files) == 1 and beside.is_file():
            return replace(self, prompts=str(beside))
        named = {answer.task for file in files for answer in read_responses(file)}
        if len(named) == 1 and named <= set(TASKS):
            return replace(self, task=named.pop())
        several = sorted(named & set(TASKS))
        raise InputError(
            f"found answers to several tasks ({', '.join(several)}); judge one task at a time"
            if len(several) > 1
            else "found neither --task nor --prompts; give the one whose prompts were answered"
        )

    def load(self) -> list[Prompt]:
        """Raises InputError where both --task and --prompts are given."""
        from veneer.tasks.registry import get_task
        from veneer.tasks.source import load_prompts, refuse_unread

        if self.task is not None and self.prompts is not None:
            raise InputError(
                "found both --task and --prompts; give the one whose prompts were answered"
            )
        data = data_folder(self.data)
        if self.task is not None:
            # an unknown task is named as such, not as a missing file
            get_task(self.task, data)
        source = self.task or self.prompts or ""
        prompts = load_prompts(
            source, data=data, column=self.column, limit=self.limit, split=self.split
        )
        refuse_unread(self, source)
        return prompts


@dataclass(frozen=True, kw_only=True)
class LocalJudge:
    """How a judge model that runs here is loaded."""

    device: str = "auto"
    """Device of the judge model: auto, cpu, cuda, ..."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number type of its weights."""
    batch_size: int = 8
    """Number of answers that it reads together."""


@dataclass(frozen=True, kw_only=True)
class JudgeCommand:
    """Judge stored answers (files of `veneer generate` or a study's responses/), or compare two
    judges. Run again, it asks only for the judgements that got no reply."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer judge base.jsonl aligned.jsonl --task lab-requests --judge refusal --out judged",
        "veneer judge --compare judged/verdicts.jsonl other/verdicts.jsonl",
    )

    responses: Annotated[tuple[str, ...], Option(positional=True, metavar="RESPONSES")] = ()
    """Files of answers, JSON lines."""
    out: Annotated[str | None, Option(metavar="FOLDER")] = None
    """Folder for verdicts.jsonl, results.jsonl, run.json and report.html; needed to judge."""
    answered: AnsweredPrompts = field(default_factory=AnsweredPrompts)
    method: JudgingSettings = field(default_factory=JudgingSettings)
    judge_model: JudgeConfig = field(default_factory=JudgeConfig)
    machine: LocalJudge = field(default_factory=LocalJudge)
    output: TableOptions = field(default_factory=TableOptions)

    def run(self) -> None:
        from veneer.studies.judging.compare import agreement_rows, compare, sides
        from veneer.studies.judging.show import show_compared

        compared = self.method.compare
        if not self.responses:
            if self.method.judge or not compared:
                raise InputError(
                    "found no file of answers; give some, or --compare with two files of verdicts"
                )
            refuse_unused(self, "without files of answers", "out")
            for settings in (self.answered, self.judge_model, self.machine):
                refuse_unused(settings, "without files of answers")
            comparisons = compare(*sides(compared), seed=self.method.seed)
            if as_json():
                print_json({"rows": [row.to_json() for row in agreement_rows(comparisons)]})
            else:
                show_compared(comparisons)
            return
        names = self._judge_names()
        if not names:
            raise InputError("found no judge; name some with --judge, such as --judge refusal")
        from veneer.judges.guards.published import GUARDS
        from veneer.judges.rubrics import RUBRICS

        local = [n for n in names if n in GUARDS or n in RUBRICS]
        if len(local) > 1 and any(n in GUARDS for n in local):
            raise InputError(
                f"{' and '.join(local)} need a model each, and --judge-local names one; judge with "
                "one at a time, and compare the files of verdicts with --compare"
            )
        self._refuse_unread(names)
        if self.out is None:
            raise InputError("found no --out; give a folder for the verdicts and the report")
        self._judge(names, Path(self.out))

    def _refuse_unread(self, names: list[str]) -> None:
        """Raise SettingError for an option of judges that none of these reads."""
        from veneer.judges.registry import JUDGES, refuse_unread

        refuse_unread(names, self.judge_model)
        if self.judge_model.local is None and set(names) <= set(JUDGES.built_in):
            refuse_unused(self.machine, "without --judge-local")

    def _judge_names(self) -> list[str]:
        """The judges of --judge, and those that only --compare names."""
        from veneer.studies.judging.compare import split_side

        names = list(self.method.judge)
        for label in self.method.compare or ():
            name, _ = split_side(label)
            if not Path(name).exists() and name not in names:
                names.append(name)
        return names

    def _judge(self, names: list[str], out: Path) -> None:
        from veneer.judges.registry import get_judge
        from veneer.studies.judging.compare import compare, sides
        from veneer.studies.judging.show import show_compared, show_judged
        from veneer.studies.judging.study import judge_responses, matched

        files = [Path(r) for r in self.responses]
        answered = self.answered.of_answers(files)
        prompts, partly = answered.load(), answered.limit is not None
        matched(files, prompts, partly=partly)  # before a judge model is loaded
        cache = self.judge_model.cache or out / "judge"
        config = replace(self.judge_model, cache=cache, **asdict(self.machine))
        judges = [get_judge(name, config) for name in names]
        compared = self.method.compare
        with progress_line() as progress:
            results, rows, usage = judge_responses(
                files,
                prompts,
                judges,
                out,
                settings={
                    **config.facts(),
                    "task": answered.task,
                    "prompts_file": answered.prompts,
                    "split": answered.split,
                    "limit": answered.limit,
                },
                partly=partly,
                compared=compared or (),
                seed=self.method.seed,
                progress=progress,
            )

        def show() -> None:
            show_judged(results, rows, usage)
            if compared:
                show_compared(compare(*sides(compared, rows), seed=self.method.seed))

        present(results, out, show)
