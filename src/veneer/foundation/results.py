"""Results: a tidy table of measurements, each with n, a 95 % interval and the
judge that made it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from veneer.foundation.display import html_table, line
from veneer.foundation.errors import InputError
from veneer.foundation.files import json_lines, read_json_lines, write_text
from veneer.foundation.registry import nearest
from veneer.foundation.system_id import SystemId
from veneer.foundation.table import Kind, Table
from veneer.statistics.intervals import Estimate

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

ROWS = "rows"  # of a finished run.json: the number of rows in results.jsonl
OPTIONAL = ("facts", "system_id")
TEXTS = ("study", "task", "metric", "system")
TEXTS_OR_NULL = ("of", "split", "judge", "unit", "note")
LARGEST = 10**15  # of what is counted
KEY = ("study", "task", "metric", "of", "system", "split", "position", "judge")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of results.jsonl.

    value, low, high: the figure and its 95 % interval in `unit` (None where undefined; `note` then
    says why). n: number of prompts behind the figure. position: [first, last] response position,
    1-based, or None. of: the metric behind a portion. judge: who decided, or None where arithmetic
    did. facts: more about the figure, as data: a verdict, the chosen settings, a reason.
    Programs read facts; `note` is a text for people, which no program parses.
    system_id: kind and settings of the system, whose name `system` is; the runner adds it.
    """

    study: str
    task: str
    metric: str
    system: str
    value: float | None
    n: int
    low: float | None = None
    high: float | None = None
    judge: str | None = None
    of: str | None = None
    split: str | None = None
    position: tuple[int, int] | None = None
    unit: str | None = None
    note: str | None = None
    facts: Mapping[str, Any] | None = field(default=None, hash=False)
    system_id: SystemId | None = None

    @classmethod
    def estimated(
        cls, estimate: Estimate, study: str, task: str, metric: str, system: str, **fields: Any
    ) -> Measurement:
        """A row with the value, interval, n and note of an estimate; its reason is the fact
        "estimate"."""
        e = estimate
        facts = fields.pop("facts", None)
        if e.reason is not None:
            facts = {"estimate": e.reason.to_json(), **(facts or {})}
        note = fields.pop("note", None) or e.note
        return cls(
            *(study, task, metric, system, e.value, e.n, e.low, e.high),
            note=note,
            facts=facts,
            **fields,
        )

    @property
    def key(self) -> tuple:
        return tuple(getattr(self, k) for k in KEY)

    @property
    def identity(self) -> SystemId:
        """The system's identity; read from its name in a folder of Veneer 0.1."""
        return self.system_id or SystemId.from_name(self.system)

    def fact(self, name: str) -> Any:
        """One of the facts, or None."""
        return (self.facts or {}).get(name)

    def to_json(self) -> dict[str, Any]:
        """The row as results.jsonl holds it; `facts` and `system_id` only where there are any."""
        row = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in OPTIONAL}
        if self.facts is not None:
            row["facts"] = dict(self.facts)
        if self.system_id is not None:
            row["system_id"] = self.system_id.to_json()
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Measurement:
        """Raises TypeError, ValueError or AttributeError where the row is no measurement."""
        if not isinstance(row, Mapping):
            raise TypeError("it is no object")
        known = {f.name: f.default is MISSING for f in fields(cls)}
        if lacking := [name for name, needed in known.items() if needed and name not in row]:
            raise ValueError(f"it has no {lacking[0]}")
        if strange := [name for name in row if name not in known]:
            raise ValueError(f"it has the unknown field {strange[0]!r}")
        values = dict(row)
        if isinstance(values.get("position"), list):
            values["position"] = tuple(values["position"])
        if values.get("system_id") is not None:
            values["system_id"] = SystemId.from_json(values["system_id"])
        if not isinstance(values.get("facts"), Mapping | None):
            raise TypeError("facts is not a JSON object")
        measurement = cls(**values)
        measurement._check_fields()
        return measurement

    def _check_fields(self) -> None:
        """Raises ValueError for a field of another type: JSON holds anything."""
        for name in TEXTS:
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} {getattr(self, name)!r} is no text")
        for name in TEXTS_OR_NULL:
            if not isinstance(getattr(self, name), str | None):
                raise ValueError(f"{name} is no text")
        for name in ("value", "low", "high"):
            x = getattr(self, name)
            if x is not None and not is_finite(x):
                raise ValueError(f"{name} {x!r} is neither a finite number nor null")
        if not is_count(self.n):
            raise ValueError(f"n {str(self.n)[:40]} is no whole number")
        place = self.position
        if place is not None and not (
            isinstance(place, tuple) and len(place) == 2 and all(map(is_count, place))
        ):
            raise ValueError("position is not [first, last]")


def is_finite(x: Any) -> bool:
    """Whether a JSON value is a finite number."""
    number = isinstance(x, int | float) and not isinstance(x, bool)
    return number and -sys.float_info.max <= x <= sys.float_info.max


def is_count(x: Any) -> bool:
    """Whether a JSON value counts something: a whole number from 0 on."""
    return type(x) is int and 0 <= x < LARGEST


def join_notes(*notes: str | None) -> str | None:
    """The notes that are not empty, with semicolons between them; None where all are."""
    return "; ".join(note for note in notes if note) or None


# columns of the table in a notebook
SHOWN = ("study", "task", "metric", "of", "system", "split", "value", "95 %", "n", "judge")
RESULT_COLUMNS: dict[str, Kind] = {
    **dict.fromkeys(("study", "task", "metric", "of", "system", "split"), "text"),
    **dict.fromkeys(("first", "last"), "whole"),
    **dict.fromkeys(("value", "low", "high"), "number"),
    "n": "whole",
    **dict.fromkeys(("unit", "judge", "note"), "text"),
}


def results_table(rows: Iterable[Measurement]) -> Table:
    """The rows as a table; a position stands in its columns `first` and `last`."""
    cells = []
    for row in rows:
        first, last = row.position or (None, None)
        places = {"first": first, "last": last}
        cells.append({c: places[c] if c in places else getattr(row, c) for c in RESULT_COLUMNS})
    return Table("results", RESULT_COLUMNS, cells)


class Results:
    """An ordered table of measurements with unique keys."""

    def __init__(self, rows: Iterable[Measurement] = ()):
        self._rows: dict[tuple, Measurement] = {}
        self.extend(rows)

    def add(self, row: Measurement) -> None:
        """Add a row. Raises ValueError where the key exists: two figures for one
        quantity are a bug."""
        if row.key in self._rows:
            raise ValueError(
                f"results already hold a row with the key {dict(zip(KEY, row.key, strict=True))}"
            )
        self._rows[row.key] = row

    def extend(self, rows: Iterable[Measurement]) -> None:
        for row in rows:
            self.add(row)

    def __iter__(self) -> Iterator[Measurement]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    def where(self, **fields) -> list[Measurement]:
        """Rows whose fields equal the ones given, e.g. `where(study="extract", metric="kl")`.
        Raises InputError for a field that measurements do not have."""
        known = list(Measurement.__dataclass_fields__)
        for name in fields:
            if name not in known:
                raise InputError(f"measurements have no field {name!r}; {nearest(name, known)}")
        return [r for r in self if all(getattr(r, k) == v for k, v in fields.items())]

    def table(self, **fields: Any) -> Table:
        """The rows, or those of `where(**fields)`, as a table without their facts."""
        return results_table(self.where(**fields))

    def to_arrow(self) -> pyarrow.Table:
        """The rows as a pyarrow.Table: a column for each field except `facts` and `system_id`."""
        return self.table().to_arrow()

    def to_pandas(self) -> pandas.DataFrame:
        """The same as a pandas.DataFrame. Raises MissingExtra where pandas is not installed."""
        return self.table().to_pandas()

    def to_polars(self) -> polars.DataFrame:
        """The same as a polars.DataFrame. Raises MissingExtra where polars is not installed."""
        return self.table().to_polars()

    def __repr__(self) -> str:
        studies = dict.fromkeys(row.study for row in self)
        return line(type(self).__name__, {"rows": len(self), "studies": ", ".join(studies)})

    def _repr_html_(self) -> str:
        """The rows as an HTML table: portions first, then what was measured on tasks, then the
        others; those by response position are left out."""
        rows = [row for row in self if row.position is None]
        rows.sort(key=lambda row: (row.metric != "portion", row.study != "measure"))
        cells = [[_shown(row, column) for column in SHOWN] for row in rows]
        beside = len(self) - len(rows)
        more = f", {beside:,} of them by position (not shown)" if beside else ""
        return html_table(SHOWN, cells, f"{len(self):,} measurements{more}")

    def write(self, path: Path) -> None:
        write_text(path, json_lines(r.to_json() for r in self))

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read results.jsonl, or the one in a study folder. Raises InputError naming the line that
        is not a measurement, and where rows of a finished run are missing (ROWS)."""
        path = Path(path)
        path = path / "results.jsonl" if path.is_dir() else path
        rows = []
        for number, row in read_json_lines(path, "results.jsonl, which `veneer run` writes"):
            try:
                rows.append(Measurement.from_json(row))
            except (TypeError, ValueError, AttributeError) as error:
                raise InputError(
                    f"{path} line {number} is not a measurement ({error}); expected one JSON "
                    "object a line with the fields of results.jsonl; make the file again with "
                    "`veneer run`"
                ) from None
        _check_whole(path, len(rows))
        try:
            return cls(rows)
        except ValueError as error:
            raise InputError(
                f"{path} is not a table of measurements ({error}); expected unique keys; make it "
                "again with `veneer run`"
            ) from None


def _check_whole(path: Path, rows: int) -> None:
    """Raise InputError where the run.json beside results.jsonl is of a finished run with
    another number of rows. An earlier version's names no number."""
    record = path.with_name("run.json")
    if path.name != "results.jsonl" or not record.is_file():
        return
    try:
        run = json.loads(record.read_bytes())
    except (ValueError, OSError, RecursionError):
        return  # who reads the record says what is wrong with it
    wanted = run.get(ROWS) if isinstance(run, dict) and run.get("finished") else None
    if isinstance(wanted, int) and rows != wanted:
        raise InputError(
            f"{path} has {rows} rows, but the finished run wrote {wanted}; copy the whole folder "
            "again, or delete it and run the same command again"
        )


def _shown(row: Measurement, column: str) -> Any:
    if column != "95 %":
        return getattr(row, column)
    return None if row.low is None or row.high is None else f"[{row.low:.3g}, {row.high:.3g}]"
