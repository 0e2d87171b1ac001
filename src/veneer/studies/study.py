"""What a study is, and what the runner gives it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.foundation.run_record import RunRecord
from veneer.foundation.stages import Stage
from veneer.foundation.system_id import SystemId
from veneer.judges.config import JudgeConfig
from veneer.judges.judge import Judge
from veneer.judges.registry import judges_of
from veneer.prompts.prompt import Prompt
from veneer.tasks.task import Task

if TYPE_CHECKING:
    from veneer.models.formats import Format
    from veneer.models.language_model import LanguageModel


class Study(Protocol):
    """A study measures something and gives rows of results; docs/extending.md shows a whole one.

    The runner calls `settings`, then `check`, then `measure`, and skips the last two where the
    folder holds the finished results of the same settings.

    Three members are optional. `tasks` are those that it measures: the runner refuses a folder
    whose data has changed since. `stages()` gives the run's stages (`foundation.stages.Stage`) once
    `check` has passed: progress then shows where the run is and how much time it needs, and
    `--dry-run` lists them. `load()` gives the models; a dry run calls it to check them, and
    they come without weights.
    """

    @property
    def name(self) -> str:
        """The name in run.json; the command's name."""
        ...

    def settings(self) -> dict[str, Any]:
        """What decides the results, as JSON: models, prompts, hashes, numbers. A second run into
        the same folder must give the same."""
        ...

    def check(self) -> None:
        """Raise InputError for bad input. Nothing is written yet, and no model is loaded."""
        ...

    def measure(self, run: Run) -> Iterable[Measurement]:
        """Do the work in `run.out` and give the rows. A killed run calls this again in the same
        folder: each expensive step keeps its files there and skips what exists."""
        ...


@dataclass
class Run:
    """One run of a study, for its `measure`: the folder, the record, and the results so far.

    results: the rows that `measure` has given so far. progress: called as work goes on, or None.
    """

    out: Path
    record: RunRecord
    progress: Progress | None = None
    results: Results = field(default_factory=Results)
    identities: dict[str, SystemId] = field(default_factory=dict)
    incomplete: bool = False

    @property
    def day(self) -> str:
        """The date of the first run into this folder, for chat templates that write today's."""
        return self.record.day

    def stage(self, name: str, within: str = "") -> contextlib.AbstractContextManager[None]:
        """A part of the work whose seconds stand in run.json. within: tells the stages of the plan
        apart that run.json counts together."""
        return self.record.stage(name, within)

    def revise(self, stage: Stage) -> None:
        """Replace the stage of that name in the plan, once more is known of it."""
        if self.record.watch is not None:
            self.record.watch.revise(stage)

    def expect(self, lm: LanguageModel, form: Format, prompts: Sequence[Prompt]) -> None:
        """Try how fast a model decodes a batch of these prompts, so that progress can tell the time
        before the work begins. Nothing is tried where nobody looks at progress."""
        from veneer.models.pace import seconds_per_token

        if self.record.watch is None or not prompts:
            return
        pace = seconds_per_token(lm, [form.encode(lm.tokenizer, p) for p in prompts])
        if pace is not None:
            self.record.watch.expect(pace)

    def note(self, **facts: Any) -> None:
        """Add facts to run.json: models, hashes, seeds, what was left out."""
        self.record.note(**facts)

    def noted(self, name: str) -> Any:
        """A fact of run.json, also one that an interrupted run noted; None where there is none."""
        return self.record.contents.get(name)

    def identify(self, *identities: SystemId) -> None:
        """Say what systems are. Their rows in results.jsonl carry it, so that nobody has to read
        kind and settings off a name."""
        self.identities |= {identity.name: identity for identity in identities}

    def judges(self, tasks: Sequence[Task], config: JudgeConfig) -> dict[str, list[Judge]]:
        """Each task's judges, with their replies kept in OUT/judge unless `config` names a folder.

        A judge without its model is left out with a warning. Raises InputError where a task would
        keep no headline metric.
        """
        kept = replace(config, cache=config.cache or self.out / "judge")
        judges, missing = judges_of(tasks, kept)
        for name, reason in missing.items():
            logging.getLogger("veneer").warning(
                "veneer: the judge %s is left out: %s", name, reason
            )
        ids = sorted({judge.id for several in judges.values() for judge in several})
        self.note(judges=ids, judges_missing=missing)
        return judges

    def note_judge_usage(self, judges: Mapping[str, Iterable[Judge]]) -> None:
        """Add to run.json what the judge models sent, read and cost, and how their verdicts came
        out."""
        from veneer.judges.llm import LLMJudge  # it can load a judge model

        models = {
            j.id: j for several in judges.values() for j in several if isinstance(j, LLMJudge)
        }
        self.note(
            judge_usage={
                name: {"usage": asdict(judge.usage), "outcomes": dict(judge.counts)}
                for name, judge in models.items()
            }
        )

    def leave_incomplete(self) -> None:
        """The results are written, but the same command will ask again for what is missing."""
        self.incomplete = True
