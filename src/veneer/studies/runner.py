"""Run a study: lock the folder, resume or refuse it, record what was done, write results and page.

The one place that calls a study, builds a run record and renders a study's page.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from veneer.foundation.dry_run import DryRun, is_dry_run
from veneer.foundation.errors import InputError
from veneer.foundation.files import folder_lock, look_at_folder
from veneer.foundation.progress import Progress, ProgressLine, shown
from veneer.foundation.results import ROWS
from veneer.foundation.run_record import RunRecord
from veneer.foundation.threads import keep_threads
from veneer.report import write_report
from veneer.report.results import Results
from veneer.studies.inputs_on_disk import check_inputs
from veneer.studies.plan import plan_of, stages_of
from veneer.studies.study import Run, Study

RESULTS, REPORT = "results.jsonl", "report.html"


def run_study(study: Study, out: str | Path, *, progress: Progress | bool | None = None) -> Results:
    """Run a study into the folder `out` and return its results.

    Writes results.jsonl, run.json, report.html and what the study keeps. A folder with the finished
    results of the same settings is read and left as it is; an interrupted one resumes. Raises
    InputError where the folder holds another study or other settings, where a model or a task of it
    has changed on disk since, or where the study's check refuses its input; a new folder leaves
    no trace then. progress: see `foundation.progress.shown`; False shows none in a notebook. In a
    dry run, raises DryRun with the plan instead and writes nothing.
    """
    out = Path(out)
    if is_dry_run():
        look_at_folder(out)
        record = RunRecord(out, study.name, study.settings(), clean=False)
        check_inputs(record, study)
        raise DryRun(plan_of(study, record))
    with folder_lock(out), shown(progress) as report:
        watch = report if isinstance(report, ProgressLine) else None
        record = RunRecord(out, study.name, study.settings(), watch=watch)
        check_inputs(record, study)
        if record.finished:
            return _read_finished(out)
        keep_threads(record.threads)
        with _no_record_of_bad_input(record):
            study.check()
            if watch is not None:
                watch.follow(stages_of(study))
            run = Run(out, record, report)
            for row in study.measure(run):
                run.results.add(row)
        return _write(run)


def _read_finished(out: Path) -> Results:
    """The results of a finished run, with its page where that is missing. Raises InputError where
    a part of the folder is missing."""
    if not (out / RESULTS).is_file():
        raise InputError(
            f"{out} holds the record of a finished run without its {RESULTS}; copy the whole "
            "folder again, or delete it and run the same command again"
        )
    results = Results.read(out)
    if not (out / REPORT).exists():
        write_report([out], out / REPORT)
    return results


def record_capture(folder: Path, settings: dict[str, Any], seconds: float, **facts: Any) -> None:
    """Write the run.json of a finished capture, which resumes by its own manifest and has no rows.
    An existing record is left as it is."""
    if (folder / "run.json").is_file():
        return
    record = RunRecord(folder, "capture", settings, fresh=False)
    record.note(**facts, seconds={"capture": round(seconds, 2)}, finished=True)


@contextlib.contextmanager
def _no_record_of_bad_input(record: RunRecord) -> Iterator[None]:
    """A folder that had no record gets none where the input is bad, so that a mended command can
    use the same folder. Where the study has written more, the record stays: it says what the
    folder holds."""
    new = not record.path.is_file()
    try:
        yield
    except InputError:
        names = {p.name for p in record.path.parent.iterdir()}
        if new and names <= {record.path.name, ".lock"}:
            record.path.unlink(missing_ok=True)
        raise


def _write(run: Run) -> Results:
    """Results, page and the end of the record. The page is rendered twice: once within its own
    stage, and once more with the seconds of all stages on it."""
    identities = run.identities
    rows = (replace(r, system_id=identities.get(r.system, r.system_id)) for r in run.results)
    results = Results(rows, run.out)
    results.write(run.out / RESULTS)
    with run.stage("report"):
        write_report([run.out], run.out / REPORT)
    if not run.incomplete:
        run.record.finish(**{ROWS: len(results)})
    write_report([run.out], run.out / REPORT)
    return results
