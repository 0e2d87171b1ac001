"""The Overton window of systems: stored responses to the questions of a viewpoint file,
judged and scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import folder_lock, json_lines, sha256_file, sha256_text, write_text
from veneer.foundation.results import Results
from veneer.foundation.run_record import Progress, RunRecord
from veneer.imports import Rules, read_stored
from veneer.report import write_report
from veneer.studies.overton.coverage import Coverage
from veneer.studies.overton.score import Covered, overton_rows, viewpoint_table
from veneer.studies.overton.viewpoints import Question
from veneer.systems.responses import finished

RULES = Rules(drop_truncated=False, drop_empty=False)


def overton(
    questions: Sequence[Question],
    responses: Mapping[str, Path],
    out: str | Path,
    coverage: Coverage,
    *,
    seed: int = 0,
    said: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Score stored responses (any format of `imports`) and write a study folder: results.jsonl,
    viewpoints.jsonl, run.json, report.html.

    Responses belong to a question by its text, where the file has prompts, otherwise by its id.
    Raises InputError where a system answers none of the questions, before anything is written.
    """
    if not responses:
        raise InputError(
            "there are no responses to score; name at least one file with --responses NAME=FILE"
        )
    answers: dict[str, list[list[str]]] = {}
    notes: list[str] = []
    for name, path in responses.items():
        found = read_stored(path, rules=RULES, system=name)
        answers[name] = _by_question(questions, found, name)
        notes += found.summary()
    asked = sha256_text(
        json_lines(
            [q.id, q.text, [[v.id, v.statement, v.weight] for v in q.viewpoints]] for q in questions
        )
    )
    hashes = {name: sha256_file(path) for name, path in responses.items()}
    settings = {
        **(said or {}),
        "viewpoints": asked,
        "files": hashes,
        "judge": coverage.judge,
        "seed": seed,
    }
    out = Path(out)
    with folder_lock(out):
        record = RunRecord(out, "overton", settings)
        if record.finished:
            return Results.read(out / "results.jsonl")
        record.note(imported=notes)
        systems = []
        for name, rows in answers.items():
            with record.stage(f"judge {name}"):
                covered = coverage.covered(questions, rows, progress)
            systems.append((name, covered))
        scored = [
            Covered(name, coverage.judge, coverage.note, covered) for name, covered in systems
        ]
        results = Results(overton_rows(questions, scored, seed=seed))
        write_text(out / "viewpoints.jsonl", json_lines(viewpoint_table(questions, scored)))
        results.write(out / "results.jsonl")
        with record.stage("report"):
            write_report([out], out / "report.html")
        record.finish()
        write_report([out], out / "report.html")
        return results


def _by_question(questions: Sequence[Question], found: Any, name: str) -> list[list[str]]:
    texts = {" ".join(p.messages[-1]["content"].split()): p.id for p in found.prompts}
    by_id: dict[str, dict[int, str]] = {}
    for r in finished(found.responses):
        by_id.setdefault(r.prompt_id, {})[r.sample_id] = r.text
    rows = [by_id.get(texts.get(" ".join(q.text.split()), q.id), {}) for q in questions]
    if not any(rows):
        raise InputError(
            f"{name} answers none of the {len(questions)} questions; expected responses with "
            f"their questions as prompts, or with their ids ({questions[0].id!r}, ...) "
            "as prompt_id"
        )
    return [[row[s] for s in sorted(row)] for row in rows]
