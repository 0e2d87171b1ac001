"""Read Parquet, Arrow and Feather files through pyarrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.reading.content import read_bytes


class Columnar:
    """A table in Parquet, Arrow or Feather. columns: the names, in their order."""

    def __init__(self, path: Path, arrow: bool, compressed: bool):
        """Raises InputError where the file is damaged."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path, self.kind = path, "Arrow" if arrow else "Parquet"
        # ValueError: bytes that are no text, years that are none
        self.errors = (OSError, ValueError, OverflowError, pa.ArrowException)
        try:
            source = (
                pa.BufferReader(read_bytes(path, f"a {self.kind} table"))
                if compressed
                else str(path)
            )
            self.table = _arrow_table(source) if arrow else pq.ParquetFile(source)
            schema = self.table.schema if arrow else self.table.schema_arrow
        except self.errors as error:
            raise self._unreadable(error) from None
        self.columns = tuple(schema.names)
        if twice := sorted({c for c in self.columns if self.columns.count(c) > 1}):
            raise InputError(
                f"{path} names the column {twice[0]!r} twice; give each column its own name"
            )

    def rows(self, wanted: Iterable[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield ("FILE row 1", values of the wanted columns) of each row."""
        names = [c for c in self.columns if wanted is None or c in set(wanted)]
        number = 0
        try:
            for batch in self._batches(names):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{self.path} row {number}", row
        except self.errors as error:
            raise self._unreadable(error) from None

    def _batches(self, names: list[str]) -> Iterator[Any]:
        if self.kind == "Parquet":
            return self.table.iter_batches(columns=names)
        return iter(self.table.select(names).to_batches())

    def _unreadable(self, error: Exception) -> InputError:
        reason = str(error).partition(". ")[0]
        return InputError(
            f"{self.path} cannot be read as {self.kind} ({reason}); expected a {self.kind} table "
            "with columns of different names; make it again"
        )


def _arrow_table(source: Any) -> Any:
    """A file of the random access form, which Feather is too, or of the stream form, which the
    package `datasets` keeps."""
    import pyarrow as pa

    stream = pa.memory_map(source) if isinstance(source, str) else source
    try:
        return pa.ipc.open_file(stream).read_all()
    except pa.ArrowInvalid:
        stream.seek(0)
        return pa.ipc.open_stream(stream).read_all()
