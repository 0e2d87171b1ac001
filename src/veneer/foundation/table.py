"""A table that other programs read: Arrow, and through it pandas and polars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from veneer.foundation.display import html_table
from veneer.foundation.errors import MissingExtra

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

Kind = Literal["text", "number", "whole", "truth"]


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """name: what the table holds, and the name of its files. kinds: column -> kind of its values,
    in the order of the columns. rows: a mapping for each row, column -> value or None."""

    name: str
    kinds: Mapping[str, Kind]
    rows: Sequence[Mapping[str, Any]] = field(default_factory=list)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.kinds)

    def to_arrow(self) -> pyarrow.Table:
        """The table as a pyarrow.Table. A lone surrogate, which UTF-8 does not have, becomes a
        question mark."""
        import pyarrow as pa

        types = {
            "text": pa.string(),
            "number": pa.float64(),
            "whole": pa.int64(),
            "truth": pa.bool_(),
        }
        arrays = [
            pa.array([_valid(row.get(column)) for row in self.rows], types[kind])
            for column, kind in self.kinds.items()
        ]
        return pa.table(arrays, names=list(self.kinds))

    def to_pandas(self) -> pandas.DataFrame:
        """The table as a pandas.DataFrame. Raises MissingExtra where pandas is not installed."""
        try:
            import pandas  # noqa: F401
        except ImportError:
            raise MissingExtra("pandas", "frames", "a pandas table") from None
        return self.to_arrow().to_pandas()

    def to_polars(self) -> polars.DataFrame:
        """The table as a polars.DataFrame. Raises MissingExtra where polars is not installed."""
        try:
            import polars
        except ImportError:
            raise MissingExtra("polars", "frames", "a polars table") from None
        return polars.from_arrow(self.to_arrow())

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self.rows)

    def __repr__(self) -> str:
        return f"<Table {self.name}: {len(self):,} rows of {', '.join(self.columns)}>"

    def _repr_html_(self) -> str:
        cells = [[row.get(column) for column in self.columns] for row in self.rows]
        return html_table(self.columns, cells, f"{self.name}: {len(self):,} rows")


def _valid(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value
