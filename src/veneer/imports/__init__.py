"""Read answers and judgements that other programs stored, as responses; dropped ones are counted
(docs/diversity.md)."""

from veneer.imports.imported import AS_STORED, Imported, Rules
from veneer.imports.registry import FORMATS, read_stored

__all__ = ["AS_STORED", "FORMATS", "Imported", "Rules", "read_stored"]
