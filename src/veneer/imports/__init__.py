"""Answers and judgements that somebody else's programs stored, read as responses; what was dropped
is counted (docs/diversity.md)."""

from veneer.imports.imported import AS_STORED, Imported, Rules
from veneer.imports.registry import FORMATS, read_stored

__all__ = ["AS_STORED", "FORMATS", "Imported", "Rules", "read_stored"]
