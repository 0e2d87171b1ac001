"""Tables of a study folder as files: CSV for a spreadsheet, Parquet for a program, LaTeX
(booktabs) for a paper."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from veneer.foundation.files import write_atomically, write_text
from veneer.foundation.results import Measurement, results_table
from veneer.foundation.table import Kind, Table
from veneer.report import tables
from veneer.report.export.latex import cross_table, main_table, portion_table
from veneer.report.load import StudyFolder, load
from veneer.report.visible import visible

FIGURES = ("value", "low", "high", "portion", "portion_low", "portion_high")
# signs with which some spreadsheet begins a formula, also behind blanks
FORMULA = tuple("=+-@＝＋－＠")
WHOLE = ("n",)


def _kinds(*columns: str) -> dict[str, Kind]:
    return {c: "number" if c in FIGURES else "whole" if c in WHOLE else "text" for c in columns}


def write_tables(folders: Sequence[Path], out: Path) -> list[Path]:
    """Write the tables of each folder below `out` (in a folder of its own each where there are
    several); gives what was written.

    results: every row. main: each system by task with its portion. portions: each system's portion.
    cross: veneers extracted on one task, measured on another. main, portions and cross come as .tex
    too; one that the study has no rows for is left out. Raises InputError (see `load.load`).
    """
    studies = [load(Path(f)) for f in folders]
    written: list[Path] = []
    for folder, study in zip(places(studies, out), studies, strict=True):
        for table in (results(study), main(study), portions(study), cross(study)):
            if table.rows:
                written += [_csv(table, folder), _parquet(table, folder)]
        all_groups = tables.groups(study.rows)
        texts = {
            "main": main_table(all_groups),
            "portions": portion_table(all_groups),
            "cross": cross_table(all_groups),
        }
        for name, text in texts.items():
            if text:
                write_text(folder / f"{name}.tex", text)
                written.append(folder / f"{name}.tex")
    return written


def places(studies: Sequence[StudyFolder], out: Path) -> list[Path]:
    """A folder for each study: `out` itself for one, out/NAME for several."""
    if len(studies) == 1:
        return [out]
    names = [s.name for s in studies]
    return [out / (n if names.count(n) == 1 else f"{n}-{i}") for i, n in enumerate(names, 1)]


def results(study: StudyFolder) -> Table:
    """Every row of results.jsonl; the position as its first and last."""
    return results_table(study.rows)


def main(study: StudyFolder) -> Table:
    columns = (
        "task",
        "metric",
        "split",
        "system",
        "n",
        "value",
        "low",
        "high",
        "portion",
        "portion_low",
        "portion_high",
        "judge",
        "note",
    )
    rows = []
    for head in tables.headlines(tables.groups(study.rows)):
        for system in tables.columns([head.values]):
            row = head.values.systems[system]
            of = head.portions.systems.get(system) if head.portions else None
            rows.append(
                _fields(
                    row,
                    (
                        "task",
                        "metric",
                        "split",
                        "system",
                        "n",
                        "value",
                        "low",
                        "high",
                        "judge",
                        "note",
                    ),
                )
                | {
                    "portion": of and of.value,
                    "portion_low": of and of.low,
                    "portion_high": of and of.high,
                }
            )
    return Table("main", _kinds(*columns), rows)


def portions(study: StudyFolder) -> Table:
    columns = ("task", "of", "split", "system", "n", "value", "low", "high", "judge", "note")
    portions = [
        g for g in tables.groups(study.rows) if g.study == "measure" and g.metric == "portion"
    ]
    return Table(
        "portions",
        _kinds(*columns),
        [_fields(g.systems[s], columns) for g in portions for s in tables.columns([g])],
    )


def cross(study: StudyFolder) -> Table:
    columns = ("extracted_on", "measured_on", "of", "n", "value", "low", "high", "judge", "note")
    rows = [
        _fields(row, ("of", "n", "value", "low", "high", "judge", "note"))
        | {"extracted_on": source, "measured_on": g.task}
        for g, by_source in tables.cross(tables.groups(study.rows))
        for source, row in by_source.items()
    ]
    return Table("cross", _kinds(*columns), rows)


def _fields(row: Measurement, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _csv(table: Table, folder: Path) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(table.columns)
    writer.writerows([_shown(row[c]) for c in table.columns] for row in table.rows)
    path = folder / f"{table.name}.csv"
    write_text(path, text.getvalue())
    return path


def _shown(value: Any) -> Any:
    """Text of a model or a task must neither hide nor look like a formula."""
    if not isinstance(value, str):
        return value
    text = visible(value, 10_000)
    return f"'{text}" if text[:1] in ("\t", "\r", "\n") or text.lstrip()[:1] in FORMULA else text


def _parquet(table: Table, folder: Path) -> Path:
    path = folder / f"{table.name}.parquet"
    write_atomically(path, lambda p: pq.write_table(table.to_arrow(), p))
    return path
