"""Run a study: lock the folder, resume or refuse it, record what was done, write results and page.

The one place that calls a study, builds a run record and renders a study's page.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import folder_lock
from veneer.foundation.progress import Progress
from veneer.foundation.results import Results
from veneer.foundation.run_record import RunRecord
from veneer.foundation.system_id import SystemId
from veneer.judges.config import JudgeConfig
from veneer.judges.judge import Judge
from veneer.judges.llm import LLMJudge
from veneer.judges.registry import judges_of
from veneer.report import write_report
from veneer.studies.study import Study
from veneer.tasks.task import Task

RESULTS, REPORT = "results.jsonl", "report.html"


def run_study(study: Study, out: str | Path, *, progress: Progress | None = None) -> Results:
    """Run a study into the folder `out` and return its results.

    Writes results.jsonl, run.json, report.html and what the study keeps. A folder with the finished
    results of the same settings is read and left as it is; an interrupted one resumes. Raises
    InputError where the folder holds another study or other settings, or where the study's check
    refuses its input; a new folder then leaves no trace.
    """
    out = Path(out)
    with folder_lock(out):
        record = RunRecord(out, study.name, study.settings())
        if record.finished:
            return Results.read(out / RESULTS)
        with _no_record_of_bad_input(record):
            study.check()
            run = Run(out, record, progress)
            for row in study.measure(run):
                run.results.add(row)
        run.write()
        return run.results


@contextlib.contextmanager
def _no_record_of_bad_input(record: RunRecord) -> Iterator[None]:
    """A folder that had no record gets none where the input is bad, so that a mended command can
    use the same folder."""
    new = not record.path.is_file()
    try:
        yield
    except InputError:
        if new:
            record.path.unlink(missing_ok=True)
        raise


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

    def stage(self, name: str) -> contextlib.AbstractContextManager[None]:
        """A part of the work whose seconds stand in run.json."""
        return self.record.stage(name)

    def note(self, **facts: Any) -> None:
        """Add facts to run.json: models, hashes, seeds, what was left out."""
        self.record.note(**facts)

    def noted(self, name: str) -> Any:
        """A fact of run.json, also one that an interrupted run noted; None where there is none."""
        return self.record.found.get(name)

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

    def write(self) -> None:
        """Results, page and the end of the record. The page is rendered twice: once within its own
        stage, and once more with the seconds of all stages on it."""
        rows = (
            replace(r, system_id=self.identities.get(r.system, r.system_id)) for r in self.results
        )
        self.results = Results(rows)
        self.results.write(self.out / RESULTS)
        with self.stage("report"):
            write_report([self.out], self.out / REPORT)
        if not self.incomplete:
            self.record.finish()
        write_report([self.out], self.out / REPORT)
