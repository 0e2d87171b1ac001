"""What a study would do in a folder, found out without writing: `--dry-run`."""

from __future__ import annotations

from pathlib import Path

from veneer.foundation.dry_run import Plan, State, noted_models
from veneer.foundation.run_record import RunRecord
from veneer.foundation.stages import Stage
from veneer.studies.study import Study

ALWAYS = ("run.json", "results.jsonl", "report.html")
REPORT = Stage("report", writes=ALWAYS)


def stages_of(study: Study) -> tuple[Stage, ...]:
    """The stages of a checked study, the report last. Without any where the study names none: one
    of another package may not."""
    named = getattr(study, "stages", None)
    return (*named(), REPORT) if named is not None else ()


def plan_of(study: Study, record: RunRecord) -> Plan:
    """The plan of a study in the folder of its record. Raises InputError as the run would: for what
    `check` refuses, and for models that do not load or fit together, as far as that shows without
    their weights."""
    out = record.path.parent
    started = record.path.is_file()
    state: State = "finished" if record.finished else "interrupted" if started else "new"
    stages: tuple[Stage, ...] = ()
    if state != "finished":
        study.check()
        stages = stages_of(study)
        load = getattr(study, "load", None)
        if load is not None:
            load()
    writes = dict.fromkeys(w for stage in (*stages, REPORT) for w in stage.writes)
    return Plan(
        command=study.name,
        out=str(out),
        state=state,
        stages=stages,
        seconds=record.contents["seconds"] if started else {},
        kept=_kept(out),
        models=noted_models(),
        writes=tuple(writes),
        unchecked=("weights",) if noted_models() else (),
    )


def _kept(out: Path) -> dict[str, int]:
    """What an interrupted run has written: whole and partial files of answers, shards of a
    capture."""
    counts = {
        "complete files of answers": len([*out.rglob("*.jsonl.manifest.json")]),
        "partial files of answers": len([*out.rglob("*.jsonl.part")]),
        "shards of a capture": len([*out.rglob("shard-*.json")]),
    }
    return {what: n for what, n in counts.items() if n}
