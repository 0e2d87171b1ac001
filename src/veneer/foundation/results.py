"""Results: a tidy table of measurements, each with n, a 95 % interval and the
judge that made it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import json_lines, read_json_lines, write_text
from veneer.statistics.intervals import Estimate

KEY = ("study", "task", "metric", "of", "system", "split", "position", "judge")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of results.jsonl.

    value, low, high: the figure and its 95 % interval in `unit` (None where undefined; `note` then
    says why). n: number of prompts behind the figure. position: [first, last] response position,
    1-based, or None. of: the metric behind a portion. judge: who decided, or None where arithmetic
    did.
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

    @classmethod
    def estimated(
        cls, estimate: Estimate, study: str, task: str, metric: str, system: str, **fields: Any
    ) -> Measurement:
        """A row with the value, interval, n and note of an estimate."""
        e = estimate
        return cls(
            study,
            task,
            metric,
            system,
            e.value,
            e.n,
            e.low,
            e.high,
            note=fields.pop("note", None) or e.note,
            **fields,
        )

    @property
    def key(self) -> tuple:
        return tuple(getattr(self, k) for k in KEY)


class Results:
    """An ordered table of measurements with unique keys."""

    def __init__(self, rows: Iterable[Measurement] = ()):
        self._rows: dict[tuple, Measurement] = {}
        self.extend(rows)

    def add(self, row: Measurement) -> None:
        """Add a row. Raises ValueError where the key is taken: two figures for one
        thing are a bug."""
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
        """Rows whose fields equal the ones given, e.g. `where(study="extract", metric="kl")`."""
        return [r for r in self if all(getattr(r, k) == v for k, v in fields.items())]

    def write(self, path: Path) -> None:
        write_text(path, json_lines(asdict(r) for r in self))

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read results.jsonl. Raises InputError naming the line that is not a measurement."""
        rows = []
        for number, row in read_json_lines(path, "results.jsonl, which `veneer run` writes"):
            try:
                if row.get("position") is not None:
                    row["position"] = tuple(row["position"])
                found = Measurement(**row)
                hash(found.key)  # a list as a name
                rows.append(found)
            except (TypeError, ValueError, AttributeError) as error:
                raise InputError(
                    f"{path} line {number} is not a measurement ({error}); expected one JSON "
                    "object a line with the fields of results.jsonl; make the file again with "
                    "`veneer run`"
                ) from None
        try:
            return cls(rows)
        except ValueError as error:
            raise InputError(
                f"{path} is not a table of measurements ({error}); expected unique keys; make it "
                "again with `veneer run`"
            ) from None
