"""Read users' files by one set of rules (docs/files.md): compression, encoding, JSON, separated
values, Parquet, chat turns."""

from veneer.foundation.reading.ids import as_id
from veneer.foundation.reading.open import ENDINGS, Rows, open_rows

__all__ = ["ENDINGS", "Rows", "as_id", "open_rows"]
